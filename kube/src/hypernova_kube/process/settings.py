"""A component's settings: one frozen dataclass. (Signatures; the bodies follow.)"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

S = TypeVar("S")


def parse(cls: type[S], argv: Sequence[str], environ: Mapping[str, str]) -> S:
    """The settings that command line (first) and environment (`HYPERNOVA_<NAME>`) give; defaults for the rest.

    Field types: str, int, float, bool, Path, Literal["a", "b"], tuple[str, ...], and each of them `| None`.
    A wrong value ends the process with status 2 and one line that says which and why, as `--help` does with 0.
    """
    raise NotImplementedError
