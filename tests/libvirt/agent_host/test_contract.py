"""Real libvirt is a host as the agent expects one."""

from support.host_contract import HostContract, LostHostContract
from support.life_contract import ChangeContract, DiskContract, FullContract, LostLifeContract, PowerContract


class TestLibvirtHost(HostContract, PowerContract, ChangeContract, DiskContract):
    pass


class TestLibvirtHostWhenLost(LostHostContract, LostLifeContract):
    pass


class TestLibvirtHostWithoutRoom(FullContract):
    pass
