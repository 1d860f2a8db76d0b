"""The API server's store is put back to an old copy: no guest is ended or started twice, and what is lost is told."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hack.devcluster import wait_installed
from support.agents import ready_of
from support.user import SECTOR, User
from support.waiting import eventually


@contextmanager
def store_at_rest(user: User) -> Iterator[Path]:
    """The folder of etcd while nobody uses it."""
    cluster = user.stack.cluster
    cluster.stop_apiserver(kill=True)
    etcd = cluster.components["etcd"]
    etcd.stop()
    yield cluster.folder / "etcd"
    etcd.start()
    cluster.start_apiserver()
    wait_installed(cluster)


def test_a_store_put_back_to_an_old_copy_ends_no_guest_and_hides_no_loss(user: User, tmp_path: Path) -> None:
    user.create("stays", "goes", **SECTOR)
    stays, goes = user.wait("stays", "Running"), user.wait("goes", "Running")
    with store_at_rest(user) as etcd:
        shutil.copytree(etcd, tmp_path / "backup")
    user.create("new", **SECTOR)
    new = user.wait("new", "Running")
    user.delete("goes")
    pids = {name: user.qemu_pids(instance) for name, instance in (("stays", stays), ("new", new))}

    user.stack.operator().stop()
    with store_at_rest(user) as etcd:
        shutil.rmtree(etcd)
        shutil.copytree(tmp_path / "backup", etcd)

    # What the copy doesn't know runs on, and is told.
    uid, node = new["metadata"]["uid"], new["status"]["nodeName"]
    eventually(lambda: uid in user.orphans(node), "the new Instance's domain to be an orphan", 150)
    user.stack.operator().start()
    # What had been deleted is known again, and no empty disk is made for it.
    eventually(lambda: ready_of(user.get("goes"))["reason"] == "DiskLost", "the loss to be told", 150)
    assert user.qemu_pids(goes) == []
    user.kubectl("annotate", "hypervisor", node, f"orphan.compute.hypernova.dev/{uid}=adopt")
    eventually(lambda: "/new" in user.kubectl("get", "instances", "--output=name"), "its Instance to be made anew", 60)
    user.wait("new", "Running")
    user.wait("stays", "Running")
    assert {name: user.qemu_pids(instance) for name, instance in (("stays", stays), ("new", new))} == pids
    # All is under control: what is asked for is done.
    for name in ("stays", "new", "goes"):
        user.delete(name)
    for instance in (stays, new, goes):
        assert user.leftovers(instance) == []
