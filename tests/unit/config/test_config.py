"""The configuration: what it refuses, which retention is in force."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from snapback import config
from snapback.config import Choice, HostSettings, Loaded, Settings, Source, named_file
from snapback.core.trim.policy import Policy
from snapback.errors import ConfigError
from snapback.report.configuration import reach_in_words
from tests.unit.builders import NOTHING


@pytest.fixture(autouse=True)
def nobody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration but the test's own is found."""
    for name in ("SNAPBACK_CONFIG", "SNAPBACK_QUIET", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def written(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def load(path: Path | None) -> Loaded:
    return config.load(named_file(path) if path else Source(choice=Choice.NONE))


def refusal(tmp_path: Path, text: str) -> str:
    path = written(tmp_path / "c.yaml", text)
    with pytest.raises(ConfigError) as raised:
        load(path)
    return str(raised.value).replace(f"{path}: ", "")


def test_all_problems_are_reported_at_once_each_with_its_path(tmp_path: Path) -> None:
    said = refusal(
        tmp_path,
        """
        tag_value: yes
        nonsense: 1
        regions: {us-east-1: {username: 3, colour: red}, eu_west: {}}
        retention: {daily: -3, fortnightly: 2}
        retentions: {short: {daily: many}}
        max_delete: 101
        tag_name: aws:mine
        workers: 0
        """,
    ).splitlines()
    assert sorted(line.split(": ")[0] for line in said) == [
        "max_delete",
        "nonsense",
        "regions.eu_west",
        "regions.us-east-1.colour",
        "regions.us-east-1.username",
        "retention.daily",
        "retention.fortnightly",
        "retentions.short.daily",
        "tag_name",
        "tag_value",
        "workers",
    ]


def test_a_yaml_truth_where_text_is_meant_is_told_to_be_quoted(tmp_path: Path) -> None:
    assert refusal(tmp_path, "tag_value: yes").endswith("is True; put it in quotes")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "isn't YAML"),
        ("- 1", "expected settings"),
        ("just words", "expected settings"),
        ("workers: 1\nworkers: 2", "'workers' is given twice"),
        ("regions: {}", "regions: dictionary should have at least 1 item"),
        ("!!python/object/apply:os.system [ls]", "isn't YAML"),
        ("tag_value: 2026-13-45", "isn't YAML"),
        ("tag_value: {{ template }}", "isn't YAML"),
        ("? [a, b]\n: c", "isn't YAML"),
        ("a: 1\n---\nb: 2", "isn't YAML"),
        ("[" * 5000, "isn't YAML"),
        ("fade_after_days: .inf", "fade_after_days: input should be less"),
    ],
)
def test_what_is_no_configuration_is_refused(tmp_path: Path, text: str, says: str) -> None:
    assert says in refusal(tmp_path, text)


def test_a_file_that_can_not_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigError, match="can't be read"):
        load(path)
    with pytest.raises(ConfigError, match="can't be read"):
        load(tmp_path)


