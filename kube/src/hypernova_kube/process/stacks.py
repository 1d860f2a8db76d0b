"""Where a process is right now, on stderr, when SIGUSR1 asks: for whoever finds one that does nothing."""

import asyncio
import faulthandler
import signal
import sys


def tell_on_signal() -> None:
    """Write on each SIGUSR1 the stacks of all threads, even if all of them hang, and of all tasks, if their loop runs.

    Needs a running event loop, in the main thread.
    """
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, _tell_tasks)
    # Last: it is called first, by the kernel, and then passes the signal on to the loop.
    faulthandler.register(signal.SIGUSR1, file=sys.stderr, all_threads=True, chain=True)


def _tell_tasks() -> None:
    tasks = sorted(asyncio.all_tasks(), key=lambda task: task.get_name())
    for task in tasks:
        task.print_stack(file=sys.stderr)
    print(f"{len(tasks)} tasks", file=sys.stderr, flush=True)
