"""EC2's protocol: requests and responses; query parameters in, XML out.

Answers made of plain dictionaries with the API's own names are written by :func:`write_answer`,
many times faster than moto does it by way of xmltodict.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from ec2_sandbox.errors import ApiError, invalid

NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
#: A character that XML can't carry, so that no answer could tell of it.
UNFIT = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
XML = "text/xml;charset=UTF-8"
JSON = "application/x-amz-json-1.1"
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass(frozen=True)
class Request:
    """One HTTP request to an AWS service, as far as the sandbox looks at it."""

    service: str
    region: str
    action: str
    flat: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    path: str = "/"
    access_key: str = ""


@dataclass(frozen=True)
class Response:
    """One HTTP response."""

    status: int
    body: bytes
    content_type: str = XML


@cache
def _model() -> Any:
    from moto.core.utils import get_service_model

    return get_service_model("ec2")


@cache
def operation(action: str) -> Any:
    """Answers botocore's model of an action.

    :raises ApiError: ``InvalidAction`` when EC2 has no such action
    """
    from botocore.model import OperationNotFoundError

    try:
        return _model().operation_model(action)
    except OperationNotFoundError:
        message = f"The action {action} is not valid for this web service."
        raise ApiError("InvalidAction", message) from None


@cache
def _input_names(action: str) -> frozenset[str]:
    shape = operation(action).input_shape
    names = set()
    for name, member in (shape.members if shape else {}).items():
        by_query = member.serialization.get("queryName")
        by_location = member.serialization.get("name", name)
        names.add(by_query or by_location[0].upper() + by_location[1:])
    return frozenset(names | {"Action", "Version", "DryRun"})


def read_flat(body: str) -> dict[str, str]:
    """Reads a form's parameters, flat, as they were sent."""
    return dict(parse_qsl(body, keep_blank_values=True))


def read_plain(body: bytes) -> dict[str, str]:
    """Reads the texts, numbers and flags at the top of a JSON body, as forms have them."""
    try:
        given = json.loads(body or b"{}")
    except ValueError:
        return {}
    plain = {key: value for key, value in given.items() if isinstance(value, str | int | float)}
    return {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in plain.items()}


def read_parameters(action: str, flat: Mapping[str, str]) -> Any:
    """Reads flat parameters into the nested form of the API's model.

    :raises ApiError: ``UnknownParameter``, ``InvalidAction``, ``InvalidParameterValue``
    """
    from moto.core.parse import EC2QueryParser

    known = _input_names(action)
    for key in flat:
        if key.split(".", 1)[0] not in known:
            raise ApiError("UnknownParameter", f"The parameter {key} is not recognized")
    try:
        return EC2QueryParser(operation(action)).parse({"values": flat})
    except (ValueError, TypeError) as error:
        raise invalid(f"A parameter's value could not be read: {error}") from None


def write_answer(action: str, answer: Mapping[str, Any]) -> str:
    """Writes an answer as EC2's XML.

    :param answer: the API's names to plain values; ``None`` is left out
    """
    shape = operation(action).output_shape
    parts = [_HEAD, f'<{action}Response xmlns="{NAMESPACE}"><requestId>{uuid.uuid4()}</requestId>']
    if shape is not None:
        _write_members(parts, shape, answer)
    else:
        parts.append("<return>true</return>")
    parts.append(f"</{action}Response>")
    return "".join(parts)


def write_error(error: ApiError) -> str:
    """Writes an error in EC2's XML form."""
    return (
        f"{_HEAD}<Response><Errors><Error><Code>{escape(error.code)}</Code>"
        f"<Message>{escape(error.message)}</Message></Error></Errors>"
        f"<RequestID>{uuid.uuid4()}</RequestID></Response>"
    )


def write_time(moment: datetime) -> str:
    """Writes a time as EC2 does, with milliseconds; a naive one is taken for UTC."""
    if moment.tzinfo:
        moment = moment.astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _write_members(parts: list[str], shape: Any, values: Mapping[str, Any]) -> None:
    tags = _tags(shape)
    for name, value in values.items():
        if value is not None:
            tag, member = tags[name]
            _write(parts, tag, member, value)


def _tags(shape: Any) -> dict[str, tuple[str, Any]]:
    cached: dict[str, tuple[str, Any]] | None = shape.__dict__.get("_sandbox_tags")
    if cached is None:
        cached = {
            name: (member.serialization.get("name", name), member)
            for name, member in shape.members.items()
        }
        shape.__dict__["_sandbox_tags"] = cached
    return cached


def _write(parts: list[str], tag: str, shape: Any, value: Any) -> None:
    kind = shape.type_name
    if kind == "structure":
        parts.append(f"<{tag}>")
        _write_members(parts, shape, value)
        parts.append(f"</{tag}>")
    elif kind == "list":
        item = shape.member
        item_tag = item.serialization.get("name", "item")
        parts.append(f"<{tag}>")
        for each in value:
            _write(parts, item_tag, item, each)
        parts.append(f"</{tag}>")
    elif kind == "boolean":
        parts.append(f"<{tag}>{'true' if value else 'false'}</{tag}>")
    elif isinstance(value, datetime):
        parts.append(f"<{tag}>{write_time(value)}</{tag}>")
    else:
        parts.append(f"<{tag}>{escape(str(value))}</{tag}>")


def write_query_answer(action: str, values: Mapping[str, Any]) -> str:
    """Writes an answer as services of the query protocol do; values are texts or mappings."""
    return (
        f"{_HEAD}<{action}Response><{action}Result>{_elements(values)}</{action}Result>"
        f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata>"
        f"</{action}Response>"
    )


def _elements(values: Mapping[str, Any]) -> str:
    return "".join(
        f"<{key}>{_elements(value) if isinstance(value, Mapping) else escape(value)}</{key}>"
        for key, value in values.items()
    )


def write_query_error(error: ApiError) -> str:
    """Writes an error as services of the query protocol do, STS for one."""
    return (
        f"{_HEAD}<ErrorResponse><Error><Type>Sender</Type><Code>{escape(error.code)}</Code>"
        f"<Message>{escape(error.message)}</Message></Error>"
        f"<RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
    )
