"""What happens inside a Linux guest, asked of its agent."""

import base64
import json

from hack.lab import Host
from support.waiting import eventually_async


class Inside:
    """A Linux guest, and what happens in it, by its agent."""

    def __init__(self, host: Host, uid: str) -> None:
        self._host = host
        self.uid = uid

    def ask(self, command: str, **arguments: object) -> object:
        question = json.dumps({"execute": command, "arguments": arguments})
        return json.loads(self._host.run("virsh", "qemu-agent-command", self.uid, question).stdout)["return"]

    async def sh(self, script: str) -> str:
        """What it prints."""
        begun = self.ask("guest-exec", path="/bin/sh", arg=["-c", script], **{"capture-output": True})
        assert isinstance(begun, dict)

        def ended() -> dict[str, object] | None:
            status = self.ask("guest-exec-status", pid=begun["pid"])
            assert isinstance(status, dict)
            return status if status["exited"] else None

        status = await eventually_async(ended, f"the guest to do {script}")
        return base64.b64decode(str(status.get("out-data", ""))).decode()

    async def clock(self) -> float:
        """The guest's, in seconds since 1970."""
        return float(await self.sh("date +%s"))
