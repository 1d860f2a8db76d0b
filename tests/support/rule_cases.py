"""For every CEL rule of every kind: what it lets pass and what it refuses. (tests/integration/api/test_rules.py.)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypernova_api.action import InstanceActionSpec
from hypernova_api.aggregate import HostAggregateSpec
from hypernova_api.console import ConsoleSessionSpec
from hypernova_api.flavor import AggregateRequirement, CpuPolicy, FlavorSpec
from hypernova_api.group import InstanceGroupSpec
from hypernova_api.hypervisor import Cell, HypervisorSpec, Resources
from hypernova_api.image import ImageProperties, ImageSource, ImageSpec
from hypernova_api.instance import Instance, InstanceSpec, NetworkAttachment, Scheduling, Toleration, UserData
from hypernova_api.keypair import KeyPairSpec
from hypernova_api.meta import Model
from hypernova_api.qos import Bandwidth, CpuQos, DiskQos
from hypernova_api.quota import QuotaLimits
from hypernova_api.selectors import LabelRequirement, LabelSelector
from hypernova_api.traits import TraitRequirements
from hypernova_kube.resources import Object
from support.builders import (
    a_cell,
    a_console_session,
    a_flavor,
    a_group,
    a_host_aggregate,
    a_hypervisor,
    a_hypervisor_status,
    a_key_pair,
    a_quota,
    an_action,
    an_image,
    an_instance,
    without,
)


@dataclass(frozen=True, slots=True)
class AtCreation:
    """Objects that a rule lets pass or refuses as they come."""

    model: type[Model]
    message: str
    field: str
    good: Object
    bad: Object


@dataclass(frozen=True, slots=True)
class AtUpdate:
    """Merge patches of the object `before`, or of its status alone, that a rule lets pass or refuses."""

    model: type[Model]
    message: str
    field: str
    before: Object
    good: dict[str, Any]
    bad: dict[str, Any]


Case = AtCreation | AtUpdate

LABEL = {"metadata": {"labels": {"team": "web"}}}
HAS_NODE = {"nodeName": "node-a"}


def a_picky_flavor(operator: str, *values: str) -> Object:
    """A Flavor that asks this of the aggregates' metadata."""
    return a_flavor(aggregateRequirements=[{"key": "disk", "operator": operator, "values": list(values)}])


def limited(**qos: Any) -> Object:
    """A Flavor with these limits."""
    return a_flavor(qos=qos)


def an_aggregate_of(selector: dict[str, Any]) -> Object:
    """A HostAggregate of the Nodes that are selected."""
    return a_host_aggregate(nodeSelector=selector)


def selecting(**requirement: Any) -> Object:
    """A HostAggregate of the Nodes that fulfil one requirement."""
    return an_aggregate_of({"matchExpressions": [{"key": "rack"} | requirement]})


def tolerating(**toleration: str) -> Object:
    """An Instance with a toleration."""
    return an_instance(scheduling={"tolerations": [toleration]})


def placed(**scheduling: Any) -> Object:
    """An Instance that says where it should go."""
    return an_instance(scheduling=scheduling)


def reporting(**parts: Any) -> dict[str, Any]:
    """What an agent says of its host."""
    return {"status": a_hypervisor_status(**parts)}


