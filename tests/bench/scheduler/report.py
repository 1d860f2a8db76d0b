"""Ours beside Nova's: as figures for programs, as a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.scheduler.measuring import Figures

NOVA_HEADINGS = ("Nova P50", "P95", "ratio", "whole P50", "P95", "ratio")
HEADINGS = ("hosts", "group", "P50 ms", "P95", "MiB", *NOVA_HEADINGS)


@dataclass(frozen=True, slots=True)
class Row:
    """One cloud."""

    hosts: int
    group: bool
    ours: Figures
    nova: Figures | None
    """None where Nova was not measured."""

    @property
    def name(self) -> str:
        """E.g. `scheduler_1000_hosts_group`."""
        return f"scheduler_{self.hosts}_hosts" + ("_group" if self.group else "")

    @property
    def figures(self) -> Figures:
        """All of them, and how many times as long as ours Nova's decision and Nova's whole request take."""
        figures = {f"ours_{key}": value for key, value in self.ours.items()}
        if self.nova:
            figures |= {f"nova_{key}": value for key, value in self.nova.items()}
            figures["decision_ratio"] = self.nova["decision_p50_ms"] / self.ours["decision_p50_ms"]
            figures["whole_ratio"] = self.nova["whole_p50_ms"] / self.ours["decision_p50_ms"]
        return figures

    @property
    def cells(self) -> list[str]:
        """In the order of the table's headings."""
        cells = [f"{self.hosts:,}", "yes" if self.group else "no"]
        cells += [f"{self.ours[key]:.3f}" for key in ("decision_p50_ms", "decision_p95_ms")]
        cells.append(f"{self.ours['memory_mib']:.1f}")
        if self.nova is None:
            return cells + ["-"] * len(NOVA_HEADINGS)
        for what in ("decision", "whole"):
            cells += [f"{self.nova[f'{what}_p{percent}_ms']:,.1f}" for percent in (50, 95)]
            cells.append(f"{self.figures[f'{what}_ratio']:,.0f}")
        return cells


def table(rows: Sequence[Row]) -> str:
    """The rows under their headings, all aligned right."""
    lines = [list(HEADINGS), *(row.cells for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
