"""What a host can do, in os-traits' names: https://docs.openstack.org/os-traits/latest/

Only what a guest of ours really gets: an Image that relies on a trait must find it in the guest. A SATA disk that QEMU
could give, but no guest of ours has, is no trait of the host.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from hypernova_agent.host import HostCell

_X86 = "HW_CPU_X86_"

_CPU_FEATURES = {
    "3dnow": ("3DNOW",),
    "abm": ("ABM",),
    "aes": ("AESNI",),
    "amd-no-ssb": ("AMD_NO_SSB",),
    "amd-ssbd": ("AMD_SSBD",),
    "amd-stibp": ("STIBP",),
    "amx-bf16": ("AMXBF16",),
    "amx-int8": ("AMXINT8",),
    "amx-tile": ("AMXTILE",),
    "avx": ("AVX",),
    "avx2": ("AVX2",),
    "avx512-vpopcntdq": ("AVX512VPOPCNTDQ",),
    "avx512bitalg": ("AVX512BITALG",),
    "avx512bw": ("AVX512BW",),
    "avx512cd": ("AVX512CD",),
    "avx512dq": ("AVX512DQ",),
    "avx512er": ("AVX512ER",),
    "avx512f": ("AVX512F",),
    "avx512ifma": ("AVX512IFMA",),
    "avx512pf": ("AVX512PF",),
    "avx512vbmi": ("AVX512VBMI",),
    "avx512vbmi2": ("AVX512VBMI2",),
    "avx512vl": ("AVX512VL",),
    "avx512vnni": ("AVX512VNNI",),
    "bmi1": ("BMI",),
    "bmi2": ("BMI2",),
    "f16c": ("F16C",),
    "fma": ("FMA3",),
    "fma4": ("FMA4",),
    "ibpb": ("AMD_IBPB",),
    "md-clear": ("INTEL_MD_CLEAR",),
    "mmx": ("MMX",),
    "mpx": ("MPX",),
    "pcid": ("INTEL_PCID",),
    "pclmuldq": ("CLMUL",),
    "pdpe1gb": ("PDPE1GB",),
    "pni": ("SSE3",),
    "rtm": ("TSX",),
    "sgx": ("SGX",),
    "sha-ni": ("SHA",),
    "spec-ctrl": ("INTEL_SPEC_CTRL",),
    "ssbd": ("INTEL_SSBD",),
    "sse": ("SSE",),
    "sse2": ("SSE2",),
    "sse4.1": ("SSE41",),
    "sse4.2": ("SSE42",),
    "sse4a": ("SSE4A",),
    "ssse3": ("SSSE3",),
    "stibp": ("STIBP",),
    "svm": ("SVM", "AMD_SVM"),
    "tbm": ("TBM",),
    "virt-ssbd": ("AMD_VIRT_SSBD",),
    "vmx": ("VMX", "INTEL_VMX"),
    "xop": ("XOP",),
}
"""By the names of libvirt's cpu_map/x86_features.xml."""

_WITH_AVX512 = {"gfni": "AVX512GFNI", "vaes": "AVX512VAES", "vpclmulqdq": "AVX512VPCLMULQDQ"}
"""Features that processors without AVX-512 have, too, while the traits are about AVX-512."""

_DEVICES = {
    ("disk", "bus", "virtio"): "COMPUTE_STORAGE_BUS_VIRTIO",
    ("video", "modelType", "vga"): "COMPUTE_GRAPHICS_MODEL_VGA",
}
"""What guests of ours have, by element, enum and value of libvirt's domain capabilities."""

_TPM = frozenset({("tpm", "model", "tpm-crb"), ("tpm", "backendModel", "emulator"), ("tpm", "backendVersion", "2.0")})
"""What a guest's TPM is, all of it."""

_ALWAYS = frozenset({"COMPUTE_NET_VIF_MODEL_VIRTIO", "COMPUTE_IMAGE_TYPE_QCOW2", "COMPUTE_IMAGE_TYPE_RAW"})
"""libvirt tells of no models of network cards; the images are our own business."""

_ARCHITECTURES = {
    "aarch64": ("HW_ARCH_AARCH64", "COMPUTE_ARCH_AARCH64"),
    "ppc64le": ("HW_ARCH_PPC64LE", "COMPUTE_ARCH_PPC64LE"),
    "riscv64": ("COMPUTE_ARCH_RISCV64",),
    "s390x": ("HW_ARCH_S390X", "COMPUTE_ARCH_S390X"),
    "x86_64": ("HW_ARCH_X86_64", "COMPUTE_ARCH_X86_64"),
}


def cpu_traits(features: Iterable[str]) -> frozenset[str]:
    """What the processor of an x86 guest can do, from libvirt's names of its features."""
    features = frozenset(features)
    names = {name for feature in features for name in _CPU_FEATURES.get(feature, ())}
    if "avx512f" in features:
        names |= {name for feature, name in _WITH_AVX512.items() if feature in features}
    return frozenset(_X86 + name for name in names)


def device_traits(devices: Iterable[tuple[str, str, str]]) -> frozenset[str]:
    """What guests' devices can be, from libvirt's element, enum and value of each."""
    return _ALWAYS | {_DEVICES[device] for device in devices if device in _DEVICES}


def firmware_traits(firmware: Iterable[str]) -> frozenset[str]:
    """What guests can boot by."""
    return frozenset(f"COMPUTE_FIRMWARE_{name}" for name in firmware)


def security_traits(devices: Collection[tuple[str, str, str]], *, secure_boot: bool) -> frozenset[str]:
    """What guests that ask for it can have to keep secrets and to boot only what is signed."""
    tpm = {"COMPUTE_SECURITY_TPM_2_0", "COMPUTE_SECURITY_TPM_CRB"} if _TPM.issubset(devices) else ()
    return frozenset([*tpm, *(["COMPUTE_SECURITY_UEFI_SECURE_BOOT"] if secure_boot else [])])


def host_traits(architecture: str, cells: Iterable[HostCell]) -> frozenset[str]:
    """What the host itself is."""
    threads = any(len(core) > 1 for cell in cells for core in cell.cores)
    return frozenset([*_ARCHITECTURES.get(architecture, ()), *(["HW_CPU_HYPERTHREADING"] if threads else [])])
