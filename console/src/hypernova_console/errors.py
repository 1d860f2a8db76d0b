"""What a viewer is told when he does not get what he asked for."""

from __future__ import annotations


class Refused(Exception):
    """No. Each door says it in its own form: the API as a Status, the web as `{"reason": ..., "message": ...}`.

    Attributes:
        status: HTTP status code.
        reason: CamelCase, stable.
        message: a sentence for people. Never a secret, nor what would tell a guesser how near he is.
        retry_after: seconds after which another try makes sense; 0 where that is not known.
    """

    def __init__(self, status: int, reason: str, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(status, reason, message)
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.message
