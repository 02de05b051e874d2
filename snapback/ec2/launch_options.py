"""How an instance was made, read for :mod:`snapback.core.model.launch_options`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from sys import intern
from typing import Any

from snapback.core.model.launch_options import (
    LONGEST_OF_UNRESTORABLE,
    OPTIONS,
    Options,
)

_AMAZON = "amazon"
_UNRESTORABLE_VALUES = {
    ("tenancy", "host"),
    ("capacity_reservation_preference", "capacity-reservations-only"),
}
"""What is read by :func:`unrestorable_of`."""


def options_of(said: Mapping[str, Any]) -> Options:
    """Return the settings of a described instance that differ from EC2's default.

    A value that this version doesn't know is among them: it is told when it isn't restored.
    """
    monitored = said.get("Monitoring", {}).get("State") in ("enabled", "pending")
    alike = {**said, "Monitoring": {"Enabled": monitored}}
    described = {key: _at(alike, option.path) for key, option in OPTIONS.items()}
    described["source_dest_check"] = _primary(said).get(
        "SourceDestCheck", said.get("SourceDestCheck")
    )
    return {
        key: intern(value) if isinstance(value, str) else value
        for key, value in described.items()
        if value not in (None, OPTIONS[key].usual) and (key, value) not in _UNRESTORABLE_VALUES
    }


def unrestorable_of(said: Mapping[str, Any]) -> Mapping[str, str]:
    """Return what a described instance has that a restore can't give: kind -> which."""
    placement = said.get("Placement", {})
    reservation = said.get("CapacityReservationSpecification", {})
    target = reservation.get("CapacityReservationTarget", {})
    only = reservation.get("CapacityReservationPreference") == "capacity-reservations-only"
    hosted = placement.get("Tenancy") == "host"
    usage = said.get("UsageOperation", "")
    found = {
        **_of_interfaces(said),
        "placement_group": _text(placement, "GroupName"),
        "dedicated_host": (_text(placement, "HostResourceGroupArn", "HostId") or "any")
        if hosted
        else "",
        "capacity_reservation": _text(
            target, "CapacityReservationId", "CapacityReservationResourceGroupArn"
        )
        or ("any" if only else ""),
        "purchase_option": said.get("InstanceLifecycle"),
        "licenses": _list(said.get("Licenses"), "LicenseConfigurationArn"),
        "accelerators": _list(said.get("ElasticGpuAssociations"), "ElasticGpuId")
        or _list(
            said.get("ElasticInferenceAcceleratorAssociations"), "ElasticInferenceAcceleratorArn"
        ),
        "hibernation": "configured" if said.get("HibernationOptions", {}).get("Configured") else "",
        "reboot_migration": "disabled"
        if said.get("MaintenanceOptions", {}).get("RebootMigration") == "disabled"
        else "",
        "kernel": _text(said, "KernelId", "RamdiskId"),
        "billing": _list(said.get("ProductCodes"), "ProductCodeId")
        or (said.get("PlatformDetails") or usage if usage not in ("", "RunInstances") else ""),
        "outpost": said.get("OutpostArn"),
        "operator": _text(said.get("Operator", {}), "Principal"),
    }
    return {key: text[:LONGEST_OF_UNRESTORABLE] for key, text in found.items() if text}


def _of_interfaces(said: Mapping[str, Any]) -> dict[str, str]:
    """Return what the network interfaces have that that of a restored instance won't have."""
    one = _primary(said)
    others = [x for x in said.get("NetworkInterfaces", ()) if x is not one]
    others += said.get("SecondaryInterfaces", ())
    private = [x for x in one.get("PrivateIpAddresses", ()) if not x.get("Primary")]
    public = [x.get("Association", {}) for x in (one, *one.get("PrivateIpAddresses", ()))]
    elastic = {x["PublicIp"]: x for x in public if x.get("IpOwnerId", _AMAZON) != _AMAZON}
    srd = one.get("Attachment", {}).get("EnaSrdSpecification", {}).get("EnaSrdEnabled")
    kind = one.get("InterfaceType", "interface")
    settings = [
        *([kind] if kind != "interface" else []),
        *(["ENA Express"] if srd else []),
        *(["connection tracking"] if one.get("ConnectionTrackingConfiguration") else []),
    ]
    return {
        "network_interfaces": " ".join(
            str(x.get("NetworkInterfaceId") or x.get("SecondaryInterfaceId")) for x in others
        ),
        "secondary_addresses": _list(private, "PrivateIpAddress"),
        "ipv6_addresses": _list(one.get("Ipv6Addresses"), "Ipv6Address"),
        "address_prefixes": " ".join(
            filter(
                None,
                [
                    _list(one.get("Ipv4Prefixes"), "Ipv4Prefix"),
                    _list(one.get("Ipv6Prefixes"), "Ipv6Prefix"),
                ],
            )
        ),
        "elastic_ip": " ".join(elastic),
        "interface_settings": ", ".join(settings),
    }


def _primary(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the network interface that an instance was launched with."""
    for one in said.get("NetworkInterfaces", ()):
        attachment = one.get("Attachment", {})
        if not attachment.get("DeviceIndex") and not attachment.get("NetworkCardIndex"):
            return one  # type: ignore[no-any-return]
    return {}


def _at(said: Any, path: str) -> Any:
    for name in path.split("."):
        said = said.get(name) if isinstance(said, Mapping) else None
    return said


def _text(said: Mapping[str, Any], *names: str) -> str:
    return " ".join(str(said[name]) for name in names if said.get(name))


def _list(said: Iterable[Mapping[str, Any]] | None, name: str) -> str:
    return " ".join(str(one[name]) for one in said or () if one.get(name))
