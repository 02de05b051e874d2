"""What the log says of hosts: every step, and no key."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from tests.hosts.replicas import DATA, FILL, ROOT, SETTINGS
from tests.sandbox.conftest import instance
from tests.sandbox.replicas import EAST, WEST


def test_the_log_of_a_replication_has_no_key_in_it(sandbox, load, fab, reachable):
    log = {"file": "log", "level": "debug", "format": "json"}
    reachable(**{**SETTINGS, "logging": log})
    ids = load(instance("web", volumes=[ROOT, DATA]))
    sandbox.hosts.run(ids["web"]["instance_id"], FILL)
    for task in (["backup_instances_by_tag", "--synchronously"], ["rsync_region", EAST, WEST]):
        ended = fab(*task, "--verbose")
        assert ended.code == 0, ended.err
    told = Path("log").read_text()
    sent = [call.parameters["UserData"] for call in sandbox.calls("RunInstances")]
    assert len(sent) == 2
    for user_data in sent:
        said = base64.b64decode(user_data).decode().partition("\n")[2]
        private = json.loads(said)["ssh_keys"]["ed25519_private"]
        for secret in (user_data, *private.splitlines()[2:-1]):
            assert secret not in told
            assert secret not in ended.err
    assert "PRIVATE KEY" not in told
    lines = [json.loads(line) for line in told.splitlines()]
    assert all(line["run"] and line["task"] for line in lines)
    replicating = [line for line in lines if line["task"] == "rsync_region"]
    assert {line["region"] for line in replicating} == {"", EAST, WEST}
    without = [line["message"] for line in lines if not (line["resource"] or line["region"])]
    assert [text for text in without if not text.startswith(("snapback ", "ended with"))] == []


def test_a_real_journald_has_each_line_with_its_fields_and_takes_syslog_too(
    load, fab, configure, sandbox
):
    root = {"device": "/dev/sda1", "size": 4}
    web = load(instance("web", volumes=[root], init="systemd"))["web"]["instance_id"]
    folder = f"/proc/{sandbox.hosts.pid(web)}/root/run/systemd/journal"
    configure(logging={"journald": f"{folder}/socket", "syslog": f"{folder}/dev-log"})
    ended = fab("backup_instances_by_tag", "--json")
    assert (ended.code, ended.err) == (0, "")
    (snapshot,) = ended.document["items"][0]["snapshots"]

    def journal(*wanted: str) -> list[str]:
        sandbox.hosts.run(web, ["journalctl", "--sync"])
        return sandbox.hosts.run(web, ["journalctl", "-o", "cat", *wanted])[1].splitlines()

    begins, done, ends = journal(f"SNAPBACK_RUN={ended.document['run']}")
    assert (begins.startswith("snapback "), ends.startswith("ended with 0")) == (True, True)
    fields = (f"SNAPBACK_RESOURCE={web}", f"SNAPBACK_REGION={EAST}", "PRIORITY=6")
    assert journal(*fields) == [done] == [f"done ({snapshot})"]
    by_syslog = journal("_TRANSPORT=syslog", "SYSLOG_IDENTIFIER=snapback")
    assert [ended.document["run"] in line for line in by_syslog] == [True] * 3
