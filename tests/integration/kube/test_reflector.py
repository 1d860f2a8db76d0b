"""The reflector under a real API server that dies, forgets, and loses connections."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from prometheus_client import CollectorRegistry

from hypernova_kube.backoff import Backoff
from hypernova_kube.client import Client
from hypernova_kube.metrics import Metrics
from hypernova_kube.reflector import Change, Reflector
from hypernova_kube.resources import Key, Object, Resource, key_of
from support.proxy import proxied, proxy_of
from support.waiting import eventually_async

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
OURS = "of=test"


class Mirror:
    """A reflector of the test's ConfigMaps in a namespace, with all that it told."""

    def __init__(self, client: Client, registry: CollectorRegistry, namespace: str, **options: float) -> None:
        self.changes: list[Change] = []
        self.namespace = namespace
        self._registry = registry
        self.reflector = Reflector(
            client,
            CONFIG_MAPS,
            self.changes.append,
            namespace=namespace,
            label_selector=OURS,
            backoff=Backoff(base=0.1, cap=0.5),
            **options,
        )

    def told(self) -> list[tuple[str, str]]:
        """What was told since last asked: (added, modified or gone, name)."""
        told = [
            ("added" if change.old is None else "gone" if change.new is None else "modified", change.key.name)
            for change in self.changes
        ]
        self.changes.clear()
        return told

    def has(self, **data: str) -> Callable[[], bool]:
        """Whether it holds just these objects, by name, each with this `n`."""
        return lambda: data == {key.name: obj["data"]["n"] for key, obj in self.reflector.objects.items()}

    def restarts(self, cause: str) -> float:
        labels = {"resource": "configmaps", "cause": cause}
        return self._registry.get_sample_value("hypernova_kube_watch_restarts_total", labels) or 0

    @property
    def lists(self) -> float:
        return self._registry.get_sample_value("hypernova_kube_reflector_lists_total", {"resource": "configmaps"}) or 0


@asynccontextmanager
async def mirroring(kubeconfig: Path, namespace: str, **options: float) -> AsyncIterator[Mirror]:
    registry = CollectorRegistry()
    async with await Client.connect(kubeconfig, metrics=Metrics(registry)) as client:
        mirror = Mirror(client, registry, namespace, **options)
        task = asyncio.create_task(mirror.reflector.run())
        try:
            async with asyncio.timeout(30):
                await mirror.reflector.synced.wait()
            yield mirror
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def put(client: Client, namespace: str, **objects: str) -> list[Object]:
    """Create objects by name, each with its `n`."""
    return [
        await client.create(
            CONFIG_MAPS,
            {"metadata": {"namespace": namespace, "name": name, "labels": {"of": "test"}}, "data": {"n": n}},
        )
        for name, n in objects.items()
    ]


async def change(client: Client, namespace: str, **objects: str) -> None:
    for name, n in objects.items():
        await client.patch(CONFIG_MAPS, name, {"data": {"n": n}}, namespace)


async def remove(client: Client, namespace: str, *names: str) -> None:
    for name in names:
        await client.delete(CONFIG_MAPS, name, namespace)


async def test_it_holds_what_the_server_holds_and_tells_each_change_once(cluster, client, namespace):
    await put(client, namespace, a="1", b="1")
    async with mirroring(cluster.kubeconfig, namespace) as mirror:
        assert mirror.has(a="1", b="1")()
        assert sorted(mirror.told()) == [("added", "a"), ("added", "b")]
        await put(client, namespace, c="1")
        await change(client, namespace, a="2")
        await remove(client, namespace, "b")
        await eventually_async(mirror.has(a="2", c="1"), "the changes")
        assert mirror.told() == [("added", "c"), ("modified", "a"), ("gone", "b")]
        assert "managedFields" not in mirror.reflector.objects[Key(namespace, "a")]["metadata"]
        assert mirror.lists == 1


async def test_an_object_that_leaves_the_selector_is_gone(cluster, client, namespace):
    await put(client, namespace, a="1")
    async with mirroring(cluster.kubeconfig, namespace) as mirror:
        mirror.told()
        await client.patch(CONFIG_MAPS, "a", {"metadata": {"labels": {"of": None}}}, namespace)
        await eventually_async(mirror.has(), "its leaving")
        await client.patch(CONFIG_MAPS, "a", {"metadata": {"labels": {"of": "test"}}}, namespace)
        await eventually_async(mirror.has(a="1"), "its coming back")
        assert mirror.told() == [("gone", "a"), ("added", "a")]


async def test_a_cut_watch_misses_nothing_and_lists_nothing(cluster, client, namespace, tmp_path):
    await put(client, namespace, a="1", b="1")
    async with proxy_of(cluster) as proxy, mirroring(proxied(cluster, proxy, tmp_path), namespace) as mirror:
        for n in ("2", "3", "4"):
            mirror.told()
            proxy.refuse()
            await change(client, namespace, a=n)
            proxy.serve()
            await eventually_async(mirror.has(a=n, b="1"), "what happened meanwhile")
            assert mirror.told() == [("modified", "a")]
        assert mirror.restarts("unreachable") >= 1
        assert mirror.lists == 1


