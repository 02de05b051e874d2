"""``fab doctor --hosts``: what a consistent backup would meet, looked at on real hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.conftest import Ended, instance
from tests.sandbox.test_doctor import really_changing

DATA = {"device": "/dev/sdf", "size": 1, "filesystem": "ext4", "mount_point": "/data"}
ROOT = {"device": "/dev/sda1", "size": 4}


def hosts(ended: Ended, subject: str = "") -> list[dict[str, Any]]:
    return [
        item
        for item in ended.document["items"]
        if item["check"] == "host" and subject in ("", item["subject"])
    ]


@pytest.fixture
def web(load) -> str:
    return str(load(instance("web", volumes=[ROOT, DATA]))["web"]["instance_id"])


def test_what_would_be_frozen_is_told_and_no_trace_is_left(
    web, fab, reachable, sandbox, tmp_path: Path
):
    reachable()
    ended = fab("doctor", "--hosts", "--tasks", "status", "--json")
    assert ended.code == 0, ended
    (line,) = hosts(ended)
    assert line["outcome"] == "ok"
    assert line["mount_points"] == ["/data", "/"]
    assert "util-linux" in line["found"]
    assert "rsync" in line["found"]
    assert really_changing(sandbox) == []
    assert not list(tmp_path.rglob("host_keys"))
    assert not list(tmp_path.rglob("known_hosts"))
    sandbox.configure(denied={"*": ["DescribeVolumes"]})
    (line,) = hosts(fab("doctor", "--hosts", "--tasks", "show_config", "--json"))
    assert line["outcome"] == "failed"
    assert "not allowed to call ec2:DescribeVolumes" in line["found"]


def test_a_host_key_that_is_not_known_is_a_failure_or_a_warning(web, fab, reachable, tmp_path):
    reachable(ssh={"host_keys": "known_hosts"})
    ended = fab("doctor", "--hosts", "--tasks", "status", "--json")
    (line,) = hosts(ended)
    assert (ended.code, line["outcome"]) == (1, "failed")
    assert "is unknown" in line["found"]
    assert f"to {tmp_path}/.ssh/known_hosts: " in line["advice"]
    reachable(ssh={"host_keys": "accept-new"})
    ended = fab("doctor", "--hosts", "--tasks", "status", "--json")
    assert ended.code == 0
    assert {line["outcome"] for line in hosts(ended)} == {"ok", "warning"}
    assert "not known yet" in hosts(ended)[1]["found"]
    assert not list(tmp_path.rglob("known_hosts"))


def test_what_is_amiss_on_a_host_is_named(load, fab, reachable, sandbox):
    reachable()
    ids = load(
        instance("asks", volumes=[ROOT]),
        instance("gone", volumes=[ROOT]),
        instance("stopped", volumes=[ROOT], state="stopped"),
    )
    asks, gone, stopped = (ids[name]["instance_id"] for name in ("asks", "gone", "stopped"))
    sandbox.hosts.run(asks, "rm -f /etc/sudoers.d/*")
    sandbox.hosts.run(gone, "rm -f /home/*/.ssh/authorized_keys")
    ended = fab("doctor", "--hosts", "--tasks", "status", "--json")
    assert ended.code == 1
    assert "NOPASSWD" in hosts(ended, asks)[0]["advice"]
    assert hosts(ended, gone)[0]["outcome"] == "failed"
    assert "without logging in" in hosts(ended, stopped)[0]["found"]
