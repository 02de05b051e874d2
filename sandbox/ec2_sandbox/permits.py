"""What the caller may not do: actions that are denied, and those that no policy allows."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from ec2_sandbox.client import ENVIRONMENT
from ec2_sandbox.errors import ApiError
from ec2_sandbox.policies import Policies, Refusal, first_refused
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


def unauthorized(caller: str, name: str, region: str, refused: Refusal | None = None) -> ApiError:
    """Answers EC2's refusal of an action, as IAM names it, with the message that it encodes."""
    told = base64.b64encode(f"{caller} {name} {region}".encode()).decode()
    return ApiError(
        "UnauthorizedOperation",
        f"You are not authorized to perform this operation. {refusal(caller, name, refused)} "
        f"Encoded authorization failure message: {told}",
    )


def refused_by_policies(world: World, request: Request, account: str) -> Refusal | None:
    """Return what the policies don't allow the sandbox's own access key, or the session of a role.

    Any other key is a bystander's, whom no policy binds.
    """
    settings, is_own = world.settings, request.access_key == ENVIRONMENT["AWS_ACCESS_KEY_ID"]
    session = world.roles.session(request.access_key, world.clock.now())
    if is_own:
        bound = Policies(
            settings.principal,
            settings.service_control_policies,
            settings.boundary,
            settings.policies,
        )
    elif session:
        bound = Policies(session.role_arn, settings.service_control_policies)
    else:
        return None
    if not bound.layers:
        return None
    backend = world.backend(request.region, account)
    return first_refused(bound, request.service, request.action, request.flat, backend)


def is_denied(denied: Denied, region: str, name: str) -> bool:
    """Says whether an action, as IAM names it, is denied in a region."""
    return any(name in denied.get(where, ()) for where in ("*", region))


def refusal(caller: str, name: str, refused: Refusal | None = None) -> str:
    """Answers in AWS's words that a caller lacks a permission.

    :param refused: by which policy, and of what; left out: no identity-based policy allows it
    """
    said = f"User: {caller} is not authorized to perform: {name}"
    if refused is None:
        return f"{said} because no identity-based policy allows the {name} action."
    return f"{said} on resource: {refused.arn} {refused.why}."
