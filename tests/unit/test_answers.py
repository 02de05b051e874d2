"""EC2's answers, read quickly, and as botocore itself reads them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from botocore.parsers import ResponseParserError, ResponseParserFactory
from botocore.session import Session
from botocore.utils import parse_timestamp

from snapback.ec2.answers import LARGE, Answers, read_time
from snapback.ec2.connection import Connections


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


def test_a_client_reads_answers_so(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    connections = Connections(1, lambda _: None, lambda _: None)
    connections.default_region()
    assert isinstance(connections._chain.get_component("response_parser_factory"), Answers)


@cache
def model():
    return Session().get_service_model("ec2")


def both(action: str, body: str, status: int = 200) -> tuple[Any, Any]:
    """Answer what botocore reads, and what we read."""
    response = {"body": body.encode(), "headers": {}, "status_code": status}
    shape = model().operation_model(action).output_shape
    botocores = ResponseParserFactory()
    return tuple(
        factory.create_parser("ec2").parse(dict(response), shape)
        for factory in (botocores, Answers())
    )


XMLNS = 'xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"'
INSTANCES = f"""<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse {XMLNS}>
  <requestId>8f7724cf-496f-496e-8fe3-example</requestId>
  <reservationSet>
    <item>
      <reservationId>r-1234567890abcdef0</reservationId>
      <groupSet/>
      <instancesSet>
        <item>
          <instanceId>i-1234567890abcdef0</instanceId>
          <instanceState><code>16</code><name>running</name></instanceState>
          <privateDnsName/>
          <reason></reason>
          <somethingNew><deep>1</deep></somethingNew>
          <launchTime>2026-05-08T16:46:19.000Z</launchTime>
          <placement><availabilityZone>eu-west-1a</availabilityZone><groupName/></placement>
          <sourceDestCheck>true</sourceDestCheck>
          <ebsOptimized>false</ebsOptimized>
          <amiLaunchIndex>0</amiLaunchIndex>
          <blockDeviceMapping>
            <item>
              <deviceName>/dev/xvda</deviceName>
              <ebs><volumeId>vol-1</volumeId><deleteOnTermination>true</deleteOnTermination></ebs>
            </item>
          </blockDeviceMapping>
          <tagSet>
            <item><key>Name</key><value>&lt;a &amp; b&gt; \u00fc\U0001f600</value></item>
            <item><key>empty</key><value/></item>
          </tagSet>
        </item>
        <item/>
      </instancesSet>
    </item>
  </reservationSet>
  <nextToken>abc</nextToken>
</DescribeInstancesResponse>"""


TWICE = "<groupSet><item><groupId>sg-1</groupId></item></groupSet><groupSet/>"
DELETED = (
    f"<DeleteSnapshotResponse {XMLNS}><requestId>1</requestId><return>true</return>"
    "</DeleteSnapshotResponse>"
)


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("DescribeInstances", INSTANCES),
        ("DescribeInstances", INSTANCES.replace(f" {XMLNS}", "")),
        ("DescribeInstances", INSTANCES.replace("<groupSet/>", TWICE)),
        ("DescribeInstances", f"<DescribeInstancesResponse {XMLNS}/>"),
        ("DeleteSnapshot", DELETED),
    ],
    ids=["usual", "no namespace", "an element twice", "empty", "no output"],
)
def test_answers_are_read_as_botocore_reads_them(action, body):
    botocores, ours = both(action, body)
    assert ours == botocores


def test_what_was_read_is_all_there():
    _, ours = both("DescribeInstances", INSTANCES)
    first, second = ours["Reservations"][0]["Instances"]
    assert first["State"] == {"Code": 16, "Name": "running"}
    assert first["Tags"][0]["Value"] == "<a & b> \u00fc\U0001f600"
    assert first["PrivateDnsName"] == "" == first["Tags"][1]["Value"]
    assert (first["SourceDestCheck"], first["EbsOptimized"]) == (True, False)
    assert second == {}
    assert ours["NextToken"] == "abc"
    assert ours["ResponseMetadata"]["RequestId"] == "8f7724cf-496f-496e-8fe3-example"


def test_errors_are_read_as_botocore_reads_them():
    body = (
        "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit "
        "exceeded.</Message></Error></Errors><RequestID>1</RequestID></Response>"
    )
    botocores, ours = both("DescribeInstances", body, 503)
    assert ours == botocores
    assert ours["Error"]["Code"] == "RequestLimitExceeded"


def test_what_is_no_xml_is_refused_as_botocore_refuses_it():
    with pytest.raises(ResponseParserError):
        Answers().create_parser("ec2").parse(
            {"body": b"<a><b>", "headers": {}, "status_code": 200},
            model().operation_model("DescribeInstances").output_shape,
        )


def test_large_answers_are_read_from_many_threads():
    item = INSTANCES[INSTANCES.index("    <item>\n      <res") : INSTANCES.index("  </reserv")]
    body = INSTANCES.replace(item, item * 500).encode()
    assert len(body) > LARGE
    shape, factory = model().operation_model("DescribeInstances").output_shape, Answers()

    def read(_: int) -> int:
        response = {"body": body, "headers": {}, "status_code": 200}
        return len(factory.create_parser("ec2").parse(response, shape)["Reservations"])

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read, range(4))) == [500] * 4
    with pytest.raises(ResponseParserError):  # and gives the others their turn
        factory.create_parser("ec2").parse(
            {"body": body[:-5], "headers": {}, "status_code": 200}, shape
        )
    assert read(0) == 500
