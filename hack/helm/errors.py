"""What goes wrong with Helm."""


class HelmError(Exception):
    """Helm could not be built, or refused to do what was asked; the message says why."""
