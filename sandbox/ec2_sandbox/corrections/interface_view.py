"""How DescribeInstances shows a network interface."""

from __future__ import annotations

from typing import Any

from ec2_sandbox.corrections.volume_calls import aware

_AMAZON = "amazon"


def interface_view(interface: Any, groups: list[dict[str, str]]) -> dict[str, Any]:
    """Answers a network interface of an instance as DescribeInstances does."""
    address = interface.private_ip_address
    return {
        "NetworkInterfaceId": interface.id,
        "SubnetId": interface.subnet.id,
        "VpcId": interface.subnet.vpc_id,
        "OwnerId": interface.owner_id,
        "Status": interface.status,
        "MacAddress": interface.mac_address,
        "PrivateIpAddress": address,
        "PrivateIpAddresses": [
            {"Primary": True, "PrivateIpAddress": address},
            *(
                {"Primary": False, "PrivateIpAddress": each["PrivateIpAddress"]}
                for each in interface.private_ip_addresses
                if not each.get("Primary")
            ),
        ],
        "Ipv6Addresses": [{"Ipv6Address": each} for each in interface.ipv6_addresses],
        "Association": _association(interface),
        "SourceDestCheck": bool(interface.source_dest_check),
        "InterfaceType": "interface",
        "Groups": groups,
        "Attachment": {
            "AttachmentId": interface.attachment_id,
            "AttachTime": aware(interface.attach_time) if interface.attach_time else None,
            "DeviceIndex": interface.device_index,
            "DeleteOnTermination": bool(interface.delete_on_termination),
            "Status": "attached",
        },
    }


def _association(interface: Any) -> dict[str, str] | None:
    """Answers the public address: an Elastic IP is the account's, any other is Amazon's."""
    if not interface.public_ip:
        return None
    backend = interface.ec2_backend
    elastic = {each.public_ip for each in backend.describe_addresses() if each.eni is interface}
    owner = backend.account_id if interface.public_ip in elastic else _AMAZON
    return {"PublicIp": interface.public_ip, "IpOwnerId": owner}
