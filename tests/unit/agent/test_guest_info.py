"""What a guest's agent tells, which nobody vouches for."""

from hypernova_agent.libvirt.guest_info import guest_info
from hypernova_api.action import GuestInfo, GuestInterface


def test_all_that_is_told_is_taken_and_what_is_not_is_left_out() -> None:
    told = {
        "hostname": "web-1",
        "os.name": "Debian GNU/Linux",
        "os.pretty-name": "Debian GNU/Linux 12 (bookworm)",
        "os.kernel-release": "6.1.0",
        "timezone.name": "CET",
        "user.count": 3,
        "user.0.name": "root",
        "user.1.name": "ada",
        "user.2.name": "root",
        "if.count": 2,
        "if.0.name": "lo",
        "if.0.hwaddr": "00:00:00:00:00:00",
        "if.0.addr.count": 0,
        "if.1.name": "eth0",
        "if.1.hwaddr": "52:54:00:00:00:07",
        "if.1.addr.count": 2,
        "if.1.addr.0.addr": "10.60.0.7",
        "if.1.addr.0.prefix": 16,
        "if.1.addr.1.addr": "fe80::7",
        "if.1.addr.1.prefix": 64,
    }
    card = GuestInterface(name="eth0", mac="52:54:00:00:00:07", addresses=["10.60.0.7/16", "fe80::7/64"])
    assert guest_info(told) == GuestInfo(
        hostname="web-1",
        os="Debian GNU/Linux 12 (bookworm)",
        kernel="6.1.0",
        timezone="CET",
        users=["ada", "root"],
        interfaces=[card],
    )
    assert guest_info({}) == GuestInfo()
    assert guest_info({"os.name": "Plan 9"}).os == "Plan 9"


def test_a_guest_that_tells_without_end_is_cut_short() -> None:
    told = {
        "hostname": "x" * 100_000,
        "user.count": 100_000,
        **{f"user.{number}.name": f"user-{number}" for number in range(100_000)},
        "if.count": 100_000,
        **{f"if.{number}.addr.count": 100_000 for number in range(100)},
    }
    info = guest_info(told)
    assert len(info.hostname) == 256
    assert len(info.users) == 64
    assert len(info.interfaces) == 64
    assert max(len(interface.addresses) for interface in info.interfaces) == 64


def test_what_is_no_number_counts_none() -> None:
    assert guest_info({"if.count": "many", "user.count": None}) == GuestInfo()