async def test_a_silent_watch_is_noticed_and_misses_nothing(cluster, client, namespace, tmp_path):
    await put(client, namespace, a="1")
    async with (
        proxy_of(cluster) as proxy,
        mirroring(proxied(cluster, proxy, tmp_path), namespace, inactivity_timeout=2.0) as mirror,
    ):
        await change(client, namespace, a="2")
        await eventually_async(mirror.has(a="2"), "the watch to follow")
        mirror.told()
        proxy.stall()
        await change(client, namespace, a="3")
        await eventually_async(mirror.has(a="3"), "the change, by another connection")
        assert mirror.told() == [("modified", "a")]
        assert mirror.restarts("stalled") >= 1


async def test_bookmarks_keep_an_idle_watch_from_being_taken_for_dead(cluster, namespace):
    async with mirroring(cluster.kubeconfig, namespace) as mirror:
        # The server sends one about every minute; to see one soon, end the watch: the last word is a bookmark.
        watch = mirror.reflector._client.watch(
            CONFIG_MAPS, resource_version="0", namespace=namespace, label_selector=OURS, timeout_seconds=3
        )
        kinds = [event.type async for event in watch]
        assert kinds[-1:] == ["BOOKMARK"]


async def test_after_a_restart_of_the_server_unchanged_objects_tell_nothing(own_cluster):
    async with (
        await Client.connect(own_cluster.kubeconfig) as client,
        mirroring(own_cluster.kubeconfig, "default") as mirror,
    ):
        await put(client, "default", a="1", b="1")
        await eventually_async(mirror.has(a="1", b="1"), "the objects")
        mirror.told()
        for n, kill in (("2", True), ("3", False)):
            await asyncio.to_thread(own_cluster.stop_apiserver, kill=kill)
            await asyncio.to_thread(own_cluster.start_apiserver)
            await change(client, "default", a=n)
            await eventually_async(mirror.has(a=n, b="1"), "a change on the new server")
            assert mirror.told() == [("modified", "a")]


async def test_what_the_server_has_forgotten_is_listed_and_what_vanished_is_told(own_cluster, tmp_path):
    async with (
        proxy_of(own_cluster) as proxy,
        await Client.connect(own_cluster.kubeconfig) as client,
        mirroring(proxied(own_cluster, proxy, tmp_path), "default") as mirror,
    ):
        await put(client, "default", kept="1", changed="1", removed="1", recreated="1")
        await eventually_async(mirror.has(kept="1", changed="1", removed="1", recreated="1"), "the objects")
        mirror.told()
        first = mirror.reflector.objects[Key("default", "recreated")]["metadata"]["uid"]
        proxy.refuse()
        await change(client, "default", changed="2")
        await remove(client, "default", "removed", "recreated")
        (recreated,) = await put(client, "default", recreated="1")
        # A new server remembers changes from its own start on only.
        await asyncio.to_thread(own_cluster.stop_apiserver, kill=True)
        await asyncio.to_thread(own_cluster.start_apiserver)
        proxy.serve()
        await eventually_async(mirror.has(kept="1", changed="2", recreated="1"), "what is there now")
        told = mirror.told()
        assert sorted(told) == [
            ("added", "recreated"),
            ("gone", "recreated"),
            ("gone", "removed"),
            ("modified", "changed"),
        ]
        assert told.index(("gone", "recreated")) < told.index(("added", "recreated"))
        assert mirror.reflector.objects[key_of(recreated)]["metadata"]["uid"] != first
        assert mirror.restarts("expired") == 1
        assert mirror.lists == 2


async def test_a_cluster_restored_from_a_backup_is_held_as_it_is_now(own_cluster, tmp_path):
    async with (
        await Client.connect(own_cluster.kubeconfig) as client,
        mirroring(own_cluster.kubeconfig, "default", inactivity_timeout=3.0) as mirror,
    ):
        await put(client, "default", old="1")
        await asyncio.to_thread(own_cluster.down)
        shutil.copytree(own_cluster.folder / "etcd", tmp_path / "backup")
        await asyncio.to_thread(own_cluster.up)
        # What the restored server has not heard of, at versions that lie ahead of it.
        await put(client, "default", **{f"new-{number}": "1" for number in range(100)})
        await eventually_async(lambda: len(mirror.reflector.objects) == 101, "the new objects")
        await asyncio.to_thread(own_cluster.down)
        shutil.rmtree(own_cluster.folder / "etcd")
        shutil.copytree(tmp_path / "backup", own_cluster.folder / "etcd")
        await asyncio.to_thread(own_cluster.up)
        await eventually_async(mirror.has(old="1"), "the objects of the backup", seconds=60)
