"""Which hosts a lab can have, and where; none of this needs root."""

from pathlib import Path

import pytest

from hack.lab import Lab, LabError


def test_hosts_are_numbered_as_they_come_and_known_to_whoever_opens_the_folder(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    for name in ("node-b", "node-a", "node-b"):
        lab.host(name)
    hosts = Lab(tmp_path).hosts
    assert [(host.name, host.address) for host in hosts] == [("node-b", "10.99.0.1"), ("node-a", "10.99.0.2")]
    assert not any(host.is_up for host in hosts)


def test_hosts_know_each_other_by_name(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.host("node-a")
    lab.host("node-b")
    names = (tmp_path / ".lab" / "hosts").read_text()
    assert names == "127.0.0.1 localhost\n10.99.0.1 node-a\n10.99.0.2 node-b\n"


@pytest.mark.parametrize("name", ["", "Node", "a_b", "-a", "a-", "a.b", "..", "a/b", "a" * 64])
def test_a_name_that_is_no_host_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LabError, match="is no host name"):
        Lab(tmp_path).host(name)
    assert Lab(tmp_path).hosts == []


def test_a_folder_too_long_for_libvirts_socket_is_refused_with_the_figures(tmp_path: Path) -> None:
    lab = Lab(tmp_path / ("x" * 100))
    with pytest.raises(LabError, match=r"libvirt-sock has \d+ bytes, a socket's path at most 107"):
        lab.host("node-a")
    assert lab.hosts == []


@pytest.mark.parametrize("folder", ["/run/lab", "/var/lib/libvirt/lab", "/proc"])
def test_a_folder_that_hosts_would_not_see_is_refused(folder: str) -> None:
    with pytest.raises(LabError, match="must not be under"):
        Lab(Path(folder))


def test_a_lab_that_was_never_up_can_be_taken_down(tmp_path: Path) -> None:
    Lab(tmp_path).down()


def test_paths_of_a_host_are_found_on_the_machine_and_others_refused(tmp_path: Path) -> None:
    host = Lab(tmp_path).host("node-a")
    assert host.path("/var/lib/libvirt/images/x") == tmp_path / "node-a/var/lib/libvirt/images/x"
    with pytest.raises(ValueError, match="/usr/bin is not one of the host's own paths"):
        host.path("/usr/bin")


def test_nothing_runs_in_a_host_that_is_down(tmp_path: Path) -> None:
    host = Lab(tmp_path).host("node-a")
    assert host.pids() == []
    assert host.service("libvirtd") is None
    host.power_cut()
    host.stop_libvirtd()
    with pytest.raises(LabError, match="host node-a is down"):
        host.run("true")
    with pytest.raises(LabError, match="libvirtd does not run on node-a"):
        host.kill_libvirtd()
    with pytest.raises(LabError, match="the lab is down"):
        host.disconnect()
