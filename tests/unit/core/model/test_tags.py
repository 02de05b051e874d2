"""Which tags a snapshot gets, and in how few calls."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snapback.core.model import Instance, Volume
from snapback.core.model.tags import (
    Tagging,
    clone,
    is_excluded,
    is_ours,
    manager_of,
    may_be_cloned,
    plan_tagging,
    read_long,
    write_long,
)
from tests.unit.builders import instance, vol, volume

Tags = Mapping[str, str]

EXCLUDE = "snapback:exclude"
FIRST = ("Earmarking", "Retention", "Name")
OURS = {"snapback:set": "set-1", "snapback:run": "run-1", "snapback:devices": "{}"}


def cloned(of_instance: Tags, of_volume: Tags, ours: int = 3) -> dict[str, str]:
    return clone(of_instance, of_volume, ours=ours, first=FIRST, exclude_tag=EXCLUDE)


def many(amount: int, prefix: str = "tag") -> dict[str, str]:
    return {f"{prefix}-{number:03}": str(number) for number in range(amount)}


# What is cloned.


@pytest.mark.parametrize(
    "key",
    [
        "aws:cloudformation:stack-name",
        "aws:backup:source-resource",
        "aws:dlm:lifecycle-policy-id",
        "dlm:managed",
        "snapback:set",
        "snapback:anything",
        "preserve_snapshot",
        "snapback:exclude",
    ],
)
def test_some_tags_are_never_cloned(key: str) -> None:
    assert not may_be_cloned(key, EXCLUDE)
    assert cloned({key: "x", "Name": "web"}, {key: "y", "Role": "db"}) == {
        "Name": "web",
        "Role": "db",
    }


@pytest.mark.parametrize("key", ["Name", "awsome", "Aws", "dlmanager", "preserve_snapshots", "a:b"])
def test_all_others_are(key: str) -> None:
    assert may_be_cloned(key, EXCLUDE)
    assert cloned({}, {key: ""}) == {key: ""}


def test_an_exclusion_tag_of_any_name_is_not_cloned() -> None:
    tags = {"no-backup": "", "Name": "web"}
    assert clone(tags, tags, ours=0, first=FIRST, exclude_tag="no-backup") == {"Name": "web"}


def test_the_instances_tags_win() -> None:
    assert cloned({"Name": "web", "Team": "a"}, {"Name": "disk", "Role": "db"}) == {
        "Name": "web",
        "Team": "a",
        "Role": "db",
    }


@pytest.mark.parametrize(
    ("ours", "room"), [(0, 42), (3, 42), (8, 42), (9, 41), (20, 30), (50, 0), (51, 0), (70, 0)]
)
def test_there_is_room_for_ours(ours: int, room: int) -> None:
    assert len(cloned(many(49, "i"), many(49, "v"), ours=ours)) == room


def test_in_need_the_earmark_the_retention_and_the_name_go_first() -> None:
    tags = {**many(60), "Name": "web", "Retention": "short", "Earmarking": "production"}
    assert list(cloned(tags, {}, ours=46)) == ["Earmarking", "Retention", "Name", "tag-000"]
    assert list(cloned(tags, {}, ours=48)) == ["Earmarking", "Retention"]
    assert list(cloned({}, tags, ours=49)) == ["Earmarking"]


def test_what_finds_no_room_does_not_depend_on_the_order() -> None:
    tags = many(60)
    backwards = dict(reversed(tags.items()))
    assert cloned(tags, {}) == cloned(backwards, {}) == many(42)


def test_ours_and_other_services_are_known_by_their_tags() -> None:
    assert is_ours({"Name": "x", "snapback:run": "1"})
    assert not is_ours({"Name": "x", "xsnapback:run": "1"})
    assert not is_ours({})
    assert manager_of({"Name": "x", "dlm:managed": "true"}) == "dlm:managed"
    assert manager_of({"aws:backup:source-resource": "x"}) == "aws:backup:source-resource"
    assert manager_of({"aws:dlm:lifecycle-policy-id": "x"}) == "aws:dlm:lifecycle-policy-id"
    assert manager_of({"Name": "x", "aws:cloudformation:stack-name": "y"}) == ""
    assert manager_of({}) == ""


@pytest.mark.parametrize("value", ["", "yes", "false"])
def test_the_exclusion_tag_excludes_with_any_value(value: str) -> None:
    assert is_excluded({EXCLUDE: value}, EXCLUDE)
    assert not is_excluded({"Name": EXCLUDE}, EXCLUDE)


# Long values.


def test_a_short_value_is_one_tag() -> None:
    assert write_long("snapback:devices", {"/dev/sda1": "vol-1"}) == {
        "snapback:devices": '{"/dev/sda1":"vol-1"}'
    }


@pytest.mark.parametrize(
    ("length", "keys"),
    [
        (254, ["k"]),
        (255, ["k", "k.2"]),
        (510, ["k", "k.2"]),
        (511, ["k", "k.2", "k.3"]),
        (2600, ["k", *(f"k.{n}" for n in range(2, 12))]),
    ],
)
def test_a_long_value_is_cut_at_256_characters(length: int, keys: list[str]) -> None:
    written = write_long("k", "x" * length)  # and two quotes
    assert list(written) == keys
    assert [len(piece) for piece in written.values()][:-1] == [256] * (len(keys) - 1)
    assert read_long("k", written) == "x" * length


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)


@given(json_values, st.dictionaries(st.text(max_size=9), st.text(max_size=9)))
@example({"größe": "ж" * 700, "🐘": ['"' * 300]}, {})
def test_what_was_written_is_read(value: object, other_tags: dict[str, str]) -> None:
    written = write_long("snapback:x", value)
    assert all(0 < len(piece) <= 256 for piece in written.values())
    assert all(len(key) <= 128 for key in written)
    assert read_long("snapback:x", {**other_tags, **written}) == value


@pytest.mark.parametrize(
    "tags",
    [
        pytest.param({}, id="absent"),
        pytest.param({"k": ""}, id="empty"),
        pytest.param({"k.2": '"x"'}, id="first piece missing"),
        pytest.param({"k": '"x', "k.3": 'y"'}, id="middle piece missing"),
        pytest.param({"k": '"x"', "k.2": "y"}, id="too much"),
        pytest.param({"k": "[" * 256, **{f"k.{n}": "[" * 256 for n in range(2, 40)}}, id="deep"),
        pytest.param({"k": "9" * 256, **{f"k.{n}": "9" * 256 for n in range(2, 40)}}, id="huge"),
    ],
)
def test_what_is_damaged_is_none(tags: dict[str, str]) -> None:
    assert read_long("k", tags) is None


# A set's tags, against a small model of EC2.


class SmallEC2:
    """What EC2 does to the tags of a set's snapshots, and what it would refuse or leave open."""

    def __init__(self, volumes: Collection[Volume]) -> None:
        self.volumes = {volume.volume_id: volume.tags for volume in volumes}
        self.snapshots: dict[str, dict[str, str]] = {}

    def create_snapshots(self, tags: Tags, copy_tags_from_volumes: bool) -> None:
        for volume_id, of_volume in self.volumes.items():
            copied = (
                {key: value for key, value in of_volume.items() if not key.startswith("aws:")}
                if copy_tags_from_volumes
                else {}
            )
            assert not copied.keys() & tags.keys(), "a key from both sides: undocumented"
            self.snapshots[volume_id] = {**copied, **tags}

    def create_tags(self, volume_ids: Collection[str], tags: Tags) -> None:
        assert volume_ids
        assert tags
        for volume_id in volume_ids:
            self.snapshots[volume_id].update(tags)


