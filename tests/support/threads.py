"""What the kernel says of a program's threads and memory, as the machine sees them."""

from pathlib import Path


def cpus_allowed(pid: int) -> dict[str, set[str]]:
    """The CPUs that threads may run on, by the threads' name: `{"CPU 0/TCG": {"1"}, "qemu-system-x86": {"0-1"}}`."""
    found: dict[str, set[str]] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        lines = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
        found.setdefault(lines["Name"], set()).add(lines["Cpus_allowed_list"])
    return found


def mappings(pid: int) -> list[str]:
    """Its pieces of memory: where each may come from and does, a line of /proc/PID/numa_maps each."""
    return Path(f"/proc/{pid}/numa_maps").read_text().splitlines()
