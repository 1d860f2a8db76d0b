"""A cloud in Nova's own objects, as its scheduler meets them. Runs in the environment of `nova_environment`."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from uuid import UUID

from nova import context, objects

from tests.bench.scheduler.measuring import AGGREGATES, INSTANCES_PER_HOST

GIB = 1024
"""In Nova's unit of memory, MiB."""

CELL = str(UUID(int=1))
"""All hosts are in one."""


def new_uuid(rng: random.Random) -> str:
    """As Nova writes them."""
    return str(UUID(int=rng.getrandbits(128)))


def a_service(ctx: context.RequestContext, host: str) -> objects.Service:
    """A nova-compute that just reported."""
    now = datetime.now(UTC)
    return objects.Service(
        ctx,
        host=host,
        binary="nova-compute",
        topic="compute",
        report_count=1,
        disabled=False,
        forced_down=False,
        last_seen_up=now,
        created_at=now,
        updated_at=now,
    )


def a_compute_node(ctx: context.RequestContext, host: str, rng: random.Random) -> objects.ComputeNode:
    """64 CPUs, 256 GiB, 4,000 GB, filled by Instances of 1 to 4 CPUs."""
    used = sum(rng.choices(range(1, 5), k=INSTANCES_PER_HOST))
    memory, disk = 256 * GIB, 4000
    return objects.ComputeNode(
        ctx,
        uuid=new_uuid(rng),
        host=host,
        hypervisor_hostname=host,
        hypervisor_type="QEMU",
        hypervisor_version=7_002_000 + rng.randint(0, 3),
        vcpus=64,
        vcpus_used=used,
        memory_mb=memory,
        memory_mb_used=2 * GIB * used,
        free_ram_mb=memory - 2 * GIB * used,
        local_gb=disk,
        local_gb_used=20 * used,
        free_disk_gb=disk - 20 * used,
        disk_available_least=disk - 20 * used,
        current_workload=0,
        running_vms=INSTANCES_PER_HOST,
        cpu_info='{"arch": "x86_64", "model": "Skylake-Server", "vendor": "Intel", "features": ["avx", "vmx"]}',
        host_ip=None,
        numa_topology=None,
        metrics="[]",
        stats={"num_instances": str(INSTANCES_PER_HOST), "io_workload": "0", "failed_builds": "0"},
        pci_device_pools=objects.PciDevicePoolList(objects=[]),
        supported_hv_specs=[objects.HVSpec(arch="x86_64", hv_type="kvm", vm_mode="hvm")],
        cpu_allocation_ratio=16.0,
        ram_allocation_ratio=1.5,
        disk_allocation_ratio=1.0,
        updated_at=datetime.now(UTC),
    )


def an_aggregate(ctx: context.RequestContext, number: int, hosts: list[str]) -> objects.Aggregate:
    """The first half of the aggregates are zones of a fifth of the hosts each, the others kinds of disk."""
    groups = AGGREGATES // 2
    return objects.Aggregate(
        ctx,
        id=number,
        uuid=str(UUID(int=number)),
        name=f"aggregate-{number}",
        hosts=hosts[number % groups :: groups],
        metadata={"availability_zone": f"az{number}"} if number < groups else {"disk": f"kind-{number}"},
    )


def a_request(ctx: context.RequestContext, uuid: str, members: dict[str, str]) -> objects.RequestSpec:
    """An m1.small; in an anti-affinity group if that has members."""
    group = objects.InstanceGroup(
        ctx,
        uuid=str(UUID(int=1)),
        policy="anti-affinity",
        policies=["anti-affinity"],
        rules={},
        hosts=list(members),
        members=list(members.values()),
    )
    flavor = objects.Flavor(
        name="m1.small",
        flavorid="m1.small",
        vcpus=1,
        memory_mb=2 * GIB,
        root_gb=20,
        ephemeral_gb=0,
        swap=0,
        extra_specs={},
    )
    properties = objects.ImageMetaProps(hw_architecture="x86_64", img_hv_type="kvm", hw_vm_mode="hvm")
    return objects.RequestSpec(
        ctx,
        instance_uuid=uuid,
        num_instances=1,
        project_id="project",
        user_id="user",
        flavor=flavor,
        image=objects.ImageMeta(id=str(UUID(int=2)), name="image", properties=properties),
        instance_group=group if members else None,
        availability_zone=None,
        numa_topology=None,
        pci_requests=objects.InstancePCIRequests(requests=[]),
        requested_resources=[],
        request_level_params=objects.RequestLevelParams(),
        ignore_hosts=None,
        force_hosts=None,
        force_nodes=None,
        requested_destination=None,
        retry=None,
        scheduler_hints={},
        limits=objects.SchedulerLimits(),
        is_bfv=False,
    )


def an_allocation(provider: str) -> dict[str, object]:
    """What placement offers for an m1.small on one provider."""
    resources = {"VCPU": 1, "MEMORY_MB": 2 * GIB, "DISK_GB": 20}
    return {"allocations": {provider: {"resources": resources}}, "mappings": {"": [provider]}}
