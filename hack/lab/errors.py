"""What goes wrong in a lab."""


class LabError(Exception):
    """A lab or one of its hosts can't do what was asked; the message says why, with the end of the log."""
