"""One set of Linux namespaces (mount, network, PID, UTS, IPC) under a pid 1 of ours.

Nothing of it has a name on the machine: no `ip netns`, no mount, no interface. So all of it ends with pid 1.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hack.cache import built, digest
from hack.lab.errors import LabError
from hack.lab.process import Process

_SOURCE = Path(__file__).with_name("init.c")
_NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid")
_END_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Living namespaces, known by their pid 1."""

    init: Process

    @classmethod
    def create(cls, name: str, record: Path, ties: list[int] | None) -> Namespaces:
        """New namespaces.

        Args:
            name: what their pid 1 is called in `ps`.
            record: the file it is written to, for `load`. That comes first: a creator killed at any point leaves
                either a record or nothing.
            ties: if given, gets a file descriptor; the namespaces end when it is closed, and so with this program.
        """
        go_read, go = os.pipe()
        with open(go_read, "rb") as stdin, contextlib.ExitStack() as untied:
            untied.callback(os.close, go)
            starter = subprocess.run(
                [name],
                executable=_init_program(),
                stdin=stdin,
                capture_output=True,
                text=True,
                cwd="/",
                start_new_session=True,  # a Ctrl-C at the terminal is not for it
            )
            if starter.returncode:
                raise LabError(f"can't make namespaces (root is needed): {starter.stderr.strip()}")
            init = Process.of(int(starter.stdout))
            init.save(record)
            if ties is None:
                os.write(go, b"s")
            else:
                os.write(go, b"t")
                untied.pop_all()
                ties.append(go)
        return cls(init)

    @classmethod
    def load(cls, record: Path) -> Namespaces | None:
        """The namespaces written to the file, if they are alive."""
        init = Process.load(record)
        return cls(init) if init else None

    def argv(self, *command: str) -> list[str]:
        """The command line that runs `command` inside (its directory is `/`)."""
        return ["nsenter", f"--target={self.init.pid}", *_NAMESPACES, "--", *command]

    def run(
        self, *command: str, timeout: float, check: bool = True, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside and wait for it.

        Args:
            command: the program and its arguments.
            timeout: seconds; after them the command and its children are killed.
            check: whether a status other than 0 is an error.
            stdin: what it reads.

        Raises:
            LabError: it failed, or took too long.
        """
        process = subprocess.Popen(
            self.argv(*command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            out, err = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{' '.join(command)}: no end after {timeout:g} s") from error
        finally:
            if process.returncode is None:
                # nsenter alone would leave its child behind; the two share a process group.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        if check and process.returncode:
            raise LabError(f"{' '.join(command)}: exit status {process.returncode}: {err.strip() or out.strip()}")
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def processes(self) -> list[Process]:
        """All processes inside, pid 1 first, numbered as on the machine."""
        space = _pid_namespace(self.init.pid)
        if space is None:
            return []
        found = []
        for pid in sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit()):
            if _pid_namespace(pid) == space:
                with contextlib.suppress(ProcessLookupError):
                    found.append(Process.of(pid))
        return sorted(found, key=lambda process: process != self.init)

    def process(self, inner_pid: int) -> Process | None:
        """The process that has this pid inside."""
        for process in self.processes():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                status = Path(f"/proc/{process.pid}/status").read_text()
                inner = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[-1]
                if int(inner) == inner_pid:
                    return process
        return None

    def kill(self) -> None:
        """End all of it at once, as a power cut does: the kernel kills everything inside with pid 1.

        Raises:
            LabError: it does not end, because something outside holds a dead process of it (never seen).
        """
        self.init.signal(signal.SIGKILL)
        if not self.init.wait(_END_TIMEOUT_S):
            raise LabError(f"namespaces of pid {self.init.pid} do not end {_END_TIMEOUT_S:g} s after SIGKILL")


def _pid_namespace(pid: int) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except (FileNotFoundError, ProcessLookupError, PermissionError):  # gone, or hidden from us: not one of ours
        return None


def _init_program() -> Path:
    """The compiled `init.c`: static, so that it depends on nothing in the mount tree it stands on."""

    def build(folder: Path) -> None:
        compiler = ["gcc", "-Os", "-static", "-s", "-o", str(folder / "init"), str(_SOURCE)]
        subprocess.run(compiler, check=True, timeout=60)

    return built("lab-init", digest([_SOURCE]), build) / "init"
