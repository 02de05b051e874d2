"""The settings of an instance that moto forgets: taken at its launch, shown ever after.

Source: RunInstances' request, and the members of Instance in DescribeInstances' answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.core.utils import camelcase_to_underscores
from moto.ec2.models.instance_types import INSTANCE_TYPES

from ec2_sandbox.errors import ApiError, invalid

_DEFAULTS: dict[str, dict[str, Any]] = {
    "CapacityReservationSpecification": {"CapacityReservationPreference": "open"},
    "EnclaveOptions": {"Enabled": False},
    "HibernationOptions": {"Configured": False},
    "MaintenanceOptions": {"AutoRecovery": "default", "RebootMigration": "default"},
    "NetworkPerformanceOptions": {"BandwidthWeighting": "default"},
    "PrivateDnsNameOptions": {
        "HostnameType": "ip-name",
        "EnableResourceNameDnsARecord": False,
        "EnableResourceNameDnsAAAARecord": False,
    },
    "Placement": {"GroupName": "", "Tenancy": "default"},
}
_METADATA = {
    "HttpTokens": "optional",
    "HttpEndpoint": "enabled",
    "HttpPutResponseHopLimit": 1,
    "HttpProtocolIpv6": "disabled",
    "InstanceMetadataTags": "disabled",
}


def check_settings(wanted: Mapping[str, Any]) -> None:
    """Refuses settings of a launch that EC2 would refuse.

    :raises ApiError: CPUs that the type can't have; metadata options beside a disabled endpoint
    """
    _check_metadata(wanted.get("MetadataOptions") or {})
    cpus = wanted.get("CpuOptions") or {}
    asked = (cpus.get("CoreCount"), cpus.get("ThreadsPerCore"))
    if asked == (None, None):
        return
    known = _cpus(wanted.get("InstanceType"))
    if not known.get("ValidCores"):
        raise ApiError(
            "UnsupportedOperation",
            f"The {wanted.get('InstanceType')} instance type does not support CpuOptions.",
        )
    if asked[0] not in known["ValidCores"] or asked[1] not in known["ValidThreadsPerCore"]:
        raise invalid(f"CpuOptions {asked} are not valid for {wanted.get('InstanceType')}.")


def take_settings(
    instance: Any, wanted: Mapping[str, Any], image: Any, account: Mapping[str, Any]
) -> None:
    """Keeps the settings of a launch; the rest by the account's defaults, the image and EC2's.

    :param account: what ModifyInstanceMetadataDefaults has set
    """
    instance.settings = {
        group: {**usual, **(wanted.get(group) or {})} for group, usual in _DEFAULTS.items()
    }
    instance.settings["CpuOptions"] = {**usual_cpus(instance), **(wanted.get("CpuOptions") or {})}
    imds = getattr(image, "imds_support", None)
    by_image = {"HttpTokens": "required", "HttpPutResponseHopLimit": 2} if imds else {}
    metadata = {**_METADATA, **by_image, **account, **(wanted.get("MetadataOptions") or {})}
    _set_metadata(instance, metadata)
    instance.tpm_support = getattr(image, "tpm_support", None)


def change_metadata(instance: Any, wanted: Mapping[str, Any]) -> None:
    """Changes the metadata options of an instance that are given."""
    given = {name: wanted[name] for name in _METADATA if wanted.get(name) is not None}
    _check_metadata(given)
    _set_metadata(instance, given)


def _check_metadata(given: Mapping[str, Any]) -> None:
    if given.get("HttpEndpoint") == "disabled" and len(given) > 1:
        raise ApiError(
            "InvalidParameterCombination",
            "No other metadata option may be given where HttpEndpoint is disabled.",
        )
    hops = given.get("HttpPutResponseHopLimit")
    if hops is not None and not 1 <= hops <= 64:
        raise invalid(f"Value ({hops}) for parameter HttpPutResponseHopLimit is invalid.")


def _set_metadata(instance: Any, given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        setattr(instance.metadata_options, camelcase_to_underscores(name), value)


def settings_of(instance: Any) -> dict[str, Any]:
    """Answers the settings of an instance as DescribeInstances does."""
    kept = getattr(instance, "settings", None) or {**_DEFAULTS, "CpuOptions": usual_cpus(instance)}
    options = instance.metadata_options
    return {
        **{group: dict(values) for group, values in kept.items()},
        "TpmSupport": getattr(instance, "tpm_support", None),
        "MetadataOptions": {
            "State": "applied",
            "HttpTokens": options.http_tokens,
            "HttpPutResponseHopLimit": options.http_put_response_hop_limit,
            "HttpEndpoint": options.http_endpoint,
            "HttpProtocolIpv6": options.http_protocol_ipv6,
            "InstanceMetadataTags": options.instance_metadata_tags,
        },
    }


def usual_cpus(instance: Any) -> dict[str, int]:
    """Answers the CPUs of an instance that was launched without CpuOptions."""
    known = _cpus(instance.instance_type)
    return {
        "CoreCount": known.get("DefaultCores", 1),
        "ThreadsPerCore": known.get("DefaultThreadsPerCore", 1),
    }


def _cpus(instance_type: str | None) -> Mapping[str, Any]:
    found: Mapping[str, Any] = INSTANCE_TYPES.get(instance_type or "", {}).get("VCpuInfo", {})
    return found
