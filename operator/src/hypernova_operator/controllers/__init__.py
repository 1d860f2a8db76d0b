"""What the operator does about what it knows."""