@pytest.mark.parametrize(("text", "quiet"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_the_environment_decides_about_quiet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, quiet: bool
) -> None:
    path = written(tmp_path / "c.yaml", f"quiet: {str(not quiet).lower()}")
    monkeypatch.setenv("SNAPBACK_QUIET", text)
    assert load(path).settings.quiet is quiet
    assert load(path).quiet_by_environment


def test_an_unclear_wish_for_quiet_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAPBACK_QUIET", "perhaps")
    with pytest.raises(ConfigError, match="expected 1 or 0"):
        load(None)


def test_a_count_left_out_is_inherited(tmp_path: Path) -> None:
    path = written(
        tmp_path / "c.yaml",
        """
        retention: {hourly: 5, yearly: 0}
        fade_after_days: 30
        regions: {us-east-1: , eu-west-1: {retention: {daily: 30}}}
        retentions: {short: {hourly: 0, daily: 3}}
        """,
    )
    settings = load(path).settings
    default = Policy(hourly=5, yearly=0, fade_after_days=30)
    assert settings.policy("us-east-1") == default
    assert settings.policy("ap-southeast-1") == default
    assert settings.policy("eu-west-1") == Policy(hourly=5, daily=30, yearly=0, fade_after_days=30)
    assert settings.policy("eu-west-1", "short") == Policy(
        hourly=0, daily=3, yearly=0, fade_after_days=30
    )
    assert settings.policy("eu-west-1", "shrot") == "no retention is named 'shrot' (tag Retention)"


def test_how_far_back_each_count_reaches_in_words() -> None:
    assert reach_in_words(Policy(hourly=25, yearly=1)) == [
        (
            "hourly 25: one for each of the last 25 hours that have a snapshot, within the newest "
            "4 days that have one"
        ),
        "daily 7: one for each of the last 7 days that have a snapshot",
        "weekly 4: one for each of the last 4 weeks that have a snapshot",
        "monthly 12: one for each of the last 12 months that have a snapshot",
        "quarterly 4: one for each of the last 4 quarters that have a snapshot",
        "yearly 1: one for the last year that has a snapshot",
    ]
    assert reach_in_words(Policy(**NOTHING)) == ["all counts are 0: nothing is ever deleted"]


# Hosts.


def test_every_problem_with_reaching_hosts_has_its_path(tmp_path: Path) -> None:
    said = refusal(
        tmp_path,
        """
        ssh:
          address: dns
          host_keys: yes
          connect_timeout_s: 0
          ssh_timeout_attempts: 0
          ssh_timeout_interval: -1
          port: 70000
          username: ""
          password: secret
        regions: {eu-west-1: {address: somewhere}}
        overrides:
          - username: nobody
          - match: {}
          - match: {Name: 3}
            consistent: "yes"
            pre_freeze: ""
          - match: {Name: web}
            user: ubuntu
        """,
    ).splitlines()
    assert sorted(line.split(": ")[0] for line in said) == [
        "overrides.0.match",
        "overrides.1.match",
        "overrides.2.consistent",
        "overrides.2.match.Name",
        "overrides.2.pre_freeze",
        "overrides.3.user",
        "regions.eu-west-1.address",
        "ssh.address",
        "ssh.connect_timeout_s",
        "ssh.host_keys",
        "ssh.password",
        "ssh.port",
        "ssh.ssh_timeout_attempts",
        "ssh.ssh_timeout_interval",
        "ssh.username",
    ]


def test_what_is_in_force_for_a_host() -> None:
    settings = Settings.model_validate(
        {
            "ssh": {"username": "of-ssh", "port": 22, "gateway": "jump"},
            "regions": {"eu-west-1": {"username": "of-region", "port": 2222}},
            "overrides": [
                {"match": {"Name": "db"}, "username": "of-name", "consistent": False},
                {"match": {"role": "db", "env": "prod"}, "username": "too late", "port": 3333},
                {"match": {"role": "db"}, "pre_freeze": "flush", "consistent": True},
            ],
        }
    )
    assert settings.for_host("us-east-1", {}) == HostSettings(
        username="of-ssh", port=22, gateway="jump"
    )
    assert settings.for_host("eu-west-1", {"role": "web", "env": "prod"}) == HostSettings(
        username="of-region", port=2222, gateway="jump"
    )
    assert settings.for_host(
        "eu-west-1", {"Name": "db", "role": "db", "env": "prod"}
    ) == HostSettings(
        username="of-name", port=3333, gateway="jump", pre_freeze="flush", consistent=False
    )


ROLE = "arn:aws:iam::111122223333:role/snapback"


@pytest.mark.parametrize(
    ("accounts", "says"),
    [
        ([{"role_arn": ROLE}], "accounts.0.name"),
        ([{"name": "a:b"}], "accounts.0.name"),
        ([{"name": "a", "role_arn": "role/snapback"}], "accounts.0.role_arn"),
        ([{"name": "a", "role_arn": ROLE, "regions": []}], "accounts.0.regions"),
        ([{"name": "a", "role_arn": ROLE, "regions": ["mars"]}], "accounts.0.regions.0"),
        ([{"name": "a", "external_id": "of-a"}], "a has an external_id and no role_arn"),
        ([{"name": "a", "role_arn": ROLE}, {"name": "a"}], "two accounts are called a"),
        ([{"name": "a"}, {"name": "b"}], "a and b are one account, that of the AWS chain"),
        (
            [{"name": "a", "role_arn": ROLE}, {"name": "b", "role_arn": ROLE + "-2"}],
            "a and b are one account, 111122223333",
        ),
        (
            [{"name": "a", "role_arn": ROLE, "regions": ["us-east-1", "us-east-1"]}],
            "a names a region twice",
        ),
    ],
)
def test_accounts_that_would_be_worked_in_twice_are_refused(
    tmp_path: Path, accounts: list[dict[str, Any]], says: str
) -> None:
    path = tmp_path / "snapback.yaml"
    path.write_text(yaml.safe_dump({"accounts": accounts}))
    with pytest.raises(ConfigError, match=re.escape(says)):
        load(path)


def test_one_account_by_two_roles_in_regions_of_their_own_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "snapback.yaml"
    accounts = [
        {"name": "east", "role_arn": ROLE, "regions": ["us-east-1"]},
        {"name": "west", "role_arn": ROLE + "-west", "regions": ["us-west-2"]},
    ]
    path.write_text(yaml.safe_dump({"accounts": accounts}))
    assert [one.name for one in load(path).settings.accounts] == ["east", "west"]


def test_whom_to_tell_is_nothing_for_other_machines(tmp_path: Path) -> None:
    path = written(tmp_path / "c.yaml", "hooks: {ping_url: https://h/secret}\nworkers: 3\n")
    loaded = load(path)
    assert "secret" not in repr(loaded)
    assert loaded.settings.hooks.ping_url == "https://h/secret"
    out = loaded.to_hand_out()
    assert out.settings.hooks.ping_url is None
    assert (out.settings.workers, out.path) == (3, path)


@pytest.mark.parametrize(
    ("said", "first"),
    [
        ({}, "t3.small"),
        ({"architecture": "arm64"}, "t4g.small"),
        ({"architecture": "arm64", "instance_types": ["c7g.large"]}, "c7g.large"),
    ],
)
def test_temporary_instances_are_of_types_that_fit_their_architecture(
    said: dict[str, Any], first: str
) -> None:
    assert Settings.model_validate({"temporary": said}).temporary.instance_types[0] == first
