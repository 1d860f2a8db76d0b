"""What an Instance got of its host beside amounts, as its status has it and as the scheduler does. Pure."""

from __future__ import annotations

from typing import cast

from hypernova_api import instance as api
from hypernova_api.flavor import PageSize
from hypernova_api.quantity import Quantity
from hypernova_operator.scheduler import AllocatedCell, Allocation


def read(allocation: api.Allocation) -> Allocation:
    """From a status."""
    return Allocation(
        tuple(_read_cell(cell) for cell in allocation.cells),
        tuple((device.alias, device.address) for device in allocation.devices),
    )


def written(allocation: Allocation) -> api.Allocation:
    """For a status."""
    return api.Allocation(
        cells=[_written_cell(cell) for cell in allocation.cells],
        devices=[api.AllocatedDevice(alias=alias, address=address) for alias, address in allocation.devices],
    )


def _read_cell(cell: api.GuestCell) -> AllocatedCell:
    return AllocatedCell(
        cell.cell,
        tuple(cell.vcpus),
        tuple(cell.cpus),
        cell.memory.value,
        Quantity(cell.huge_page_size).value if cell.huge_page_size else 0,
        tuple(cell.idle_cpus),
    )


def _written_cell(cell: AllocatedCell) -> api.GuestCell:
    # There are no other sizes, as requests ask for none.
    page_size = cast(PageSize, str(Quantity.of_bytes(cell.page_size))) if cell.page_size else None
    return api.GuestCell(
        cell=cell.cell,
        vcpus=list(cell.vcpus),
        cpus=list(cell.cpus),
        idle_cpus=list(cell.idle_cpus),
        memory=Quantity.of_bytes(cell.memory),
        huge_page_size=page_size,
    )
