"""What administrators' and users' objects mean now: told in their status, a few seconds after it has changed."""
