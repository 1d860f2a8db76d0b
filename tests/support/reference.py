"""The scheduler in plain Python: one host at a time, one function a rule, nothing kept that can be counted anew.

It says what hypernova_operator.scheduler should decide, and is written from what the rules promise, not from how they
are reckoned there: a fault that both have is one that was thought twice. Only the packing of one host is the real one
(`fit`), which has tests of its own against brute force.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypernova_operator.scheduler import NOTHING, Claim, Host, Reserve, Resources
from hypernova_operator.scheduler.claims import Taken


@dataclass
class Cloud:
    """What a HostTable was told, as it was told."""

    hosts: dict[str, Host] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    fetched: set[tuple[str, str]] = field(default_factory=set)
    """Image and host, of every claim there has been."""
    reserves: dict[str, Reserve] = field(default_factory=dict)

    def claim(self, key: str, claim: Claim) -> None:
        """Take something of a host."""
        self.claims[key] = claim
        if claim.image:
            self.fetched.add((claim.image, claim.host))

    def claims_on(self, name: str) -> list[Claim]:
        """All claims on a host."""
        return [claim for claim in self.claims.values() if claim.host == name]

    def claimed(self, name: str) -> Resources:
        """Their sum."""
        return sum((claim.resources for claim in self.claims_on(name)), start=NOTHING)

    def free(self, name: str) -> Resources:
        """What is left of a host; negative where it is too small for what it has."""
        return self.hosts[name].total - self.claimed(name)

    def members_on(self, name: str, group: str) -> int:
        """How many members of a group are on a host."""
        return sum(claim.group == group for claim in self.claims_on(name))

    def taken(self, name: str) -> Taken:
        """What allocations hold of a host."""
        held = Taken()
        for claim in self.claims_on(name):
            for cell in claim.allocation.cells:
                held.cpus |= {*cell.cpus, *cell.idle_cpus}
                if cell.page_size:
                    held.huge_pages[cell.cell, cell.page_size] += cell.memory
                else:
                    held.memory[cell.cell] += cell.memory
            held.devices |= {address for _, address in claim.allocation.devices}
        return held

    def dedicated_free(self, name: str) -> int:
        """Dedicated CPUs of a host that nobody has."""
        return len(self.hosts[name].dedicated - self.taken(name).cpus)

    def devices_free(self, name: str, alias: str) -> int:
        """Devices of a kind that nobody has."""
        held = self.taken(name).devices
        return len(
            [device for device in self.hosts[name].devices if device.alias == alias and device.address not in held]
        )

    def huge_pages_free(self, name: str, page_size: int) -> int:
        """Bytes of huge pages of a size that nobody has."""
        held = self.taken(name).huge_pages
        cells = self.hosts[name].cells
        return sum(cell.huge_pages.get(page_size, 0) - held[cell.id, page_size] for cell in cells)
