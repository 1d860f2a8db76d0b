"""What a host can do, in os-traits' names."""

import re

from hypernova_agent import traits
from hypernova_agent.host import HostCell
from hypernova_agent.traits import cpu_traits, device_traits, firmware_traits, host_traits, security_traits


def test_features_that_os_traits_has_a_name_for_become_traits() -> None:
    assert cpu_traits(["avx2", "pni", "svm", "x2apic", "erms"]) == {
        "HW_CPU_X86_AVX2",
        "HW_CPU_X86_SSE3",
        "HW_CPU_X86_SVM",
        "HW_CPU_X86_AMD_SVM",
    }


def test_instructions_that_came_with_avx_512_count_as_such_only_where_it_is() -> None:
    assert cpu_traits(["vaes", "gfni"]) == frozenset()
    assert cpu_traits(["vaes", "avx512f"]) == {"HW_CPU_X86_AVX512F", "HW_CPU_X86_AVX512VAES"}


def test_devices_that_no_guest_of_ours_has_are_no_traits() -> None:
    offered = [
        ("disk", "bus", "virtio"),
        ("disk", "bus", "sata"),
        ("tpm", "model", "tpm-crb"),
        ("video", "modelType", "vga"),
    ]
    told = device_traits(offered)
    assert {"COMPUTE_STORAGE_BUS_VIRTIO", "COMPUTE_GRAPHICS_MODEL_VGA", "COMPUTE_NET_VIF_MODEL_VIRTIO"} <= told
    assert not [trait for trait in told if "SATA" in trait or "TPM" in trait]


_TPM = [("tpm", "model", "tpm-crb"), ("tpm", "backendModel", "emulator"), ("tpm", "backendVersion", "2.0")]


def test_a_tpm_is_told_of_only_where_all_of_it_is_there() -> None:
    assert security_traits(_TPM, secure_boot=False) == {"COMPUTE_SECURITY_TPM_2_0", "COMPUTE_SECURITY_TPM_CRB"}
    for missing in _TPM:
        assert security_traits([part for part in _TPM if part != missing], secure_boot=False) == frozenset()


def test_secure_boot_is_told_of() -> None:
    assert security_traits([], secure_boot=True) == {"COMPUTE_SECURITY_UEFI_SECURE_BOOT"}


def test_firmware_architecture_and_threads_are_told() -> None:
    assert firmware_traits(["BIOS", "UEFI"]) == {"COMPUTE_FIRMWARE_BIOS", "COMPUTE_FIRMWARE_UEFI"}
    single = HostCell(0, (frozenset({0}), frozenset({1})), 1)
    double = HostCell(0, (frozenset({0, 1}),), 1)
    assert host_traits("x86_64", [single]) == {"HW_ARCH_X86_64", "COMPUTE_ARCH_X86_64"}
    assert "HW_CPU_HYPERTHREADING" in host_traits("x86_64", [double])


def test_every_name_is_one_the_api_takes() -> None:
    features = [*traits._CPU_FEATURES, *traits._WITH_AVX512]
    told = cpu_traits(features) | device_traits(traits._DEVICES) | security_traits(_TPM, secure_boot=True)
    for trait in told:
        assert re.fullmatch(r"[A-Z][A-Z0-9_]*", trait)
