"""The operator: schedules Instances onto nodes."""
