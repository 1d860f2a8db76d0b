"""The demo: one command from nothing to a guest that has booted, and one to leave no trace."""
