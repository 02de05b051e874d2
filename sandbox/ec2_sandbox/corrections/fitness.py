"""Whether an image can be launched as an instance of a type."""

from __future__ import annotations

import re
from typing import Any

from ec2_sandbox.errors import ApiError, invalid
from ec2_sandbox.hosts.devices import is_nitro

_ARM = re.compile(r"(a1|[a-z]+[0-9]+g[a-z]*)\.")


def check_fit(image: Any, instance_type: str | None) -> None:
    """Refuses a launch that EC2 would refuse. Source: RunInstances, and the guide's "Enhanced
    networking".

    :raises ApiError: the architecture, the virtualization or the network driver doesn't fit
    """
    if not instance_type:
        return
    architecture = "arm64" if _ARM.match(instance_type) else "x86_64"
    if image.architecture in ("x86_64", "arm64") and image.architecture != architecture:
        raise invalid(
            f"The architecture '{architecture}' of the specified instance type does not match the "
            f"architecture '{image.architecture}' of the specified AMI. Specify an instance type "
            "and an AMI that have matching architectures, and try again."
        )
    if not is_nitro(instance_type, "hvm"):
        return
    if image.virtualization_type != "hvm":
        raise ApiError(
            "InvalidParameterCombination",
            f"Virtualization type 'hvm' is required for instances of type '{instance_type}'. "
            "Ensure that you are using an AMI with virtualization type 'hvm'.",
        )
    if not image.ena_support:
        raise ApiError(
            "InvalidParameterCombination",
            f"Enhanced networking with the Elastic Network Adapter (ENA) is required for the "
            f"'{instance_type}' instance type. Ensure that you are using an AMI that is enabled "
            "for ENA.",
        )
