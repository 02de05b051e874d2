"""Answers: their times are read quickly, and as botocore reads them; long ones take turns."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from botocore.utils import parse_timestamp

from snapback.ec2 import sessions
from snapback.ec2.connection import Connections
from snapback.ec2.sessions import new_session, read_time


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-24T03:00:00.000Z",
        "2026-11-24T03:00:00Z",
        "2026-11-24T03:00:00.123456Z",
        "2026-11-24T03:00:00+02:00",
        "Tue, 24 Nov 2026 03:00:00 GMT",
        "1795489200",
        "1795489200.5",
        1795489200,
        1795489200.5,
    ],
)
def test_a_time_is_read_as_botocore_reads_it(text):
    found = read_time(text)
    assert found == parse_timestamp(text)
    assert found.utcoffset() is not None


def test_ec2s_form_is_utc():
    assert read_time("2026-11-24T03:00:00.000Z") == datetime(2026, 11, 24, 3, tzinfo=UTC)
    assert read_time("2026-11-24T03:00:00") == datetime(2026, 11, 24, 3, tzinfo=UTC)
    assert read_time("2026-11-24T03:00:00.000Z").utcoffset() == timedelta()


def test_what_is_no_time_is_refused():
    with pytest.raises(ValueError, match="yesterday"):
        read_time("yesterday")


def test_a_client_reads_times_so(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    connections = Connections(1, lambda _: None, lambda _: None)
    connections.default_region()
    core = connections._chain
    parser = core.get_component("response_parser_factory").create_parser("ec2")
    assert parser._timestamp_parser is read_time


def test_long_answers_are_parsed_one_after_the_other_and_short_ones_in_between() -> None:
    begun, go_on, order = threading.Event(), threading.Event(), []

    def parse(response: dict[str, Any], name: str) -> str:
        order.append(f"{name} begins")
        if name == "first":
            begun.set()
            assert go_on.wait(60)
        order.append(f"{name} ends")
        return name

    parser = new_session().get_component("response_parser_factory").create_parser("ec2")
    in_turn = partial(parser.parse.func, parse)
    long = {"body": b"x" * sessions.LONG}
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(in_turn, long, "first")
        assert begun.wait(60)
        second = pool.submit(in_turn, long, "second")
        assert in_turn({"body": b"<Response/>"}, "short") == "short"
        go_on.set()
    assert (first.result(), second.result()) == ("first", "second")
    assert order == [
        "first begins", "short begins", "short ends", "first ends", "second begins", "second ends",
    ]  # fmt: skip