PASSWORD = {"hash": "$6$salt$hashed"}
HINT = "rebuild the Instance, or delete and create it anew"
SPLIT = "vcpus and the MiB of memory must split evenly over numa.cells"
PAGES = "the memory of each NUMA cell must be a whole number of huge pages"
AT_CREATION = [
    AtCreation(
        FlavorSpec, "memory must be at least 1Mi, e.g. 2Gi", "spec.memory",
        good=a_flavor(memory="1Mi"), bad=a_flavor(memory="-1Mi"),
    ),
    AtCreation(
        FlavorSpec, "memory must be a whole number of MiB: 2Gi or 2048Mi, not 2G", "spec.memory",
        good=a_flavor(memory=1073741824), bad=a_flavor(memory="2G"),
    ),
    AtCreation(
        FlavorSpec, "rootDisk must be at least 0, e.g. 20Gi", "spec.rootDisk",
        good=a_flavor(rootDisk="0"), bad=a_flavor(rootDisk=-1),
    ),
    AtCreation(
        ImageSpec, "minDisk must be at least 0, e.g. 4Gi", "spec.minDisk",
        good=an_image(minDisk="4Gi"), bad=an_image(minDisk="-4Gi"),
    ),
    AtCreation(
        ImageSpec, "minMemory must be at least 0, e.g. 512Mi", "spec.minMemory",
        good=an_image(minMemory="0"), bad=an_image(minMemory="-1"),
    ),
    AtCreation(
        UserData, "give exactly one of inline and secretKeyRef", "spec.userData",
        good=an_instance(userData={"secretKeyRef": {"name": "web", "key": "user-data"}}),
        bad=an_instance(userData={"inline": "#!/bin/sh", "secretKeyRef": {"name": "web", "key": "user-data"}}),
    ),
    AtCreation(
        UserData, "give exactly one of inline and secretKeyRef", "spec.userData",
        good=an_instance(userData={"inline": ""}), bad=an_instance(userData={}),
    ),
    AtCreation(
        UserData, "user data is over 64 KiB: let the guest fetch the rest itself", "spec.userData.inline",
        good=an_instance(userData={"inline": "x" * 65536}), bad=an_instance(userData={"inline": "x" * 65537}),
    ),
    AtCreation(
        UserData, "user data is over 64 KiB: let the guest fetch the rest itself", "spec.userData.inline",
        good=an_instance(userData={"inline": "é" * 32768}), bad=an_instance(userData={"inline": "é" * 32769}),
    ),
    AtCreation(
        Instance,
        "the name becomes the guest's host name: at most 63 lower-case letters, digits and dashes, no dots",
        "metadata.name",
        good=an_instance("a" * 63), bad=an_instance("a" * 64),
    ),
    AtCreation(
        Instance,
        "the name becomes the guest's host name: at most 63 lower-case letters, digits and dashes, no dots",
        "metadata.name",
        good=an_instance("0-9"), bad=an_instance("web.1"),
    ),
    AtCreation(
        FlavorSpec, SPLIT, "spec.numa",
        good=a_flavor(vcpus=6, memory="3Gi", numa={"cells": 3}), bad=a_flavor(vcpus=4, memory="3Gi", numa={"cells": 3}),
    ),
    AtCreation(
        FlavorSpec, SPLIT, "spec.numa",
        good=a_flavor(vcpus=2, memory="1026Mi", numa={"cells": 2}),
        bad=a_flavor(vcpus=2, memory="1025Mi", numa={"cells": 2}),
    ),
    AtCreation(
        FlavorSpec, PAGES, "spec.hugePageSize",
        good=a_flavor(memory="1026Mi", hugePageSize="2Mi"), bad=a_flavor(memory="1025Mi", hugePageSize="2Mi"),
    ),
    AtCreation(
        FlavorSpec, PAGES, "spec.hugePageSize",
        good=a_flavor(vcpus=2, memory="4Gi", numa={"cells": 2}, hugePageSize="1Gi"),
        bad=a_flavor(vcpus=2, memory="3Gi", numa={"cells": 2}, hugePageSize="1Gi"),
    ),
    AtCreation(
        CpuPolicy, "threadPolicy is about dedicated CPUs: set policy: Dedicated, or leave it out",
        "spec.cpu.threadPolicy",
        good=a_flavor(cpu={"policy": "Dedicated", "threadPolicy": "Require"}),
        bad=a_flavor(cpu={"policy": "Shared", "threadPolicy": "Require"}),
    ),
    AtCreation(
        CpuPolicy, "threadPolicy is about dedicated CPUs: set policy: Dedicated, or leave it out",
        "spec.cpu.threadPolicy",
        good=a_flavor(cpu={}), bad=a_flavor(cpu={"threadPolicy": "Isolate"}),
    ),
    AtCreation(
        TraitRequirements, "a trait cannot be both required and forbidden", "spec.traits",
        good=a_flavor(traits={"required": ["HW_CPU_X86_AVX2"], "forbidden": ["CUSTOM_SLOW"]}),
        bad=a_flavor(traits={"required": ["CUSTOM_SLOW", "HW_CPU_X86_AVX2"], "forbidden": ["HW_CPU_X86_AVX2"]}),
    ),
    AtCreation(
        TraitRequirements, "a trait cannot be both required and forbidden", "spec.properties.traits",
        good=an_image(properties={"traits": {"forbidden": ["CUSTOM_SLOW"]}}),
        bad=an_image(properties={"traits": {"required": ["CUSTOM_SLOW"], "forbidden": ["CUSTOM_SLOW"]}}),
    ),
    *(
        AtCreation(
            AggregateRequirement, "this operator takes one value; In, NotIn and AllIn take several",
            "spec.aggregateRequirements[0].values",
            good=a_picky_flavor(operator, "10"), bad=a_picky_flavor(operator, "10", "20"),
        )
        for operator in ("=", "!=", "<", "<=", ">", ">=")
    ),
    *(
        AtCreation(
            AggregateRequirement, "<, <=, > and >= compare numbers: write the value like 10 or 2.5",
            "spec.aggregateRequirements[0].values",
            good=a_picky_flavor(operator, good), bad=a_picky_flavor(operator, bad),
        )
        for operator, good, bad in [
            ("<", "10", "ssd"), ("<=", "-2.5", ""), (">", "+007", "1e3"), (">=", "0.5", ".5"), (">", "1", "0x10"),
            ("<", "1", "NaN"), ("<=", "1", "1.5Gi"),
        ]
    ),
    *(
        AtCreation(
            LabelRequirement, "In and NotIn need values; Exists and DoesNotExist take none",
            "spec.nodeSelector.matchExpressions[0].values",
            good=good, bad=bad,
        )
        for good, bad in [
            (selecting(operator="In", values=["r1"]), selecting(operator="In")),
            (selecting(operator="NotIn", values=["r1", "r2"]), selecting(operator="NotIn", values=[])),
            (selecting(operator="Exists"), selecting(operator="Exists", values=["r1"])),
            (selecting(operator="DoesNotExist", values=[]), selecting(operator="DoesNotExist", values=[""])),
        ]
    ),
    *(
        AtCreation(
            LabelSelector, "a label's key is like rack or example.com/rack", "spec.nodeSelector.matchLabels",
            good=an_aggregate_of({"matchLabels": {good: ""}}), bad=an_aggregate_of({"matchLabels": {bad: ""}}),
        )
        for good, bad in [("rack", ""), ("example.com/Rack_1", "example.com/"), ("a" * 63, "a" * 64)]
    ),
    *(
        AtCreation(
            HostAggregateSpec, "say which hosts: nodeSelector (`{}` for all), nodes, or both", "spec",
            good=good, bad=bad,
        )
        for good, bad in [
            (a_host_aggregate(nodes=["node-a"]), a_host_aggregate(nodes=[])),
            (an_aggregate_of({}), without(a_host_aggregate(), "spec.nodes")),
            (a_host_aggregate(nodes=["node-a"], nodeSelector={}), a_host_aggregate(nodes=[], availabilityZone="az1")),
        ]
    ),
    *(
        AtCreation(
            HostAggregateSpec, "a key of metadata has 1 to 255 characters", "spec.metadata",
            good=a_host_aggregate(metadata={good: "x"}), bad=a_host_aggregate(metadata={bad: "x"}),
        )
        for good, bad in [("disk", ""), ("a" * 255, "a" * 256)]
    ),
    *(
        AtCreation(
            InstanceGroupSpec, "maxPerHost goes with policy: AntiAffinity only", "spec.maxPerHost",
            good=a_group(policy="AntiAffinity", maxPerHost=2), bad=a_group(policy=policy, maxPerHost=2),
        )
        for policy in ("Affinity", "SoftAffinity", "SoftAntiAffinity")
    ),
    *(
        AtCreation(
            QuotaLimits, f"{field} must be at least 0", f"spec.{part}.{field}",
            good=a_quota(**{part: {field: "0"}}), bad=a_quota(**{part: {field: "-1Gi"}}),
        )
        for part in ("hard", "perUser")
        for field in ("memory", "disk")
    ),
    AtCreation(
        HypervisorSpec,
        "an administrator's own traits begin with CUSTOM_; the others are found out by the agent",
        "spec.traits",
        good=a_hypervisor(traits=["CUSTOM_RACK_COOLED"]), bad=a_hypervisor(traits=["CUSTOM_A", "HW_CPU_X86_AVX2"]),
    ),
    *(
        AtCreation(
            HypervisorSpec, "ranges of CPUs go upwards, to 8191 at most: 4-63, not 63-4", "spec.dedicatedCpus",
            good=a_hypervisor(dedicatedCpus=good), bad=a_hypervisor(dedicatedCpus=bad),
        )
        for good, bad in [("", "63-4"), ("4-63", "0-3,9-8"), ("0,2-3,7-7,8191", "8192"), ("0-8191", "0-8192")]
    ),
    *(
        AtCreation(
            Toleration,
            "a toleration without a key tolerates everything: say so with operator: Exists",
            "spec.scheduling.tolerations[0].operator",
            good=good, bad=bad,
        )
        for good, bad in [
            (tolerating(operator="Exists"), tolerating()),
            (tolerating(key="gpu", value="yes"), tolerating(value="yes")),
            (tolerating(key="example.com/gpu"), tolerating(operator="Equal", effect="NoSchedule")),
        ]
    ),
    AtCreation(
        Toleration, "Exists looks at no value: leave it out, or use operator: Equal",
        "spec.scheduling.tolerations[0].value",
        good=tolerating(key="gpu", operator="Exists", effect="NoExecute"),
        bad=tolerating(key="gpu", operator="Exists", value="yes"),
    ),
    AtCreation(
        Scheduling, "an Instance cannot be on the same host as another and on a different one", "spec.scheduling",
        good=placed(sameHostAs=["db-1"], differentHostFrom=["db-2"]),
        bad=placed(sameHostAs=["db-1", "db-2"], differentHostFrom=["db-3", "db-2"]),
    ),
    AtCreation(
        Scheduling, "a label's key is like rack or example.com/rack", "spec.scheduling.nodeSelector",
        good=placed(nodeSelector={"example.com/rack": "r1"}), bad=placed(nodeSelector={"example.com/the rack": "r1"}),
    ),
    *(
        AtCreation(
            Instance, f"{field} is about other Instances: leave this one's own name out", f"spec.scheduling.{field}",
            good=placed(**{field: ["web-2"]}), bad=placed(**{field: ["web-2", "web-1"]}),
        )
        for field in ("sameHostAs", "differentHostFrom")
    ),
    *(
        AtCreation(
            FlavorSpec, "sockets times cores times threads must be vcpus", "spec.cpu.topology",
            good=a_flavor(vcpus=4, cpu={"topology": good}), bad=a_flavor(vcpus=4, cpu={"topology": bad}),
        )
        for good, bad in [
            ({"sockets": 1, "cores": 2, "threads": 2}, {"sockets": 2, "cores": 2, "threads": 2}),
            ({"cores": 4}, {}),
        ]
    ),
    *(
        AtCreation(
            CpuQos, "limit must be between 10m and 1", "spec.qos.cpu.limit",
            good=limited(cpu={"limit": good}), bad=limited(cpu={"limit": bad}),
        )
        for good, bad in [("500m", "9m"), ("0.01", "1.5"), (1, 0)]
    ),
    *(
        AtCreation(
            DiskQos, f"{field} must be between 1Ki and 1T", f"spec.qos.disk.{field}",
            good=limited(disk={field: "100Mi"}), bad=limited(disk={field: bad}),
        )
        for field, bad in [
            ("totalBytesPerSecond", "1Ti"), ("readBytesPerSecond", "0"), ("writeBytesPerSecond", "1023"),
        ]
    ),
    *(
        AtCreation(
            DiskQos, f"{total} limits reads and writes together: leave out {read} and {write}, or leave it out",
            f"spec.qos.disk.{total}",
            good=limited(disk={read: 2048, write: 1024}), bad=limited(disk={total: 4096, write: 1024}),
        )
        for total, read, write in [
            ("totalBytesPerSecond", "readBytesPerSecond", "writeBytesPerSecond"),
            ("totalIops", "readIops", "writeIops"),
        ]
    ),
    *(
        AtCreation(
            Bandwidth, f"{field} must be between 1Ki and 1T", f"spec.qos.interface.inbound.{field}",
            good=limited(interface={"inbound": {"average": "1Mi", "peak": "2Mi", "burst": "1Mi"}}),
            bad=limited(interface={"inbound": {"average": "1Mi"} | {field: bad}}),
        )
        for field, bad in [("average", "1"), ("peak", "1Ti"), ("burst", "0")]
    ),
    AtCreation(
        Bandwidth, "peak must not be less than average", "spec.qos.interface.outbound.peak",
        good=limited(interface={"outbound": {"average": "1Mi", "peak": 1048576}}),
        bad=limited(interface={"outbound": {"average": "1Mi", "peak": "1M"}}),
    ),
    *(
        AtCreation(
            ImageProperties, "secureBoot is a matter of UEFI: set firmware: UEFI, or secureBoot: Disabled",
            "spec.properties.secureBoot",
            good=an_image(properties=good), bad=an_image(properties={"secureBoot": bad}),
        )
        for good, bad in [
            ({"secureBoot": "Required", "firmware": "UEFI"}, "Required"), ({"secureBoot": "Disabled"}, "Optional"),
        ]
    ),
    AtCreation(
        NetworkAttachment, "in this version the only network is `default`", "spec.networks[1].name",
        good=an_instance(networks=[{"name": "default"}, {"name": "default", "linkState": "Down"}]),
        bad=an_instance(networks=[{"name": "default"}, {"name": "storage"}]),
    ),
    *(
        AtCreation(
            ImageSource, "give exactly one: url, or nodeName for what a snapshot left on a node", "spec.source",
            good=an_image(source={"sha256": "ab" * 32} | good), bad=an_image(source={"sha256": "ab" * 32} | bad),
        )
        for good, bad in [
            ({"nodeName": "node-a"}, {}),
            ({"url": "http://images/web"}, {"url": "http://images/web", "nodeName": "node-a"}),
        ]
    ),
    *(
        AtCreation(
            InstanceActionSpec, f"{part} is for actions of type {type_}", f"spec.{part}",
            good=an_action(type_, "good", **{part: details}), bad=an_action("InjectNMI", "bad", **{part: details}),
        )
        for type_, part, details in [
            ("Reboot", "reboot", {"type": "Hard"}),
            ("Rebuild", "rebuild", {"keyPairs": []}),
            ("Rescue", "rescue", {"image": {"name": "rescue"}}),
            ("Snapshot", "snapshot", {"imageName": "web"}),
            ("SetPassword", "setPassword", PASSWORD),
            ("GetConsoleLog", "getConsoleLog", {"bytes": 1}),
        ]
    ),
    AtCreation(
        InstanceActionSpec, "say in snapshot.imageName what the Image is to be called", "spec.snapshot",
        good=an_action("Snapshot", "good", snapshot={"imageName": "web"}), bad=an_action("Snapshot", "bad"),
    ),
    AtCreation(
        InstanceActionSpec, "say in setPassword whose password and what it is", "spec.setPassword",
        good=an_action("SetPassword", "good", setPassword=PASSWORD), bad=an_action("SetPassword", "bad"),
    ),
]  # fmt: skip
AT_UPDATE = [
    AtUpdate(
        InstanceActionSpec,
        "an InstanceAction cannot be edited: delete it, if it has not run, and create another",
        "spec",
        before=an_action(), good=LABEL, bad={"spec": {"reboot": {"type": "Hard"}}},
    ),
    AtUpdate(
        FlavorSpec, "a Flavor cannot be edited: make a new one", "spec",
        before=a_flavor(), good=LABEL, bad={"spec": {"vcpus": 2}},
    ),
    AtUpdate(
        ImageSpec, "an Image's content cannot change: make a new Image (its url may move)", "spec.source",
        before=an_image(),
        good={"spec": {"source": {"url": "https://mirror.example.com/debian-12.qcow2"}}},
        bad={"spec": {"source": {"sha256": "0" * 64}}},
    ),
    AtUpdate(
        ImageSpec, "an Image's content cannot change: make a new Image (its url may move)", "spec.source",
        before=an_image(), good={"spec": {"minDisk": "1Gi"}}, bad={"spec": {"format": "raw"}},
    ),
    AtUpdate(
        ConsoleSessionSpec, "a ConsoleSession cannot be edited; delete it to end it", "spec",
        before=a_console_session(), good=LABEL, bad={"spec": {"readOnly": True}},
    ),
    AtUpdate(
        KeyPairSpec, "a KeyPair cannot be edited: make a new one", "spec",
        before=a_key_pair(), good=LABEL, bad={"spec": {"publicKey": "ssh-ed25519 AAAA other"}},
    ),
    AtUpdate(
        InstanceSpec,
        "the image of an Instance cannot be edited: rebuild it (an InstanceAction of type Rebuild), "
        "or delete and create it anew",
        "spec.image",
        before=an_instance(), good={"spec": {"powerState": "Stopped"}}, bad={"spec": {"image": {"name": "other"}}},
    ),
    AtUpdate(
        InstanceSpec, f"user data is read at the first boot only and cannot be edited: {HINT}", "spec.userData",
        before=an_instance(userData={"inline": "a"}), good=LABEL, bad={"spec": {"userData": {"inline": "b"}}},
    ),
    AtUpdate(
        InstanceSpec, f"user data is read at the first boot only and cannot be edited: {HINT}", "spec.userData",
        before=an_instance(), good=LABEL, bad={"spec": {"userData": {"inline": "b"}}},
    ),
    AtUpdate(
        InstanceSpec, f"user data is read at the first boot only and cannot be edited: {HINT}", "spec.userData",
        before=an_instance(userData={"inline": "a"}), good=LABEL, bad={"spec": {"userData": None}},
    ),
    AtUpdate(
        InstanceSpec, f"key pairs are read at the first boot only and cannot be edited: {HINT}", "spec.keyPairs",
        before=an_instance(keyPairs=["ops"]), good=LABEL, bad={"spec": {"keyPairs": ["ops", "dev"]}},
    ),
    AtUpdate(
        InstanceSpec, f"key pairs are read at the first boot only and cannot be edited: {HINT}", "spec.keyPairs",
        before=an_instance(), good={"spec": {"keyPairs": []}}, bad={"spec": {"keyPairs": ["ops"]}},
    ),
    *(
        AtUpdate(
            InstanceGroupSpec,
            "an InstanceGroup cannot be edited, as its members have been placed by it: make a new one",
            "spec",
            before=a_group(), good=LABEL, bad=bad,
        )
        for bad in ({"spec": {"policy": "SoftAntiAffinity"}}, {"spec": {"maxPerHost": 2}})
    ),
    *(
        AtUpdate(
            Instance,
            "the Instance has its node: scheduling can only be edited before; delete it and create it anew",
            "spec.scheduling",
            before=before | {"status": HAS_NODE}, good={"spec": {"powerState": "Stopped"}}, bad={"spec": bad},
        )
        for before, bad in [
            (an_instance(), {"scheduling": {"group": "web"}}),
            (placed(group="web"), {"scheduling": {"group": "db"}}),
            (placed(group="web"), {"scheduling": None}),
            (placed(tolerations=[]), {"scheduling": {"tolerations": [{"operator": "Exists"}]}}),
        ]
    ),
    *(
        AtUpdate(
            Instance,
            "the Instance has its node: availabilityZone can only be edited before; delete it and create it anew",
            "spec.availabilityZone",
            before=before | {"status": HAS_NODE}, good=LABEL, bad={"spec": {"availabilityZone": bad}},
        )
        for before, bad in [
            (an_instance(), "az1"),
            (an_instance(availabilityZone="az1"), "az2"),
            (an_instance(availabilityZone="az1"), None),
        ]
    ),
    *(
        AtUpdate(
            Resources, f"{field} must be between 0 and 1Ei", f"status.{part}.{field}",
            before=a_hypervisor(), good=reporting(), bad={"status": {part: {field: nonsense}}},
        )
        for part, field, nonsense in [
            ("capacity", "memory", "-1"),
            ("allocatable", "memory", "1025Pi"),
            ("capacity", "disk", "9e99"),
            ("allocatable", "disk", -4096),
        ]
    ),
    *(
        AtUpdate(
            Cell, "memory must be between 0 and 1Ei", "status.cells[1].memory",
            before=a_hypervisor(),
            good=reporting(cells=[a_cell(0), a_cell(1, memory="0")]),
            bad=reporting(cells=[a_cell(0), a_cell(1, memory=nonsense)]),
        )
        for nonsense in ("-8Gi", "2Ei")
    ),
]  # fmt: skip
