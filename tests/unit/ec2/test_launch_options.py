"""What is read of how an instance was made, held against the service model of EC2."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.loaders import Loader

from snapback.core.model.launch_options import OPTIONS, UNREADABLE, UNRESTORABLE, request
from snapback.ec2.launch_options import options_of, unrestorable_of

SHAPES = Loader().load_service_model("ec2", "service-2")["shapes"]
PRIMARY = {"NetworkInterfaceId": "eni-1", "Attachment": {"DeviceIndex": 0, "NetworkCardIndex": 0}}
PLAIN: dict[str, Any] = {
    "Monitoring": {"State": "disabled"},
    "Placement": {"Tenancy": "default", "GroupName": "", "AvailabilityZone": "us-east-1a"},
    "SourceDestCheck": True,
    "EbsOptimized": False,
    "CapacityReservationSpecification": {"CapacityReservationPreference": "open"},
    "HibernationOptions": {"Configured": False},
    "EnclaveOptions": {"Enabled": False},
    "MaintenanceOptions": {"AutoRecovery": "default", "RebootMigration": "default"},
    "MetadataOptions": {
        "State": "applied",
        "HttpTokens": "optional",
        "HttpPutResponseHopLimit": 1,
        "HttpEndpoint": "enabled",
        "HttpProtocolIpv6": "disabled",
        "InstanceMetadataTags": "disabled",
    },
    "NetworkInterfaces": [
        {
            **PRIMARY,
            "InterfaceType": "interface",
            "Association": {"PublicIp": "198.51.100.1", "IpOwnerId": "amazon"},
            "PrivateIpAddresses": [{"Primary": True, "PrivateIpAddress": "10.0.0.1"}],
        }
    ],
    "UsageOperation": "RunInstances",
    "PlatformDetails": "Linux/UNIX",
    "Operator": {"Managed": False},
}


def member(shape: str, path: str) -> dict[str, Any]:
    """The shape of a member of a structure of EC2's."""
    for name in path.split("."):
        shape = SHAPES[shape]["members"][name]["shape"]
    return SHAPES[shape]


@pytest.mark.parametrize("key", sorted(OPTIONS))
def test_options_are_members_of_the_request_and_of_the_answer(key: str) -> None:
    option = OPTIONS[key]
    path = option.path or "SourceDestCheck"
    if option.path:
        shape = member("RunInstancesRequest", path)
        kinds = {"string": str, "integer": int, "boolean": bool}
        assert kinds[shape["type"]] is type(option.usual)
        if words := set(shape.get("enum", ())):
            assert option.usual in words
            assert words >= {word for word in words if option.takes(word)} != set()
    if key != "monitoring":
        assert member("Instance", path)["type"] == ("boolean" if not option.path else shape["type"])


def test_no_option_takes_what_it_cannot_be() -> None:
    for option in OPTIONS.values():
        for value in ("", "x", 0, -1, 65536, 1.5, None, [], {}, "\x1b[2J", option.usual):
            assert not option.takes(value)


def test_of_a_plain_instance_nothing_is_recorded() -> None:
    assert options_of(PLAIN) == options_of({}) == {}
    assert unrestorable_of(PLAIN) == unrestorable_of({}) == {}


def test_every_option_is_read_where_ec2_tells_it_and_sent_where_ec2_takes_it() -> None:
    said: dict[str, Any] = {"Monitoring": {"State": "pending"}, "SourceDestCheck": False}
    values = {
        key: next(v for v in (True, False, 2, "required", "disabled", "enabled", "dedicated",
                              "none", "vpc-1", "resource-name") if option.takes(v))
        for key, option in OPTIONS.items()
    }  # fmt: skip
    for key, value in values.items():
        *outer, name = OPTIONS[key].path.split(".")
        if name and key != "monitoring":
            (said.setdefault(outer[0], {}) if outer else said)[name] = value
    assert options_of(said) == values
    sent = request(values)
    said["Monitoring"] = {"Enabled": True}
    del said["SourceDestCheck"]
    assert sent == said


def test_the_check_is_that_of_the_interface_of_the_launch() -> None:
    second = {"Attachment": {"DeviceIndex": 1}, "SourceDestCheck": False}
    first = {**PRIMARY, "SourceDestCheck": True}
    assert options_of({"NetworkInterfaces": [second, first]}) == {}
    first["SourceDestCheck"] = False
    assert options_of({"NetworkInterfaces": [second, first]}) == {"source_dest_check": False}


def test_all_that_no_call_gives_is_read() -> None:
    interface = {
        **PRIMARY,
        "InterfaceType": "efa",
        "Attachment": {"DeviceIndex": 0, "EnaSrdSpecification": {"EnaSrdEnabled": True}},
        "ConnectionTrackingConfiguration": {"UdpTimeout": 30},
        "Association": {"PublicIp": "203.0.113.7", "IpOwnerId": "111122223333"},
        "PrivateIpAddresses": [
            {"Primary": True, "PrivateIpAddress": "10.0.0.1"},
            {"Primary": False, "PrivateIpAddress": "10.0.0.2"},
        ],
        "Ipv6Addresses": [{"Ipv6Address": "2001:db8::1"}],
        "Ipv4Prefixes": [{"Ipv4Prefix": "10.0.1.0/28"}],
    }
    said = {
        "NetworkInterfaces": [
            interface,
            {"NetworkInterfaceId": "eni-2", "Attachment": {"DeviceIndex": 1}},
            {
                "NetworkInterfaceId": "eni-3",
                "Attachment": {"DeviceIndex": 0, "NetworkCardIndex": 1},
            },
        ],
        "Placement": {"GroupName": "db", "Tenancy": "host", "HostId": "h-1"},
        "CapacityReservationSpecification": {
            "CapacityReservationPreference": "capacity-reservations-only",
            "CapacityReservationTarget": {"CapacityReservationId": "cr-1"},
        },
        "InstanceLifecycle": "spot",
        "Licenses": [{"LicenseConfigurationArn": "arn:1"}],
        "ElasticGpuAssociations": [{"ElasticGpuId": "egpu-1"}],
        "HibernationOptions": {"Configured": True},
        "MaintenanceOptions": {"RebootMigration": "disabled"},
        "KernelId": "aki-1",
        "UsageOperation": "RunInstances:0010",
        "PlatformDetails": "Red Hat Enterprise Linux",
        "OutpostArn": "arn:2",
        "Operator": {"Managed": True, "Principal": "eks.amazonaws.com"},
    }
    found = unrestorable_of(said)
    assert found == {
        "network_interfaces": "eni-2 eni-3",
        "secondary_addresses": "10.0.0.2",
        "ipv6_addresses": "2001:db8::1",
        "address_prefixes": "10.0.1.0/28",
        "elastic_ip": "203.0.113.7",
        "interface_settings": "efa, ENA Express, connection tracking",
        "placement_group": "db",
        "dedicated_host": "h-1",
        "capacity_reservation": "cr-1",
        "purchase_option": "spot",
        "licenses": "arn:1",
        "accelerators": "egpu-1",
        "hibernation": "configured",
        "reboot_migration": "disabled",
        "kernel": "aki-1",
        "billing": "Red Hat Enterprise Linux",
        "outpost": "arn:2",
        "operator": "eks.amazonaws.com",
    }
    assert found.keys() == UNRESTORABLE.keys() - {UNREADABLE}
    assert options_of(said) == {}