def carried_out(tagging: Tagging, volumes: Collection[Volume]) -> Iterator[dict[str, Tags]]:
    """Answer the snapshots' tags by volume after each call."""
    ec2 = SmallEC2(volumes)
    ec2.create_snapshots(tagging.in_call, tagging.copy_from_volumes)
    yield ec2.snapshots
    for volume_ids, tags in tagging.afterwards:
        ec2.create_tags(volume_ids, tags)
        yield ec2.snapshots


def forbidden(key: str) -> bool:
    """Tell, in this test's own words, what must never come onto a snapshot from elsewhere."""
    prefix, colon, _ = key.partition(":")
    reserved = bool(colon) and prefix in {"aws", "dlm", "snapback"}
    return reserved or key in {"preserve_snapshot", EXCLUDE}


few_keys = st.sampled_from(["Name", "Team", "Role", "Earmarking", "Retention"])
bad_keys = st.sampled_from(
    ["aws:x", "aws:backup:y", "dlm:managed", "preserve_snapshot", "snapback:set", "snapback:old"]
)
many_keys = st.integers(0, 60).map("tag-{:02}".format)
few = st.dictionaries(few_keys, st.sampled_from(["", "x", "y"]), max_size=5)
some_bad = st.dictionaries(bad_keys, st.just("bad"), max_size=2)
lots = st.sets(many_keys, max_size=44).map(lambda keys: dict.fromkeys(keys, "x"))
ec2_tags = st.one_of(
    few,
    st.builds(lambda a, b: {**a, **b}, few, some_bad),
    st.builds(lambda a, b, c: {**a, **b, **c}, few, some_bad, lots),
)


def volumes_with(tags: st.SearchStrategy[dict[str, str]]) -> st.SearchStrategy[list[Volume]]:
    return st.lists(tags, min_size=1, max_size=4).map(
        lambda each: [volume(letter, tags) for letter, tags in zip("abcd", each, strict=False)]
    )


ours_of_any_number = st.integers(1, 20).map(
    lambda amount: {f"snapback:{number}": "ours" for number in range(amount)}
)


