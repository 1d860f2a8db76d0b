"""What libvirt's states mean. Pure."""

from __future__ import annotations

import libvirt

from hypernova_agent.host import DomainState, Run

OFF = frozenset({DomainState.SHUT_OFF, DomainState.CRASHED})
"""States in which there is no guest."""

_STATES = {
    libvirt.VIR_DOMAIN_NOSTATE: DomainState.RUNNING,
    libvirt.VIR_DOMAIN_RUNNING: DomainState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: DomainState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: DomainState.PAUSED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: DomainState.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: DomainState.SHUTTING_DOWN,
    libvirt.VIR_DOMAIN_SHUTOFF: DomainState.SHUT_OFF,
    libvirt.VIR_DOMAIN_CRASHED: DomainState.CRASHED,
}

_PAUSED = {
    libvirt.VIR_DOMAIN_PAUSED_IOERROR: DomainState.STALLED,
    # libvirt itself holds the CPUs for a moment, as while it saves the guest, and then goes on: nobody is to meddle.
    # (It gives VIR_DOMAIN_PAUSED_MIGRATION for the reason, too, when a saved guest was started paused.)
    libvirt.VIR_DOMAIN_PAUSED_SAVE: DomainState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED_DUMP: DomainState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED_SNAPSHOT: DomainState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED_POSTCOPY: DomainState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED_STARTING_UP: DomainState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED_SHUTTING_DOWN: DomainState.SHUTTING_DOWN,
}

_CRASHED = frozenset({libvirt.VIR_DOMAIN_SHUTOFF_CRASHED, libvirt.VIR_DOMAIN_SHUTOFF_DAEMON})
"""QEMU died or the guest panicked. (VIR_DOMAIN_SHUTOFF_FAILED: it could not be started, and so has not run.)"""


def domain_state(state: int, reason: int, run: Run, *, saved: bool) -> DomainState:
    """The state of a domain.

    Args:
        state: VIR_DOMAIN_*.
        reason: VIR_DOMAIN_PAUSED_*, VIR_DOMAIN_SHUTOFF_* or whatever goes with the state.
        run: what has been noted of its guest's last run.
        saved: whether its guest's memory is on disk.
    """
    if state == libvirt.VIR_DOMAIN_PAUSED:
        return _PAUSED.get(reason, DomainState.PAUSED)
    if state == libvirt.VIR_DOMAIN_SHUTOFF:
        # One whose memory is on disk goes on from there, however it ended.
        return DomainState.CRASHED if not saved and _ended_by_itself(reason, run) else DomainState.SHUT_OFF
    return _STATES[state]


def _ended_by_itself(reason: int, run: Run) -> bool:
    # A libvirtd that was started after the guest had ended, as after a power cut, knows no reason.
    if reason == libvirt.VIR_DOMAIN_SHUTOFF_UNKNOWN:
        return run is Run.BEGUN
    return reason in _CRASHED
