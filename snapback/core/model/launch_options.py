"""The settings of an instance that a restore gives to its successor, and those that it can't give.

Source: the members of Instance (DescribeInstances) and of RunInstances' request, all of them. What
isn't named here or in :mod:`~snapback.core.model.original` says nothing of how an instance is made:
its ids, its addresses, its state, and what follows from the subnet, the image and the type.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

Value = str | int | bool
Options = Mapping[str, Value]

UNREADABLE = "other_settings"
"""The key under which it is told that there were settings that can't be read."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """A setting that has a default.

    :ivar path: the member of RunInstances' request; empty: RunInstances doesn't take it.
    :ivar usual: EC2's default, which isn't recorded. 0: it depends on the type.
    :ivar others: the values that a restore sets.
    :ivar called: its name for people.
    :ivar needs_type: whether another instance type may refuse it.
    :ivar needs_subnet: whether another subnet may refuse it.
    """

    path: str
    usual: Value
    others: Container[Value]
    called: str
    needs_type: bool = False
    needs_subnet: bool = False

    def takes(self, value: Any) -> bool:
        """Return whether a value is one that a restore sets."""
        return type(value) is type(self.usual) and value in self.others


_ON = frozenset({True})
_ENABLED = frozenset({"enabled"})

OPTIONS: Mapping[str, Option] = {
    "http_tokens": Option(
        path="MetadataOptions.HttpTokens",
        usual="optional",
        others=frozenset({"required"}),
        called="HttpTokens",
    ),
    "http_endpoint": Option(
        path="MetadataOptions.HttpEndpoint",
        usual="enabled",
        others=frozenset({"disabled"}),
        called="HttpEndpoint",
    ),
    "http_put_response_hop_limit": Option(
        path="MetadataOptions.HttpPutResponseHopLimit",
        usual=1,
        others=range(2, 65),
        called="HttpPutResponseHopLimit",
    ),
    "http_protocol_ipv6": Option(
        path="MetadataOptions.HttpProtocolIpv6",
        usual="disabled",
        others=_ENABLED,
        called="HttpProtocolIpv6",
    ),
    "instance_metadata_tags": Option(
        path="MetadataOptions.InstanceMetadataTags",
        usual="disabled",
        others=_ENABLED,
        called="InstanceMetadataTags",
    ),
    "source_dest_check": Option(
        path="", usual=True, others=frozenset({False}), called="source/destination check"
    ),
    "monitoring": Option(
        path="Monitoring.Enabled", usual=False, others=_ON, called="detailed monitoring"
    ),
    "tenancy": Option(
        path="Placement.Tenancy",
        usual="default",
        others=frozenset({"dedicated"}),
        called="tenancy",
    ),
    "capacity_reservation_preference": Option(
        path="CapacityReservationSpecification.CapacityReservationPreference",
        usual="open",
        others=frozenset({"none"}),
        called="capacity reservation preference",
    ),
    "auto_recovery": Option(
        path="MaintenanceOptions.AutoRecovery",
        usual="default",
        others=frozenset({"disabled"}),
        called="automatic recovery",
    ),
    "ebs_optimized": Option(
        path="EbsOptimized", usual=False, others=_ON, called="EBS optimization", needs_type=True
    ),
    "core_count": Option(
        path="CpuOptions.CoreCount",
        usual=0,
        others=range(1, 1025),
        called="CPU cores",
        needs_type=True,
    ),
    "threads_per_core": Option(
        path="CpuOptions.ThreadsPerCore",
        usual=0,
        others=range(1, 9),
        called="threads per core",
        needs_type=True,
    ),
    "amd_sev_snp": Option(
        path="CpuOptions.AmdSevSnp",
        usual="disabled",
        others=_ENABLED,
        called="AMD SEV-SNP",
        needs_type=True,
    ),
    "nested_virtualization": Option(
        path="CpuOptions.NestedVirtualization",
        usual="disabled",
        others=_ENABLED,
        called="nested virtualization",
        needs_type=True,
    ),
    "enclave": Option(
        path="EnclaveOptions.Enabled", usual=False, others=_ON, called="Nitro Enclaves",
        needs_type=True,
    ),
    "bandwidth_weighting": Option(
        path="NetworkPerformanceOptions.BandwidthWeighting",
        usual="default",
        others=frozenset({"vpc-1", "ebs-1"}),
        called="bandwidth weighting",
        needs_type=True,
    ),
    "hostname_type": Option(
        path="PrivateDnsNameOptions.HostnameType",
        usual="ip-name",
        others=frozenset({"resource-name"}),
        called="host name type",
        needs_subnet=True,
    ),
    "resource_name_dns_a_record": Option(
        path="PrivateDnsNameOptions.EnableResourceNameDnsARecord",
        usual=False,
        others=_ON,
        called="DNS A record of the resource name",
        needs_subnet=True,
    ),
    "resource_name_dns_aaaa_record": Option(
        path="PrivateDnsNameOptions.EnableResourceNameDnsAAAARecord",
        usual=False,
        others=_ON,
        called="DNS AAAA record of the resource name",
        needs_subnet=True,
    ),
}  # fmt: skip
METADATA = tuple(key for key, one in OPTIONS.items() if one.path.startswith("MetadataOptions."))
CPUS = ("core_count", "threads_per_core")

UNRESTORABLE: Mapping[str, str] = {
    "network_interfaces": "further network interfaces",
    "secondary_addresses": "secondary private addresses",
    "ipv6_addresses": "IPv6 addresses",
    "address_prefixes": "address prefixes",
    "elastic_ip": "Elastic IP",
    "interface_settings": "settings of the network interface",
    "placement_group": "placement group",
    "dedicated_host": "Dedicated Host",
    "capacity_reservation": "capacity reservation",
    "purchase_option": "purchase option",
    "licenses": "license configurations",
    "accelerators": "elastic accelerators",
    "hibernation": "hibernation",
    "reboot_migration": "reboot migration",
    "kernel": "kernel and RAM disk",
    "billing": "billing of",
    "outpost": "Outpost",
    "operator": "managing service",
    UNREADABLE: "settings that can't be read",
}
"""What an instance may have that a restore doesn't give: key -> its name for people."""

LONGEST_OF_UNRESTORABLE = 100


def request(options: Options) -> dict[str, Any]:
    """Return options as parameters of RunInstances, except those that it doesn't take."""
    said: dict[str, Any] = {}
    for key, value in options.items():
        *outer, name = OPTIONS[key].path.split(".")
        if name:
            (said.setdefault(outer[0], {}) if outer else said)[name] = value
    return said


def in_words(options: Options) -> str:
    """Return options for people: ``HttpTokens required, source/destination check off``."""
    return ", ".join(f"{OPTIONS[key].called} {_word(value)}" for key, value in options.items())


def _word(value: Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