def planned(of: Instance, volumes: Collection[Volume], ours: Tags) -> Tagging:
    return plan_tagging(of, volumes, ours, first=FIRST, exclude_tag=EXCLUDE)


@given(ec2_tags, volumes_with(ec2_tags), ours_of_any_number)
def test_each_snapshot_ends_with_what_is_cloned_and_ours(
    of_instance: dict[str, str], volumes: list[Volume], ours: dict[str, str]
) -> None:
    tagging = planned(instance(of_instance), volumes, ours)
    for snapshots in carried_out(tagging, volumes):
        for tags in snapshots.values():
            assert len(tags) <= 50
            assert not [key for key in tags if forbidden(key) and key not in ours]
            assert ours.items() <= tags.items()
    assert snapshots == {
        volume.volume_id: {**cloned(of_instance, volume.tags, ours=len(ours)), **ours}
        for volume in volumes
    }


@given(ec2_tags, volumes_with(few), ours_of_any_number)
def test_one_create_tags_is_enough_where_copying_is_harmless(
    of_instance: dict[str, str], volumes: list[Volume], ours: dict[str, str]
) -> None:
    wanted = {key for key in of_instance if not forbidden(key)}
    for each in volumes:
        if len(wanted | each.tags.keys()) > 50 - max(8, len(ours)):
            return
    tagging = planned(instance(of_instance), volumes, ours)
    assert tagging.copy_from_volumes
    assert len(tagging.afterwards) <= 1


@given(ec2_tags, volumes_with(ec2_tags), ours_of_any_number)
def test_create_tags_names_no_tag_of_ours_and_each_volume_once(
    of_instance: dict[str, str], volumes: list[Volume], ours: dict[str, str]
) -> None:
    afterwards = planned(instance(of_instance), volumes, ours).afterwards
    assert not [key for _, tags in afterwards for key in tags if key in ours]
    named = [volume_id for volume_ids, _ in afterwards for volume_id in volume_ids]
    assert len(named) == len(set(named))


def test_what_all_volumes_carry_alike_is_left_to_the_copying() -> None:
    tags = {"Name": "web", "Team": "a"}
    volumes = [volume("a", tags), volume("b", {**tags, "Role": "db"})]
    assert planned(instance(tags), volumes, OURS) == Tagging(True, OURS, ())


def test_what_is_on_no_volume_goes_into_the_call() -> None:
    tags = {"Name": "web", "Earmarking": "production"}
    volumes = [volume("a", {"Role": "root"}), volume("b", {"Role": "db"})]
    assert planned(instance(tags), volumes, OURS) == Tagging(True, {**tags, **OURS}, ())


def test_the_rest_costs_one_create_tags() -> None:
    of_instance = {"Name": "web", "Team": "a", "Earmarking": "production"}
    volumes = [volume("a", {"Name": "root"}), volume("b", {"Team": "a"}), volume("c", {})]
    assert planned(instance(of_instance), volumes, OURS) == Tagging(
        True,
        {"Earmarking": "production", **OURS},
        (((vol("a"), vol("b"), vol("c")), {"Name": "web", "Team": "a"}),),
    )


def test_a_forbidden_tag_on_one_volume_means_that_nothing_is_copied() -> None:
    volumes = [
        volume("a", {"preserve_snapshot": "", "Role": "root", "Team": "a"}),
        volume("b", {"Role": "db", "Team": "a"}),
    ]
    assert planned(instance({"Name": "web"}), volumes, OURS) == Tagging(
        False,
        {"Name": "web", "Team": "a", **OURS},
        (((vol("a"),), {"Role": "root"}), ((vol("b"),), {"Role": "db"})),
    )


def test_those_that_lack_the_same_get_it_in_one_call() -> None:
    volumes = [
        volume("a", {"dlm:managed": "true", "Role": "db"}),
        volume("b", {"Role": "db"}),
        volume("c", {}),
    ]
    assert planned(instance({}), volumes, OURS) == Tagging(
        False, OURS, (((vol("a"), vol("b")), {"Role": "db"}),)
    )


def test_tags_of_aws_are_not_copied_and_do_no_harm() -> None:
    volumes = [volume("a", {"aws:cloudformation:stack-name": "x", "Role": "db"})]
    assert planned(instance({"aws:autoscaling:groupName": "y"}), volumes, OURS) == Tagging(
        True, OURS, ()
    )


def test_a_volume_with_too_many_tags_gets_the_important_ones() -> None:
    of_instance = {"Name": "web", "Earmarking": "production", **many(20, "i")}
    tagging = planned(instance(of_instance), [volume("a", many(40, "v"))], OURS)
    assert not tagging.copy_from_volumes
    assert tagging.afterwards == ()
    assert len(tagging.in_call) == 42 + len(OURS)
    assert {"Name", "Earmarking", *many(20, "i"), *OURS} <= tagging.in_call.keys()
