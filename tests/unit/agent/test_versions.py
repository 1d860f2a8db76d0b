"""Which libvirt and QEMU a host may have."""

import pytest

from hypernova_agent.host import HostTooOld
from hypernova_agent.versions import OLDEST_LIBVIRT, OLDEST_QEMU, refuse_too_old


@pytest.mark.parametrize(
    ("libvirt", "qemu"),
    [
        pytest.param("9.0.0", "7.2.0", id="debian-12"),
        pytest.param("8.0.0", "6.2.0", id="ubuntu-22.04"),
        pytest.param("10.0.0", "8.2.2", id="two-digits"),
        pytest.param(OLDEST_LIBVIRT, OLDEST_QEMU, id="the-oldest"),
    ],
)
def test_a_host_that_is_new_enough_is_taken(libvirt: str, qemu: str) -> None:
    refuse_too_old(libvirt, qemu)


@pytest.mark.parametrize(
    ("libvirt", "qemu", "words"),
    [
        pytest.param("6.0.0", "4.2.0", "libvirt 6.0.0 is too old: Hypernova needs 8.0.0 or newer", id="ubuntu-20.04"),
        pytest.param("7.0.0", "5.2.0", "libvirt 7.0.0 is too old: Hypernova needs 8.0.0 or newer", id="debian-11"),
        pytest.param("7.10.99", "7.2.0", "libvirt 7.10.99 is too old", id="just-not"),
        pytest.param("9.0.0", "5.0.1", "QEMU 5.0.1 is too old: Hypernova needs 5.1.0 or newer", id="old-qemu"),
    ],
)
def test_a_host_that_is_too_old_is_refused_with_what_is_needed(libvirt: str, qemu: str, words: str) -> None:
    with pytest.raises(HostTooOld) as refused:
        refuse_too_old(libvirt, qemu)
    assert str(refused.value).startswith(words)
    assert str(refused.value).endswith("; upgrade it on this node")
