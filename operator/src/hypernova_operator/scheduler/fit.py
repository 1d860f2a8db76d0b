"""Packing one Instance into the cells and devices of one host. Pure."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from hypernova_operator.scheduler.claims import AllocatedCell, Allocation, Taken
from hypernova_operator.scheduler.host import Device, Host
from hypernova_operator.scheduler.packing.cells import Offer, Share, choose, offers
from hypernova_operator.scheduler.request import DeviceWant, Request
from hypernova_operator.scheduler.resources import needed

_CORES = {"Prefer": "", "Require": " on whole cores", "Isolate": " with a core each"}


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why amounts that suffice on the whole host can't be had together."""

    reason: str
    """What follows the number of such hosts in the sentence: `can't fit 2 NUMA cells of 4 dedicated CPUs and 4Gi each`.
    Of the request alone, so that hosts which lack the same are counted together."""


def fit(host: Host, taken: Taken, want: Request) -> Allocation | Misfit:
    """What the Instance gets of the host's cells, CPUs, huge pages and devices. The same for the same, always.

    The guest has as many cells as it asks for; one, if it asks for none but for dedicated CPUs, huge pages or near
    devices; else none, and gets devices only. Virtual CPUs and memory are split evenly over them (flavors that can't
    be are not accepted), and each goes to a different cell of the host.

    - Dedicated CPUs are those set apart in that cell that nobody has; which of them, `packing.cores` says. Shared ones
      float: the cell must have some.
    - Memory is the cell's own, never overcommitted: ordinary, or huge pages of the size asked for.
    - Devices, each kind asked for once: those that must be near are in one of these cells; one whose cell is not known
      is near to none. The others are there too where it can be had.

    Which cells, `packing.cells` says. Whatever can be packed is: CPUs within a cell are as good as each other but for
    whole cores, so a cell that fits does whichever others are chosen, and only near devices need combinations tried.
    """
    free = [device for device in host.devices if device.address not in taken.devices]
    number = want.cells or int(bool(want.dedicated or want.page_size or any(device.near for device in want.devices)))
    chosen: Sequence[Offer] = ()
    share = Share(0, 0)
    if number:
        share = Share(want.vcpus // number, want.memory // number)
        found = list(offers(host, taken, want, share))
        if len(found) < number:
            return Misfit(f"can't fit {_in_words(want, number, share)}")
        chosen = choose(found, number, want.devices, free)
        if not chosen:
            near = [device for device in want.devices if device.near]
            return Misfit(f"can't give {_devices(near)} in the guest's NUMA cells")
    devices = _pick(free, want.devices, {offer.cell for offer in chosen})
    if devices is None:
        return Misfit(f"can't give {_devices(want.devices)}")
    return Allocation(tuple(_cell(place, offer, share, want) for place, offer in enumerate(chosen)), devices)


def _cell(place: int, offer: Offer, share: Share, want: Request) -> AllocatedCell:
    vcpus = range(place * share.vcpus, (place + 1) * share.vcpus)
    return AllocatedCell(
        offer.cell, tuple(vcpus), offer.pinned.cpus, share.memory, want.page_size, tuple(sorted(offer.pinned.idle))
    )


def _pick(free: Sequence[Device], wants: Sequence[DeviceWant], cells: Set[int]) -> tuple[tuple[str, str], ...] | None:
    """Devices in these cells first, then those that are near to none, as nobody can ask for that."""
    by_distance = sorted(free, key=lambda device: (device.cell not in cells, device.cell is not None, device.address))
    picked: list[tuple[str, str]] = []
    for want in wants:
        of_kind = [device for device in by_distance if device.alias == want.alias][: want.count]
        if len(of_kind) < want.count:
            return None
        picked += ((device.alias, device.address) for device in of_kind)
    return tuple(picked)


def _in_words(want: Request, number: int, share: Share) -> str:
    kind = "dedicated CPU" if want.dedicated else "vCPU"
    cpus = f"{share.vcpus} {kind}{'' if share.vcpus == 1 else 's'}{_CORES[want.threads] if want.dedicated else ''}"
    pages = f" of {needed(want.page_size)} pages" if want.page_size else ""
    size = f"{cpus} and {needed(share.memory)}{pages}"
    return f"{size} in one NUMA cell" if number == 1 else f"{number} NUMA cells of {size} each"


def _devices(wants: Sequence[DeviceWant]) -> str:
    return " and ".join(f"{want.count} {want.alias}" for want in wants)
