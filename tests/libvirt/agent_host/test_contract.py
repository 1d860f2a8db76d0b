"""Real libvirt is a host as the agent expects one."""

from support.host_contract import HostContract, LostHostContract


class TestLibvirtHost(HostContract):
    pass


class TestLibvirtHostWhenLost(LostHostContract):
    pass
