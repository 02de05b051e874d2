"""Dry runs of any action: whether it may be called, and would succeed as far as can be told.

Moto looks at DryRun in a third of its actions only, and carries out the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ec2_sandbox import wire
from ec2_sandbox.errors import ApiError

_IDS: dict[str, tuple[str, Callable[[Any], Mapping[str, Any]]]] = {
    "sg-": ("InvalidGroup.NotFound", lambda at: _inner(at.groups)),
    "subnet-": ("InvalidSubnetID.NotFound", lambda at: _inner(at.subnets)),
    "vol-": ("InvalidVolume.NotFound", lambda at: at.volumes),
    "i-": (
        "InvalidInstanceID.NotFound",
        lambda at: {each.id: each for each in at.all_instances()},
    ),
    "ami-": ("InvalidAMIID.NotFound", lambda at: at.amis),
    "vpc-": ("InvalidVpcID.NotFound", lambda at: at.vpcs),
    "snap-": ("InvalidSnapshot.NotFound", lambda at: at.snapshots),
}


def would_succeed() -> ApiError:
    """Makes what EC2 answers to a dry run that would have been allowed."""
    message = "Request would have succeeded, but DryRun flag is set."
    return ApiError("DryRunOperation", message)


def check(action: str, params: Mapping[str, Any], backend: Any) -> None:
    """Refuses what any action refuses before it does something.

    :param params: the request's, nested
    :raises ApiError: ``MissingParameter``, or ``Invalid....NotFound`` for what an id names
    """
    shape = wire.operation(action).input_shape
    for name in shape.required_members if shape else ():
        if params.get(name) in (None, "", [], {}):
            raise ApiError("MissingParameter", f"The request must contain the parameter {name}")
    for text in _texts(params):
        for prefix, (code, known) in _IDS.items():
            if text.startswith(prefix) and text not in known(backend):
                raise ApiError(code, f"The ID '{text}' does not exist")


def _texts(value: Any) -> Iterator[str]:
    """Yields what stands under a name that ends like that of an id."""
    if not isinstance(value, Mapping):
        return
    for name, inner in value.items():
        if name.endswith(("Id", "Ids")):
            yield from [inner] if isinstance(inner, str) else map(str, inner or ())
        for each in inner if isinstance(inner, list) else [inner]:
            yield from _texts(each)


def _inner(by_parent: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {name: each for inner in by_parent.values() for name, each in inner.items()}
