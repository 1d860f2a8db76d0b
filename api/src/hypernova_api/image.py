"""Image: what a root disk starts from."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from hypernova_api.architecture import (
    Architecture,
    DomainType,
    Firmware,
    OsType,
    SecureBoot,
    TpmVersion,
    WatchdogAction,
)
from hypernova_api.meta import AGE, Column, Kind, Model, Name, Rule
from hypernova_api.quantity import Quantity, at_least
from hypernova_api.traits import TraitRequirements

Format = Literal["qcow2", "raw"]


class ImageSource(Model):
    """Where an image's bytes come from. Every agent that needs them downloads them once and keeps them."""

    url: Annotated[str, Field(max_length=2048, pattern=r"^https?://[^\s]+$")] | None = None
    """http or https address of the file, uncompressed."""

    node_name: Name | None = None
    """The node that has the file, made there by a snapshot: Instances that use it go there."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the file, 64 lower-case hex digits: what doesn't match is never used."""

    rules: ClassVar[list[Rule]] = [
        Rule(
            "has(self.url) != has(self.nodeName)",
            "give exactly one: url, or nodeName for what a snapshot left on a node",
            "FieldValueRequired",
        ),
    ]


class ImageProperties(Model):
    """What a host must be, to run what is in the image. (Nova: image properties.)"""

    architecture: Architecture | None = None
    """The processor it is compiled for; any when absent. (Nova: hw_architecture.)"""

    domain_type: DomainType | None = None
    """`kvm` where emulation would not do, or `qemu`; either when absent. (Nova: img_hv_type.)"""

    firmware: Firmware | None = None
    """What it boots by; whatever the host has when absent. (Nova: hw_firmware_type.)"""

    secure_boot: SecureBoot | None = None
    """Whether UEFI boots only what is signed; `Disabled` when absent. (Nova: os_secure_boot.)"""

    tpm_version: TpmVersion | None = None
    """Gives the guest a TPM, whose secrets are on its host's disk; `"2.0"`, quoted. (Nova: hw_tpm_version.)"""

    watchdog: WatchdogAction | None = None
    """What happens to a guest that hangs; what its flavor says when absent. (Nova: hw_watchdog_action.)"""

    os_type: OsType | None = None
    """`Windows` gives it a clock in local time and Hyper-V's interfaces. (Nova: os_type.)"""

    traits: TraitRequirements | None = None
    """What the host must and must not be able to do: `HW_CPU_X86_AVX2`, `COMPUTE_STORAGE_BUS_SATA`."""

    rules: ClassVar[list[Rule]] = [
        Rule(
            "!has(self.secureBoot) || self.secureBoot == 'Disabled' || (has(self.firmware) && self.firmware == 'UEFI')",
            "secureBoot is a matter of UEFI: set firmware: UEFI, or secureBoot: Disabled",
            field=".secureBoot",
        )
    ]


class ImageSpec(Model):
    """The image's source and what it needs."""

    source: ImageSource
    """Where the bytes come from."""

    format: Format
    """The file's format. It is checked, never guessed: a qcow2 with a backing or data file is refused."""

    min_disk: Quantity = Quantity("0")
    """Smallest root disk a flavor may give it (Nova: min_disk)."""

    min_memory: Quantity = Quantity("0")
    """Smallest memory a flavor may give it (Nova: min_ram)."""

    properties: ImageProperties | None = None
    """What a host must be, to run it."""

    rules: ClassVar[list[Rule]] = [
        Rule(
            "self.source.sha256 == oldSelf.source.sha256 && self.format == oldSelf.format",
            "an Image's content cannot change: make a new Image (its url may move)",
            "FieldValueForbidden",
            ".source",
        ),
        at_least("minDisk", "0", "4Gi"),
        at_least("minMemory", "0", "512Mi"),
    ]


class Image(Kind, short_names=("img",)):
    """What a root disk starts from: a file fetched by URL and verified by its SHA-256."""

    spec: ImageSpec
    """The image's source and what it needs."""

    columns: ClassVar[list[Column]] = [
        Column("Format", ".spec.format"),
        Column("URL", ".spec.source.url"),
        Column("SHA256", ".spec.source.sha256", priority=1),
        Column("Min Disk", ".spec.minDisk", priority=1),
        Column("Min Memory", ".spec.minMemory", priority=1),
        AGE,
    ]
