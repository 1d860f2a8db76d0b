"""What flavors and images ask of a host, as the scheduler puts it. Pure."""

from __future__ import annotations

from dataclasses import replace

from hypernova_api.architecture import TpmVersion
from hypernova_api.flavor import FlavorSpec
from hypernova_api.image import ImageProperties
from hypernova_api.quantity import Quantity
from hypernova_api.traits import TraitRequirements
from hypernova_operator.scheduler import DeviceWant, Request, Requirement

_NO_TRAITS = TraitRequirements()


def of_flavor(spec: FlavorSpec) -> Request:
    """What any Instance of a flavor wants."""
    traits = spec.traits or _NO_TRAITS
    dedicated = spec.cpu is not None and spec.cpu.policy == "Dedicated"
    return Request(
        spec.vcpus,
        spec.memory.value,
        spec.root_disk.value,
        required_traits=frozenset(traits.required).union(_tpm(spec.tpm_version)),
        forbidden_traits=frozenset(traits.forbidden),
        requirements=tuple(Requirement(r.key, r.operator, tuple(r.values)) for r in spec.aggregate_requirements),
        dedicated=dedicated,
        threads=spec.cpu.thread_policy if spec.cpu and dedicated else "Prefer",
        cells=spec.numa.cells if spec.numa else 0,
        page_size=Quantity(spec.huge_page_size).value if spec.huge_page_size else 0,
        devices=tuple(DeviceWant(d.alias, d.count, d.numa_affinity == "Required") for d in spec.devices),
    )


def with_image(want: Request, sha256: str, properties: ImageProperties | None, host: str = "") -> Request:
    """The same for an Instance of an image; `host` is the only one that has it, where it is a snapshot made there."""
    if properties is None:
        return replace(want, image=sha256, image_host=host)
    traits = properties.traits or _NO_TRAITS
    return replace(
        want,
        image=sha256,
        image_host=host,
        architecture=properties.architecture or "",
        domain_type=properties.domain_type or "",
        firmware=properties.firmware or "",
        required_traits=want.required_traits.union(traits.required, _implied(properties)),
        forbidden_traits=want.forbidden_traits.union(traits.forbidden),
    )


def _implied(properties: ImageProperties) -> frozenset[str]:
    """Traits without which a host could not give what else the properties say."""
    secure = frozenset({"COMPUTE_SECURITY_UEFI_SECURE_BOOT"} if properties.secure_boot == "Required" else ())
    return secure | _tpm(properties.tpm_version)


def _tpm(version: TpmVersion | None) -> frozenset[str]:
    return frozenset({"COMPUTE_SECURITY_TPM_2_0"} if version == "2.0" else ())
