"""Lab hosts from the command line: `python -m hack.lab --help`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from hack.lab import Host, Lab, LabError


def _up(lab: Lab, args: argparse.Namespace) -> None:
    for host in lab.up(*args.hosts):
        print(f"{host.name}\t{host.address}\t{host.libvirt_uri}")


def _list(lab: Lab, args: argparse.Namespace) -> None:
    for host in lab.hosts:
        libvirtd = "libvirtd runs" if host.service("libvirtd") else "no libvirtd"
        state = f"up, {libvirtd}, {len(host.pids())} processes" if host.is_up else "down"
        print(f"{host.name}\t{host.address}\t{state}")


def _host(lab: Lab, name: str) -> Host:
    """The host, which must be there already: only `up` makes new ones."""
    for host in lab.hosts:
        if host.name == name:
            return host
    raise LabError(f"no host {name} in {lab.folder}; there are: {', '.join(host.name for host in lab.hosts) or 'none'}")


def _exec(lab: Lab, args: argparse.Namespace) -> None:
    argv = _host(lab, args.host).argv(*args.command)
    os.execvp(argv[0], argv)  # noqa: S606 - what is asked for: no shell, our terminal


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hack.lab", description="Lab hosts: machines made of namespaces.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    folder = argparse.ArgumentParser(add_help=False)
    folder.add_argument("folder", type=Path, metavar="FOLDER", help="where the lab's state is")

    def command(name: str, does: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=does, description=does, parents=[folder])

    up = command("up", "power hosts on and start their libvirtd; all of the lab, if none is named")
    up.add_argument("hosts", nargs="*", metavar="HOST")
    up.set_defaults(do=_up)
    command("down", "cut all power; disks and logs stay in FOLDER").set_defaults(do=lambda lab, args: lab.down())
    command("list", "the hosts, and what they do").set_defaults(do=_list)

    run = command("exec", "run a command inside a host")
    run.add_argument("host", metavar="HOST")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")
    run.set_defaults(do=_exec)

    for name, method, does in (
        ("power-cut", "power_cut", "end everything inside a host at once"),
        ("disconnect", "disconnect", "pull a host's network cable"),
        ("reconnect", "reconnect", "put it back"),
        ("start-libvirtd", "start_libvirtd", "start a host's libvirtd"),
        ("kill-libvirtd", "kill_libvirtd", "kill a host's libvirtd; its guests live on"),
    ):
        one = command(name, does)
        one.add_argument("host", metavar="HOST")
        one.set_defaults(do=lambda lab, args, method=method: getattr(_host(lab, args.host), method)())
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit status."""
    args = _parser().parse_args(argv)
    try:
        args.do(Lab(args.folder), args)
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
