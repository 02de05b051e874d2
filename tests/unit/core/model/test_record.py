"""The record: what a snapshot says it is a snapshot of."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snapback.core.model import Consistency, Instance, Place, Record
from snapback.core.model import tags as our_tags
from snapback.core.model.record import (
    LONGEST_DESCRIPTION,
    consistency_of,
    describe,
    describe_set,
    parse,
    set_tags,
)
from tests.unit.builders import REGION, at, instance, timeline, vol

FULL = Record(
    region=REGION,
    volume="vol-0123456789abcdef0",
    taken_at=at("2026-11-24T03:00"),
    device="/dev/sda1",
    instance="i-0123456789abcdef0",
    instance_type="t3.small",
    architecture="x86_64",
    root_device_name="/dev/sda1",
)
LEAST_IMPORTANT_FIRST = (
    "instance_type",
    "architecture",
    "root_device_name",
    "device",
    "instance",
)

hexes = st.text("0123456789abcdef", min_size=17, max_size=17)
regions = st.sampled_from(["us-east-1", "eu-west-1", "ap-southeast-2", "us-gov-west-1"])
instants = st.datetimes(datetime(2006, 1, 1), datetime(2199, 1, 1)).map(  # noqa: DTZ001
    lambda naive: naive.replace(microsecond=0, tzinfo=UTC)
)
words = st.one_of(st.text(max_size=40), st.text(max_size=300), st.just('ж"\\\n\0🐘' * 60))
records = st.builds(
    Record,
    region=regions,
    volume=hexes.map("vol-{}".format),
    taken_at=instants,
    device=words,
    instance=words,
    instance_type=words,
    architecture=words,
    root_device_name=words,
)


def fields_of(record: Record) -> dict[str, str]:
    return {name: getattr(record, name) for name in LEAST_IMPORTANT_FIRST}


# A description, written and read.


def test_a_full_record_reads_as_documented() -> None:
    assert describe(FULL) == (
        '{"Volume":"vol-0123456789abcdef0","Region":"us-east-1","Device":"/dev/sda1",'
        '"Instance":"i-0123456789abcdef0","Type":"t3.small","Arch":"x86_64",'
        '"Root_dev_name":"/dev/sda1","Time":"2026-11-24T03:00:00"}'
    )


def test_what_is_empty_is_not_said() -> None:
    bare = Record(region=REGION, volume=vol("a"), taken_at=at("2026-11-24T03:00"))
    assert json.loads(describe(bare)) == {
        "Volume": vol("a"),
        "Region": REGION,
        "Time": "2026-11-24T03:00:00",
    }


@pytest.mark.parametrize("dropped", range(6))
def test_the_least_important_goes_first(dropped: int) -> None:
    # The most important of those to go is too long, so that all before it go in vain.
    names = LEAST_IMPORTANT_FIRST[:dropped]
    long = {names[-1]: "x" * 250} if names else {}
    said = parse(describe(Record(**{**asdict(FULL), **long})), {}, "vol-ffffffff")
    assert said == Record(**{**asdict(FULL), **dict.fromkeys(names, "")})


@given(records)
@example(FULL)
def test_any_record_fits_and_comes_back_in_what_was_kept(record: Record) -> None:
    text = describe(record)
    assert len(text) <= LONGEST_DESCRIPTION == 255
    assert {"Volume", "Region", "Time"} <= json.loads(text).keys()

    back = parse(text, {}, "vol-ffffffff")
    assert back is not None
    assert back.identity == record.identity
    words = {name: word for name, word in fields_of(record).items() if word.isprintable()}
    lost = [name for name, word in words.items() if getattr(back, name) != word]
    assert all(getattr(back, name) == "" for name in lost)
    assert all(getattr(back, name) == "" for name in fields_of(record).keys() - words.keys())
    # What went is the least important: nothing that matters less than it was kept.
    if lost:
        last = max(LEAST_IMPORTANT_FIRST.index(name) for name in lost)
        assert all(getattr(back, name) == "" for name in LEAST_IMPORTANT_FIRST[: last + 1])


@given(records)
def test_nothing_goes_where_all_fits(record: Record) -> None:
    everything = {
        "Volume": record.volume,
        "Region": record.region,
        "Device": record.device,
        "Instance": record.instance,
        "Type": record.instance_type,
        "Arch": record.architecture,
        "Root_dev_name": record.root_device_name,
        "Time": "2026-11-24T03:00:00",
    }
    said = {key: word for key, word in everything.items() if word}
    fits = (
        all(map(str.isprintable, said.values()))
        and len(json.dumps(said, separators=(",", ":"), ensure_ascii=False)) <= 255
    )
    assert (parse(describe(record), {}, "") == record) is fits


def test_time_is_said_in_utc() -> None:
    berlin = datetime.fromisoformat("2026-11-24T04:00:00+01:00")
    record = Record(region=REGION, volume=vol("a"), taken_at=berlin)
    assert json.loads(describe(record))["Time"] == "2026-11-24T03:00:00"


# Members of a set.

SDA, SDF = "/dev/sda1", "/dev/sdf"


def a_set(devices: dict[str, str], taken: str = "2026-11-24T03:00") -> tuple[str, dict[str, str]]:
    """Answer the description and the tags that all members of a set have."""
    whole = instance(instance_type="t3.small", architecture="x86_64", root_device_name=SDA)
    return describe_set(whole, at(taken)), set_tags(whole, "set-1", devices)


def test_a_sets_description_says_what_all_members_share() -> None:
    description, _ = a_set({SDA: vol("a")})
    assert json.loads(description) == {
        "Region": REGION,
        "Instance": "i-0123456789abcdef0",
        "Type": "t3.small",
        "Arch": "x86_64",
        "Root_dev_name": SDA,
        "Time": "2026-11-24T03:00:00",
    }


@given(words, words, words, words, instants)
def test_a_sets_description_fits_always(
    instance_id: str, kind: str, architecture: str, root: str, taken_at: datetime
) -> None:
    whole = Instance(
        place=Place(REGION),
        instance_id=instance_id,
        instance_type=kind,
        architecture=architecture,
        root_device_name=root,
    )
    text = describe_set(whole, taken_at)
    assert len(text) <= 255
    assert {"Region", "Time"} <= json.loads(text).keys()
    member = parse(text, set_tags(whole, "set-1", {SDF: vol("b")}), vol("b"))
    assert member is not None
    assert (member.identity, member.device) == ((timeline("b"), taken_at), SDF)


def test_a_member_has_the_full_record() -> None:
    description, tags = a_set({SDA: vol("a"), SDF: vol("b")})
    for device, volume in ((SDA, vol("a")), (SDF, vol("b"))):
        assert parse(description, tags, volume) == Record(
            region=REGION,
            volume=volume,
            taken_at=at("2026-11-24T03:00"),
            device=device,
            instance="i-0123456789abcdef0",
            instance_type="t3.small",
            architecture="x86_64",
            root_device_name=SDA,
        )


def forty() -> dict[str, str]:
    return {f"/dev/sd{number:02}": f"vol-{number:017x}" for number in range(40)}


def test_a_set_of_many_volumes_has_its_map_in_several_tags() -> None:
    description, tags = a_set(forty())
    assert "snapback:devices.6" in tags
    assert all(len(value) <= 256 for value in tags.values())
    for device, volume in forty().items():
        member = parse(description, tags, volume)
        assert member is not None
        assert (member.volume, member.device) == (volume, device)


def test_a_set_says_what_a_restore_will_need() -> None:
    whole = instance(
        boot_mode="uefi",
        ena_support=True,
        virtualization_type="hvm",
        subnet_id="subnet-1",
        security_group_ids=("sg-1", "sg-2"),
        key_name="ops",
    )
    tags = set_tags(whole, "set-1", {SDA: vol("a")})
    assert tags["snapback:set"] == "set-1"
    assert our_tags.read_long(our_tags.DEVICES, tags) == {SDA: vol("a")}
    assert our_tags.read_long(our_tags.RESTORE, tags) == {
        "boot_mode": "uefi",
        "ena_support": True,
        "virtualization_type": "hvm",
        "subnet_id": "subnet-1",
        "security_group_ids": ["sg-1", "sg-2"],
        "key_name": "ops",
        "options": {},
    }


def test_one_that_is_not_in_the_map_has_no_record() -> None:
    # A copy made by hand in the console, its tags taken over: its VolumeId is arbitrary.
    description, tags = a_set({SDA: vol("a"), SDF: vol("b")})
    assert parse(description, tags, "vol-ffffffff") is None
    assert parse(description, tags, vol("c")) is None


@pytest.mark.parametrize("piece", [f"snapback:devices{n}" for n in ("", ".2", ".3", ".6")])
def test_a_map_with_a_piece_missing_is_no_map(piece: str) -> None:
    description, tags = a_set(forty())
    del tags[piece]
    assert {parse(description, tags, volume) for volume in forty().values()} == {None}


def test_a_map_with_a_damaged_piece_is_no_map() -> None:
    description, tags = a_set(forty())
    tags["snapback:devices.2"] = "something else\n"
    assert {parse(description, tags, volume) for volume in forty().values()} == {None}


def test_damage_that_is_still_json_gives_no_member_another_ones_record() -> None:
    # Without its quotes the piece runs together into one long word, and the rest still reads well.
    description, tags = a_set(forty())
    tags["snapback:devices.2"] = tags["snapback:devices.2"].replace('"', "")
    members = {volume: parse(description, tags, volume) for volume in forty().values()}
    assert 0 < sum(member is None for member in members.values()) < 40
    assert all(member.volume == volume for volume, member in members.items() if member)


def test_a_map_without_the_sets_tag_is_no_map() -> None:
    description, tags = a_set({SDA: vol("a")})
    del tags["snapback:set"]
    assert parse(description, tags, vol("a")) is None


def test_a_sets_description_without_tags_is_no_record() -> None:
    description, _ = a_set({SDA: vol("a")})
    assert parse(description, {}, vol("a")) is None


def long_tag(text: str) -> dict[str, str]:
    pieces = [text[start : start + 256] for start in range(0, len(text), 256)]
    return {f"snapback:devices{f'.{n}' if n > 1 else ''}": p for n, p in enumerate(pieces, 1)}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not JSON",
        "null",
        "true",
        "7",
        "NaN",
        '"vol-aaaaaaaaaaaaaaaaa"',
        '["vol-aaaaaaaaaaaaaaaaa"]',
        '[["/dev/sda1", "vol-aaaaaaaaaaaaaaaaa"]]',
        '{"/dev/sda1": ["vol-aaaaaaaaaaaaaaaaa"]}',
        '{"/dev/sda1": {"vol-aaaaaaaaaaaaaaaaa": 1}}',
        '{"/dev/sda1": 7, "/dev/sdb": null, "/dev/sdc": NaN}',
        '{"vol-aaaaaaaaaaaaaaaaa": "/dev/sda1"}',
        '{"": "vol-aaaaaaaaaaaaaaaaa"}',
        "1" * 5000,
        pytest.param("[" * 9000, id="deep and cut off"),
        pytest.param("[" * 4500 + "]" * 4500, id="deep"),
        pytest.param('{"a":' * 1500 + "1" + "}" * 1500, id="deep objects"),
    ],
)
def test_a_hostile_map_is_no_map_and_no_exception(text: str) -> None:
    description, _ = a_set({SDA: vol("a")})
    tags = {"snapback:set": "set-1", **long_tag(text)}
    assert parse(description, tags, vol("a")) is None


def test_a_snapshots_own_volume_wins_over_a_map() -> None:
    # A replica that was given the tags of its source.
    _, tags = a_set({SDA: vol("a")})
    assert parse(describe(FULL), tags, "vol-ffffffff") == FULL


# django-fabfile's.


@pytest.mark.parametrize(
    "time",
    ["2012-03-04T05:06:07", "2012-03-04T05:06:07.000Z", "2012-03-04T05:06:07Z"],
)
def test_what_django_fabfile_wrote_is_understood(time: str) -> None:
    description = (
        f'{{"Arch": "i386", "Device": "/dev/sda1", "Instance": "i-0a1b2c3d", '
        f'"Region": "us-east-1", "Root_dev_name": "/dev/sda1", "Time": "{time}", '
        f'"Type": "m1.small", "Volume": "vol-0a1b2c3d"}}'
    )
    assert parse(description, {}, "vol-ffffffff") == Record(
        region="us-east-1",
        volume="vol-0a1b2c3d",
        taken_at=at("2012-03-04T05:06:07"),
        device="/dev/sda1",
        instance="i-0a1b2c3d",
        instance_type="m1.small",
        architecture="i386",
        root_device_name="/dev/sda1",
    )


@given(st.permutations(sorted(json.loads(describe(FULL)))))
def test_the_keys_may_come_in_any_order(keys: list[str]) -> None:
    said = json.loads(describe(FULL))
    assert parse(json.dumps({key: said[key] for key in keys}), {}, "vol-ffffffff") == FULL


def test_what_else_is_said_does_no_harm() -> None:
    said = {**json.loads(describe(FULL)), "Comment": ["by", "hand"], "time": 7}
    assert parse(json.dumps(said), {}, "vol-ffffffff") == FULL


# Improper ones.


@pytest.mark.parametrize(
    "description",
    [
        "",
        " ",
        "Created by CreateImage(i-0123456789abcdef0) for ami-0123456789abcdef0",
        "[Copied snap-0123456789abcdef0 from us-east-1]",
        "{",
        "null",
        "true",
        "7",
        "NaN",
        "-Infinity",
        "[]",
        "{}",
        '"vol-0123456789abcdef0"',
        '["Volume", "Region", "Time"]',
        "\ufeff{}",
        pytest.param("9" * 5000, id="a huge number"),
        pytest.param("[" * 100_000, id="deep, cut off"),
        pytest.param("[" * 50_000 + "]" * 50_000, id="deep"),
        pytest.param('{"Volume":' * 20_000 + "1" + "}" * 20_000, id="deep objects"),
    ],
)
def test_what_is_no_record_is_none_and_no_exception(description: str) -> None:
    assert parse(description, {}, vol("a")) is None


@pytest.mark.parametrize("key", ["Volume", "Region", "Time"])
@pytest.mark.parametrize(
    "value",
    [None, 7, 1.5, True, [], {}, ["us-east-1"], {"a": "b"}, "", " ", float("nan"), 10**400],
    ids=repr,
)
def test_a_word_that_matters_must_be_a_proper_one(key: str, value: Any) -> None:
    said = {**json.loads(describe(FULL)), key: value}
    assert parse(json.dumps(said), {}, vol("a")) is None


@pytest.mark.parametrize("key", ["Volume", "Region", "Time"])
def test_a_word_that_matters_must_be_there(key: str) -> None:
    said = json.loads(describe(FULL))
    del said[key]
    assert parse(json.dumps(said), {}, vol("a")) is None


@pytest.mark.parametrize("key", ["Device", "Instance", "Type", "Arch", "Root_dev_name"])
def test_null_is_an_empty_word_as_django_fabfile_wrote_it(key: str) -> None:
    said = {**json.loads(describe(FULL)), key: None}
    del (without := dict(said))[key]
    found = parse(json.dumps(said), {}, vol("a"))
    assert found == parse(json.dumps(without), {}, vol("a"))
    assert found is not None


@pytest.mark.parametrize("key", ["Volume", "Region", "Time"])
def test_null_is_no_word_that_matters(key: str) -> None:
    said = {**json.loads(describe(FULL)), key: None}
    assert parse(json.dumps(said), {}, vol("a")) is None


def test_the_account_is_the_tags_or_else_the_one_that_it_lies_in() -> None:
    text = describe(FULL)
    here, there = "111122223333", "444455556666"
    found = [parse(text, tags, "", here) for tags in ({}, {"snapback:account": there})]
    assert [one.account for one in found if one] == [here, there]
    assert len({one.identity for one in found if one}) == 2


@pytest.mark.parametrize(
    "account", ["", "1", "11112222333x", "1" * 13, "\n", "１１１１２２２２３３３３"]
)
def test_an_account_that_cannot_be_one_makes_no_record(account: str) -> None:
    found = parse(describe(FULL), {"snapback:account": account}, "", "111122223333")
    assert found is None if account else found and found.account == "111122223333"


@pytest.mark.parametrize("key", ["Device", "Instance", "Type", "Arch", "Root_dev_name"])
@pytest.mark.parametrize(
    "value", [7, [], {}, float("nan"), "\ud800", "a\nb", "\x1b[31m", "\u202e", "\0"], ids=repr
)
def test_the_other_words_must_be_words_that_can_be_printed(key: str, value: Any) -> None:
    said = {**json.loads(describe(FULL)), key: value}
    assert parse(json.dumps(said), {}, vol("a")) is None


@pytest.mark.parametrize("key", ["Device", "Instance", "Type", "Arch", "Root_dev_name"])
def test_the_other_words_need_not_be_there(key: str) -> None:
    said = json.loads(describe(FULL))
    del said[key]
    assert parse(json.dumps(said), {}, vol("a")) is not None


@pytest.mark.parametrize(
    "volume",
    [
        "vol-",
        "vol-0123456",
        "vol-012345678",
        "vol-0123456789abcdef",
        "vol-0123456789abcdef01",
        "vol-0123456789ABCDEF0",
        "vol-0123456789abcdeg0",
        "vol0123456789abcdef0",
        "snap-0123456789abcdef0",
        " vol-0123456789abcdef0",
        "vol-0123456789abcdef0\n",
        "vol-0123456789abcdef0; rm -rf /",
    ],
)
def test_a_volume_id_has_its_shape(volume: str) -> None:
    said = {**json.loads(describe(FULL)), "Volume": volume}
    assert parse(json.dumps(said), {}, vol("a")) is None


@pytest.mark.parametrize(
    "region", ["us", "us-east", "us-east-1a", "US-EAST-1", "us-east-1\n", "us_east_1", "-east-1"]
)
def test_a_region_has_its_shape(region: str) -> None:
    said = {**json.loads(describe(FULL)), "Region": region}
    assert parse(json.dumps(said), {}, vol("a")) is None


@pytest.mark.parametrize(
    "time",
    [
        "2026-11-24",
        "2026-11-24 03:00:00",
        "2026-11-24T03:00",
        "2026-11-24T03:00:00+01:00",
        "2026-11-24T03:00:00.Z",
        "2026-11-24T03:00:00\n",
        "2026-13-24T03:00:00",
        "2025-02-29T03:00:00",
        "2026-11-24T24:00:00",
        "0000-01-01T00:00:00",
        "1795489200",
        "٢٠٢٦-11-24T03:00:00",
    ],
)
def test_a_time_has_its_shape(time: str) -> None:
    said = {**json.loads(describe(FULL)), "Time": time}
    assert parse(json.dumps(said), {}, vol("a")) is None


def test_the_leap_day_is_a_proper_time() -> None:
    said = {**json.loads(describe(FULL)), "Time": "2024-02-29T23:59:59"}
    record = parse(json.dumps(said), {}, vol("a"))
    assert record is not None
    assert record.taken_at == at("2024-02-29T23:59:59")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
said_keys = st.sampled_from(["Volume", "Region", "Device", "Instance", "Type", "Arch", "Time"])


@given(
    st.one_of(
        st.text(),
        json_values.map(json.dumps),
        st.dictionaries(said_keys, json_values).map(json.dumps),
    ),
    st.dictionaries(
        st.sampled_from(["snapback:set", "snapback:devices", "snapback:devices.2"]),
        st.text() | json_values.map(json.dumps),
    ),
    st.text(max_size=25),
)
def test_nothing_that_others_wrote_is_an_exception(
    description: str, tags: dict[str, str], volume_id: str
) -> None:
    assert parse(description, tags, volume_id) is None


# Consistency.


@pytest.mark.parametrize(
    ("word", "consistency"),
    [
        ("crash", Consistency.CRASH),
        ("filesystem", Consistency.FILESYSTEM),
        ("stopped", Consistency.STOPPED),
        ("application", Consistency.APPLICATION),
        ("", Consistency.CRASH),
        ("excellent", Consistency.CRASH),
        ("3", Consistency.CRASH),
    ],
)
def test_the_tag_says_the_consistency(word: str, consistency: Consistency) -> None:
    assert consistency_of({"snapback:consistency": word}) is consistency


def test_without_the_tag_it_is_as_after_a_crash() -> None:
    assert consistency_of({}) is Consistency.CRASH
