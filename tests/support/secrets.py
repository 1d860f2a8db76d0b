"""What the conductor hands out, in memory."""

from hypernova_agent.user_data import InSecret


class Secrets:
    """Answers all the same: `fetch` is a `hypernova_agent.user_data.FetchUserData`."""

    def __init__(self, content: bytes = b"#!/bin/sh\necho of a Secret\n") -> None:
        self.content = content
        self.refuses: Exception | None = None
        self.asked: list[InSecret] = []

    async def fetch(self, source: InSecret) -> bytes:
        self.asked.append(source)
        if self.refuses is not None:
            raise self.refuses
        return self.content
