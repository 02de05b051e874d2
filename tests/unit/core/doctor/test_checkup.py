"""What the doctor says of what it has seen."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from snapback.core.doctor import checkup
from snapback.core.doctor.checkup import Group, KeyFile, Level, Line
from snapback.core.doctor.host_checkup import HostFacts, judge_host
from snapback.core.doctor.key_checkup import KeyFacts, judge_key
from snapback.core.doctor.local_checkup import judge_ping, programs_in
from snapback.core.doctor.permissions import Need
from snapback.core.model import Place
from snapback.doctor.local import read_key_file
from snapback.report.examinations import examination_report
from tests.unit.builders import instance

SSH = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}


def made_key(path: Path, *options: str) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-f", path, *options], check=True)
    return path


# Key files.


def test_a_private_key_of_ones_own_is_fine(tmp_path: Path) -> None:
    line = checkup.judge_key_file(read_key_file(str(made_key(tmp_path / "key", "-N", ""))))
    assert (line.level, line.text) == (Level.OK, "a private key, mode 0600")


def test_a_key_that_others_may_read_is_a_failure_with_the_command(tmp_path: Path) -> None:
    path = made_key(tmp_path / "key", "-N", "")
    path.chmod(0o640)
    line = checkup.judge_key_file(read_key_file(str(path)))
    assert (line.level, line.advice) == (Level.FAILURE, f"chmod 600 {path}")
    assert "0640" in line.text


@pytest.mark.parametrize("options", [[], ["-t", "rsa", "-m", "PEM"]])
def test_a_key_with_a_passphrase_needs_an_agent(tmp_path: Path, options: list[str]) -> None:
    path = made_key(tmp_path / "key", "-N", "secret word", *options)
    line = checkup.judge_key_file(read_key_file(str(path)))
    assert line.level is Level.WARNING
    assert "agent" in line.advice


def test_the_public_key_is_not_the_private_one(tmp_path: Path) -> None:
    made_key(tmp_path / "key", "-N", "")
    public = tmp_path / "key.pub"
    public.chmod(0o600)
    assert "no private key" in checkup.judge_key_file(read_key_file(str(public))).text


def test_a_key_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    line = checkup.judge_key_file(read_key_file(str(tmp_path / "none")))
    assert line.level is Level.FAILURE
    assert "No such file" in line.text
    assert checkup.judge_key_file(read_key_file(str(tmp_path))).level is Level.FAILURE


def test_what_only_looks_like_a_key_is_judged_without_a_traceback() -> None:
    text = "-----BEGIN OPENSSH PRIVATE KEY-----\n=!\n-----END OPENSSH PRIVATE KEY-----\n"
    assert checkup.judge_key_file(KeyFile(path="x", text=text)).level is Level.OK


# Regions, instances, what launches, encryption.


def test_regions_are_enabled_or_not_or_it_can_not_be_told() -> None:
    found = {"prod": {"a", "d", "e"}, "": None}
    a, b, c, d, e = (Place(r, "" if r == "c" else "prod") for r in "abcde")
    lines = checkup.judge_regions([a, b, c, d, e], found, {d, e})
    assert [(line.subject, line.level) for line in lines] == [
        ("prod:a", Level.OK),
        ("prod:b", Level.FAILURE),
        ("c", Level.WARNING),
        ("2 others", Level.OK),
    ]
    assert "nothing of ours in prod:d, prod:e" in lines[-1].text


def test_no_instance_at_all_is_a_failure() -> None:
    tag = ("Earmarking", "production")
    assert checkup.judge_earmarked({"a": 0, "b": 2}, tag).text == "2 in b"
    line = checkup.judge_earmarked({"a": 0}, tag)
    assert (line.level, line.subject) == (Level.FAILURE, "Earmarking=production")


@pytest.mark.parametrize(
    ("rules", "wanted", "level"),
    [
        ([SSH], ["sg-1"], Level.OK),
        ([{"IpProtocol": "-1"}], ["sg-1"], Level.OK),
        ([{"IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535}], ["sg-1"], Level.OK),
        ([{"IpProtocol": "udp", "FromPort": 22, "ToPort": 22}], ["sg-1"], Level.FAILURE),
        ([{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}], ["sg-1"], Level.FAILURE),
        ([], ["sg-1"], Level.FAILURE),
        ([SSH], ["sg-1", "sg-2"], Level.FAILURE),
    ],
)
def test_a_security_group_is_there_and_lets_ssh_in(
    rules: list[dict[str, Any]], wanted: list[str], level: Level
) -> None:
    line = checkup.judge_groups(Place("a"), wanted, [Group("sg-1", rules)], None)
    assert line.level is level


def test_without_a_security_group_one_is_made() -> None:
    assert "203.0.113.7/32" in checkup.judge_groups(Place("a"), [], [], "203.0.113.7/32").text
    assert "this machine" in checkup.judge_groups(Place("a"), [], [], None).text


@pytest.mark.parametrize(
    ("facts", "level", "says"),
    [
        (KeyFacts(allowed=("kms:CreateGrant",)), Level.OK, "allowed: kms:CreateGrant"),
        (KeyFacts(is_of_aws=True), Level.OK, "AWS's own"),
        (KeyFacts(denied=("kms:CreateGrant",)), Level.WARNING, "kms:ViaService"),
        (KeyFacts(untold=("kms:CreateGrant",)), Level.WARNING, "can't be tried"),
        (KeyFacts(state="PendingDeletion"), Level.FAILURE, "PendingDeletion"),
        (KeyFacts(problem="there is no such key"), Level.FAILURE, "replication.kms_keys"),
    ],
)
def test_a_key_has_to_be_there_and_enabled_and_ours_to_use(
    facts: KeyFacts, level: Level, says: str
) -> None:
    line = judge_key(Place("a"), "alias/backup", facts)
    assert (line.level, line.subject) == (level, "a alias/backup")
    assert says in f"{line.text}: {line.advice}"


# This machine.


@pytest.mark.parametrize(
    ("command", "programs"),
    [
        ('logger "$SNAPBACK_TASK begins"', ["logger"]),
        (
            "printf '%s|x' \"$A\" | mail -s 'a; b' root 2>&1 && /opt/tell",
            ["printf", "mail", "/opt/tell"],
        ),
        ('LANG=C A="b c" curl -fsS https://h/x#y >/dev/null; ~/bin/tell', ["curl", "~/bin/tell"]),
        (">>told echo $(date +%s)", ["echo", "date"]),
        ("$TELL now", []),
        ("if true; then tell; fi", []),
        ("a() { b; }; a", []),
        ("echo $((1 + 2))", []),
        ("echo it's", []),
    ],
)
def test_the_programs_of_a_command_line_are_told_where_they_can_be(
    command: str, programs: list[str]
) -> None:
    assert programs_in(command) == programs


def test_an_address_in_clear_is_a_warning_and_none_is_shown() -> None:
    line = judge_ping("hooks.ping_url", "http://monitor.example/VaNqkIGAkDbhcRLQvxQGYQ")
    assert line.level is Level.WARNING
    assert "VaNqk" not in line.text + line.advice
    assert judge_ping("x", "https://hc-ping.com/x").level is Level.OK


# Hosts.

FINE = HostFacts(
    fsfreeze="fsfreeze from util-linux 2.38.1",
    rsync="rsync  version 3.2.7  protocol version 31",
    mount_points=("/data", "/"),
)


def test_a_host_where_all_is_well_is_one_line() -> None:
    (line,) = judge_host(instance(), FINE)
    assert line.level is Level.OK
    assert "freezes /data, /" in line.text
    assert "util-linux 2.38.1" in line.text


def test_a_host_that_can_not_be_reached_is_one_line() -> None:
    (line,) = judge_host(instance(), HostFacts(problem="no answer", advice="see that it is up"))
    assert (line.level, line.text, line.advice) == (
        Level.FAILURE,
        "no answer",
        "see that it is up",
    )


def test_a_stopped_instance_needs_no_login() -> None:
    (line,) = judge_host(instance(state="stopped"), HostFacts(is_at_rest=True))
    assert line.level is Level.OK
    assert "stopped" in line.text
    (line,) = judge_host(instance(state="pending"), HostFacts(is_at_rest=True))
    assert line.level is Level.WARNING


@pytest.mark.parametrize(
    ("changed", "level", "says"),
    [
        ({"no_sudo": "sudo: a password is required"}, Level.FAILURE, "NOPASSWD"),
        ({"fsfreeze": ""}, Level.FAILURE, "util-linux"),
        ({"no_lsblk": "lsblk's answer can't be read"}, Level.FAILURE, "lsblk"),
        ({"rsync": ""}, Level.WARNING, "install rsync 3.2.4"),
        ({"rsync": "rsync  version 3.1.3  protocol version 31"}, Level.WARNING, "3.2.4"),
        ({"new_key": True}, Level.WARNING, "host key"),
        ({"shortcomings": ("vol-1: /x is ntfs",)}, Level.WARNING, "power failure"),
    ],
)
def test_what_is_amiss_on_a_host_has_a_line(
    changed: dict[str, Any], level: Level, says: str
) -> None:
    facts = HostFacts(**{**vars(FINE), **changed})
    (line,) = [one for one in judge_host(instance(), facts) if one.level is not Level.OK]
    assert line.level is level
    assert says in f"{line.text}: {line.advice}"


# The report.


def a_line(level: Level) -> Line:
    return Line(check="x", subject="y", level=level, text="found", advice="do this")


@pytest.mark.parametrize(
    ("levels", "code"),
    [
        ([Level.OK], 0),
        ([Level.OK, Level.WARNING], 0),
        ([Level.OK, Level.FAILURE, Level.WARNING], 1),
    ],
)
def test_only_failures_count_for_the_exit_code(levels: list[Level], code: int) -> None:
    report = examination_report([a_line(level) for level in levels], [])
    assert report.exit_code == code
    assert report.outcomes[0].explanation == "found: do this"
    assert report.outcomes[0].facts["advice"] == "do this"


def test_the_statements_to_add_are_shown_once() -> None:
    statement = {"Sid": "A", "Effect": "Allow", "Action": ["ec2:X", "ec2:Y"], "Resource": "*"}
    needs = [Need("ec2:X", statement, "one"), Need("ec2:X", statement, "two")]
    report = examination_report([a_line(Level.FAILURE)], needs)
    assert report.facts["statements"] == [{**statement, "Action": ["ec2:X"]}]
    assert json.loads("".join(report.summary[1:-1])) == {**statement, "Action": ["ec2:X"]}
    assert "1 to be mended" in report.summary[-1]
