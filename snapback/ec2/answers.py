"""How EC2's answers are read: as botocore reads them, but quickly, and few large ones at a time.

Half of what a large backup costs this machine is reading XML. botocore looks, for every element,
at all the members that it could have (an instance could have some sixty); here only at those that
are there. Times are read by Python itself. A page of a thousand instances takes some 25 MB until
it is read; so the large ones are read one after the other, which takes no longer in one process.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

from botocore.parsers import EC2QueryParser, ResponseParserFactory
from botocore.utils import parse_timestamp

LARGE = 500_000  # bytes
_TEXTS = {"string", "character"}
_ELSEWHERE = ("location", "eventheader", "xmlAttribute", "flattened")

Members = dict[str, tuple[str, Any, bool]]
_BotocoresParser: Any = EC2QueryParser


def read_time(text: Any) -> datetime:
    """Answer the time that an answer says, aware; EC2 writes ``2026-11-24T03:00:00.000Z``.

    :raises ValueError: it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return parse_timestamp(text)  # seconds since 1970, RFC 822, and what else there is
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class Answers(ResponseParserFactory):
    """Makes the parsers of a session; register it as its ``response_parser_factory``."""

    def __init__(self) -> None:
        super().__init__()
        self.set_parser_defaults(timestamp_parser=read_time)
        self._members: dict[Any, Members | None] = {}
        self._large = threading.Lock()

    def create_parser(self, protocol_name: str) -> Any:
        """Answer a parser of a protocol's answers; ours for EC2's."""
        if protocol_name == "ec2":
            return _Ec2Parser(self._members, self._large)
        return super().create_parser(protocol_name)


class _Ec2Parser(_BotocoresParser):  # type: ignore[misc]
    """botocore's parser, which looks at the elements that are there.

    :param members: of each structure seen so far, by the names of their elements; ``None`` for one
        that is left to botocore.
    :param large: held while a large answer is read.
    """

    def __init__(self, members: dict[Any, Members | None], large: threading.Lock) -> None:
        super().__init__(timestamp_parser=read_time)
        self._members_of = members
        self._large = large

    def parse(self, response: dict[str, Any], shape: Any) -> Any:
        """Answer what an answer says."""
        if len(response["body"] or b"") < LARGE:
            return super().parse(response, shape)
        with self._large:
            return super().parse(response, shape)

    def _handle_structure(self, shape: Any, node: Any) -> Any:
        if shape not in self._members_of:
            self._members_of[shape] = self._look_at(shape)
        members = self._members_of[shape]
        if members is None or isinstance(node, list):
            return super()._handle_structure(shape, node)
        parsed: dict[str, Any] = {}
        for child in node:
            found = members.get(child.tag.rpartition("}")[2])
            if found is None:
                continue
            name, member, is_text = found
            if name in parsed:
                return super()._handle_structure(shape, node)
            parsed[name] = (child.text or "") if is_text else self._parse_shape(member, child)
        return parsed

    def _look_at(self, shape: Any) -> Members | None:
        """Answer the members of a structure, or ``None`` where it is of some special kind."""
        if shape.metadata.get("exception") or getattr(shape, "is_tagged_union", False):
            return None
        found: Members = {}
        for name, member in shape.members.items():
            if any(member.serialization.get(key) for key in _ELSEWHERE):
                return None
            tag = self._member_key_name(member, name)
            found[tag] = (name, member, member.type_name in _TEXTS)
        return found if len(found) == len(shape.members) else None
