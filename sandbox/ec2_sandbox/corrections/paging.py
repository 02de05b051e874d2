"""Paging: MaxResults and NextToken, by the place of the last item that was answered.

A token carries that place, so that pages stay right while items come and go; it holds for the
same request only, and only until the sandbox is reset.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from ec2_sandbox import wire
from ec2_sandbox.errors import ApiError, invalid

Thing = TypeVar("Thing")


def check_page_size(action: str, wanted: int | None) -> None:
    """Refuses a MaxResults that the service model doesn't allow; moto ignores it.

    :raises ApiError: ``InvalidParameterValue``
    """
    shape = wire.operation(action).input_shape
    model = shape.members.get("MaxResults") if shape and wanted is not None else None
    limits = model.metadata if model else {}
    if wanted is not None and not limits.get("min", wanted) <= wanted <= limits.get("max", wanted):
        raise invalid(f"Value ({wanted}) for parameter maxResults is invalid.")


def page(
    things: Iterable[Thing],
    place: Callable[[Thing], Any],
    parameters: Mapping[str, str],
    epoch: int,
    limits: tuple[int, int] = (5, 1000),
    ids: str | None = None,
) -> tuple[list[Thing], str | None]:
    """Answers one page of things, in the order of their places, and the token of the next.

    :param place: what a thing is sorted by; unique, and JSON can carry it
    :param parameters: the request's flat parameters
    :param epoch: changes when the sandbox is reset, which makes older tokens stale
    :param limits: the least MaxResults, and the most items of a page
    :param ids: the parameter, flat, that lists ids, and that MaxResults can't be used with
    :raises ApiError: a bad MaxResults or a bad token
    """
    wanted = parameters.get("MaxResults")
    token = parameters.get("NextToken")
    ordered = sorted(things, key=place)
    if wanted is None and not token:
        return ordered, None
    if wanted is not None and ids and any(key.startswith(f"{ids}.") for key in parameters):
        raise ApiError(
            "InvalidParameterCombination",
            f"The parameter {ids} cannot be used with the parameter maxResults",
        )
    size = _size(wanted, limits)
    digest = _digest(parameters, epoch)
    if token:
        after = _read(token, digest)
        ordered = [thing for thing in ordered if place(thing) > after]
    chosen = ordered[:size]
    more = len(ordered) > size
    return chosen, (_write(place(chosen[-1]), digest) if more else None)


def _size(wanted: str | None, limits: tuple[int, int]) -> int:
    least, most = limits
    if wanted is None:
        return most
    try:
        size = int(wanted)
    except ValueError:
        size = -1
    if size < least:
        raise invalid(
            f"Value ( {wanted} ) for parameter maxResults is invalid. "
            f"Expecting a value greater than or equal to {least}."
        )
    return min(size, most)


def _digest(parameters: Mapping[str, str], epoch: int) -> str:
    kept = sorted(
        (key, value)
        for key, value in parameters.items()
        if key not in ("NextToken", "MaxResults", "DryRun")
    )
    return hashlib.sha256(json.dumps([epoch, kept]).encode()).hexdigest()[:12]


def _write(last: Any, digest: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([digest, last]).encode()).decode()


def _read(token: str, digest: str) -> Any:
    try:
        owner, last = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError, binascii.Error):
        owner, last = None, None
    if owner != digest:
        raise ApiError("InvalidNextToken", "The specified nextToken is not valid.")
    return tuple(last) if isinstance(last, list) else last
