"""What a host does with a guest that does its part: an operating system with drivers, and an agent."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from hack.guest import Guest
from hack.lab import Host
from hypernova_agent.host import DomainState, GuestUnreachable, Link
from hypernova_agent.xml.guest import DiskConfig, InterfaceConfig, domain_xml, interface_xml
from hypernova_agent.xml.live import agent_connected
from support.host_contract import MIB, Subject
from support.inside import Inside
from support.life_contract import look, now_running, reported
from support.waiting import eventually_async

ROOT = "linux-root.qcow2"
"""The guest's disk, before its subject's part of the name."""


async def linux(subject: Subject, host: Host, guest: Guest) -> Inside:
    """A Linux guest that runs, with room to grow, and its agent."""
    image, disk = subject.name("linux.qcow2"), subject.name(ROOT)
    await subject.host.upload(image, _pieces(guest.qcow2), size=guest.qcow2.stat().st_size)
    await subject.host.create_overlay(disk, backing=image, backing_format="qcow2", capacity=128 * MIB)
    config = replace(
        await subject.guest(),
        memory=96 * MIB,
        max_memory=224 * MIB,
        disks=(DiskConfig(disk, "qcow2"),),
        interfaces=(),
    )
    await subject.host.define(domain_xml(config))
    await subject.host.start(config.owner.uid)

    async def ready() -> bool:
        return b"HYPERNOVA-GUEST READY" in await subject.console(config.owner.uid)

    await eventually_async(ready, "the guest to be ready", 120)
    inside = Inside(host, config.owner.uid)

    def answers() -> bool:
        return agent_connected(host.run("virsh", "dumpxml", inside.uid).stdout)

    await eventually_async(answers, "the guest's agent")
    return inside


async def test_what_a_guest_has_changes_while_it_runs(subject: Subject, host: Host, guest: Guest) -> None:
    inside = await linux(subject, host, guest)
    uid, disk = inside.uid, subject.name(ROOT)

    # More, and less again; nothing that fits no block of 2 MiB. (No second CPU: emulating a guest that has used up its
    # translation buffers, QEMU 7.2 dies of it.)
    for asked, taken in ((224 * MIB, 224 * MIB), (133 * MIB, 132 * MIB)):
        subject.events.clear()
        await subject.host.set_memory(uid, asked)

        async def there(taken: int = taken) -> bool:
            return (await now_running(subject, uid)).memory == taken

        await eventually_async(there, f"the guest to have {taken} bytes of memory")
        await reported(subject, uid)

    await subject.host.resize_volume(disk, 192 * MIB, uid=uid)

    async def larger() -> bool:
        return (await inside.sh("cat /sys/block/vda/size")).strip() == str(192 * MIB // 512)

    await eventually_async(larger, "the guest to see its larger disk")

    card = InterfaceConfig("52:54:00:00:00:77", subject.network)
    await subject.host.attach_interface(uid, interface_xml(card, 1))

    async def carrier() -> str:
        return (await inside.sh("cat /sys/class/net/eth*/address /sys/class/net/eth*/carrier 2>/dev/null")).strip()

    async def plugged() -> bool:
        return await carrier() == f"{card.mac}\n1"

    await eventually_async(plugged, "the guest to use its new network card")
    await subject.host.set_link(uid, Link(card.mac, up=False))

    async def pulled() -> bool:
        return await carrier() == f"{card.mac}\n0"

    await eventually_async(pulled, "the guest to see its cable pulled")
    subject.events.clear()
    await subject.host.detach_interface(uid, card.mac)

    async def gone() -> bool:
        return (await now_running(subject, uid)).links == ()

    await eventually_async(gone, "the guest to let its network card go")
    await reported(subject, uid)
    domain = await look(subject, uid)
    assert (domain.defined.vcpus, domain.defined.memory, domain.defined.links) == (1, 96 * MIB, ())


async def test_a_guest_s_agent_tells_of_it_and_helps(subject: Subject, host: Host, guest: Guest) -> None:
    inside = await linux(subject, host, guest)
    uid, disk = inside.uid, subject.name(ROOT)

    info = await subject.host.guest_info(uid)
    assert (info.hostname, info.os, info.timezone) == ("guest", "Hypernova test guest", "UTC")
    assert info.kernel == (await inside.sh("uname -r")).strip()
    assert info.interfaces == []

    await subject.host.set_password(uid, "root", "$6$salt$hash")
    assert (await inside.sh("head -1 /etc/shadow")).startswith("root:$6$salt$hash:")

    # What has been written and is not on disk yet is in a copy, and the guest writes on.
    text = f"unwritten-{uid}"
    await inside.sh(f"echo {text} >/data/note")
    await subject.host.copy_volume(disk, subject.name("copy.qcow2"), uid=uid)
    assert text.encode() in await subject.host.read(subject.name("copy.qcow2"), limit=128 * MIB)

    def thawed() -> bool:
        return inside.ask("guest-fsfreeze-status") == "thawed"

    await eventually_async(thawed, "the guest to be thawed")
    assert await inside.sh("echo more >>/data/note && sync && echo done") == "done\n"

    # Saved with a file open and a program at work, it goes on, and knows what time it is.
    boot = await inside.sh("cat /proc/sys/kernel/random/boot_id")
    await inside.sh("(exec 3>>/data/note; while sleep 0.2; do echo tick >&3; done) >/dev/null 2>&1 &")
    await subject.host.save(uid)
    assert await subject.state(uid) is DomainState.SHUT_OFF
    saved_at = time.time()

    async def a_while() -> bool:
        return time.time() - saved_at > 3

    await eventually_async(a_while, "some seconds to pass")
    await subject.host.start(uid)

    async def right() -> bool:
        return abs(await inside.clock() - time.time()) < 2

    await eventually_async(right, "the guest's clock to be right")
    assert await inside.sh("cat /proc/sys/kernel/random/boot_id") == boot
    ticks = int(await inside.sh("grep -c tick /data/note"))

    async def more() -> bool:
        return int(await inside.sh("grep -c tick /data/note")) > ticks

    await eventually_async(more, "the program in the guest to go on")


async def test_a_guest_whose_agent_hangs_delays_nobody_but_who_asks_it(
    subject: Subject, host: Host, guest: Guest
) -> None:
    inside = await linux(subject, host, guest)
    uid = inside.uid
    host.run("virsh", "qemu-agent-command", uid, '{"execute": "guest-ping"}')
    await inside.sh("(sleep 1; kill -STOP $(cat /run/qemu-ga.pid)) >/dev/null 2>&1 &")

    def stopped() -> bool:
        asked = host.run("virsh", "qemu-agent-command", "--timeout", "2", uid, '{"execute": "guest-ping"}', check=False)
        return asked.returncode != 0

    await eventually_async(stopped, "the agent to hang")
    asking = [asyncio.create_task(subject.host.guest_info(uid)) for _ in range(8)]
    copying = asyncio.create_task(subject.host.copy_volume(subject.name(ROOT), subject.name("copy.qcow2"), uid=uid))
    await subject.host.domains()
    await subject.host.shutdown(uid)
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(answer) for answer in answers} == {GuestUnreachable}
    await asyncio.gather(copying, return_exceptions=True)


async def _pieces(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as source:
        while piece := source.read(100_000):
            yield piece
