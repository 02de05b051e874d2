"""What the caller may not do: actions that are denied, and those that no policy allows."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from ec2_sandbox.client import ENVIRONMENT
from ec2_sandbox.errors import ApiError
from ec2_sandbox.policies import first_refused
from ec2_sandbox.wire import Request

if TYPE_CHECKING:
    from ec2_sandbox.world import World

Denied = Mapping[str, Collection[str]]


def check_permitted(
    denied: Denied, region: str, action: str, flat: Mapping[str, str], caller: str
) -> None:
    """Refuses a call of EC2 that is denied; one that tags what it makes needs CreateTags as well.

    :param denied: region, or ``*``, to actions as IAM names them
    :param flat: the request's flat parameters
    :raises ApiError: ``UnauthorizedOperation``, with the message that EC2 encodes
    """
    tags = any(key.startswith("TagSpecification.") and ".Tag." in key for key in flat)
    for needed in (action, *(["CreateTags"] if tags else [])):
        name = f"ec2:{needed}"
        if is_denied(denied, region, name):
            raise unauthorized(caller, name, region)


def unauthorized(caller: str, name: str, region: str) -> ApiError:
    """Answers EC2's refusal of an action, as IAM names it, with the message that it encodes."""
    told = base64.b64encode(f"{caller} {name} {region}".encode()).decode()
    return ApiError(
        "UnauthorizedOperation",
        f"You are not authorized to perform this operation. {refusal(caller, name)} "
        f"Encoded authorization failure message: {told}",
    )


def refused_by_policies(world: World, request: Request, account: str) -> str:
    """Return what the policies don't allow the sandbox's own access key; empty for nothing."""
    policies = world.settings.policies
    if policies is None or request.access_key != ENVIRONMENT["AWS_ACCESS_KEY_ID"]:
        return ""
    backend = world.backend(request.region, account)
    return first_refused(policies, request.service, request.action, request.flat, backend)


def is_denied(denied: Denied, region: str, name: str) -> bool:
    """Says whether an action, as IAM names it, is denied in a region."""
    return any(name in denied.get(where, ()) for where in ("*", region))


def refusal(caller: str, name: str) -> str:
    """Answers in AWS's words that a caller lacks a permission."""
    return (
        f"User: {caller} is not authorized to perform: {name} because no identity-based policy "
        f"allows the {name} action."
    )
