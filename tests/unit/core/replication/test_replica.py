"""What a replica bears: its tags, its set, its description; what it is likely to cost."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapback.core.model import Place, Snapshot
from snapback.core.model import record as records
from snapback.core.model import tags as our_tags
from snapback.core.model.record import LONGEST_DESCRIPTION, describe, parse
from snapback.core.replication.estimate import estimate
from snapback.core.replication.replication_plan import ReplicationPlan, Step, Waiting
from tests.unit.builders import REGION, record, snapshot, vol

WEST = Place("eu-west-1")


def tags_of(source: Snapshot) -> dict[str, str]:
    return our_tags.of_replica(source, "run-2", ("Earmarking", "Retention", "Name"))


def test_a_replica_bears_its_sources_tags_and_where_it_is_from() -> None:
    tags = {
        "Name": "web",
        "snapback:set": "set-1",
        "snapback:run": "run-1",
        "snapback:consistency": "filesystem",
        "snapback:devices": "{}",
    }
    source = snapshot(tags=tags, set_id="set-1", name="snap-1")
    assert tags_of(source) == {**tags, "snapback:run": "run-2", "snapback:source": "snap-1"}


@pytest.mark.parametrize(
    "key",
    [
        "preserve_snapshot",
        "snapback:keep",
        "snapback:verified",
        "snapback:verified-at",
        "aws:x",
        "dlm:y",
    ],
)
def test_what_is_not_true_of_the_replica_stays_behind(key: str) -> None:
    assert key not in tags_of(snapshot(tags={key: "yes", "Name": "web"}))


def test_a_replica_of_a_replica_is_from_the_one_it_was_made_of() -> None:
    source = snapshot(tags={"snapback:source": "snap-first"}, name="snap-second")
    assert tags_of(source)["snapback:source"] == "snap-second"


def test_without_a_set_it_is_a_set_of_one_the_same_wherever_it_is_made_from() -> None:
    source = snapshot(name="snap-1")
    other = replace(source, snapshot_id="snap-2", place=WEST)
    assert tags_of(source)["snapback:set"] == tags_of(other)["snapback:set"]
    assert tags_of(snapshot(volume="b"))["snapback:set"] != tags_of(source)["snapback:set"]


@given(st.integers(0, 60), st.integers(0, 12))
def test_there_are_never_more_tags_than_ec2_takes(others: int, ours: int) -> None:
    tags = {f"k{number:02}": "v" for number in range(others)}
    tags |= {f"snapback:restore.{number}": "v" for number in range(ours)} | {"Name": "web"}
    given_tags = tags_of(snapshot(tags=tags))
    assert len(given_tags) <= our_tags.MOST_TAGS
    assert given_tags.keys() >= {key for key in tags if key.startswith("snapback:")} | {"Name"}


def test_the_description_is_the_full_record_whatever_kind_of_snapshot_the_source_was() -> None:
    devices = json.dumps({"/dev/sdf": vol("a")})
    tags = {"snapback:set": "set-1", "snapback:devices": devices}
    of_a_member = json.dumps({"Region": REGION, "Instance": "i-1", "Time": "2026-11-24T03:00:00"})
    source = parse(of_a_member, tags, vol("a"))
    assert source is not None
    assert parse(describe(source), {}, "vol-ffffffff") == source
    assert {"Volume", "Device"} <= json.loads(describe(source)).keys()


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=80))
def test_it_fits_and_its_identity_stays(device: str, kind: str, root: str) -> None:
    source = record(device=device, instance_type=kind, root_device_name=root)
    text = describe(source)
    assert len(text) <= LONGEST_DESCRIPTION
    found = records.parse(text, {}, "vol-ffffffff")
    assert found is not None
    assert found.identity == source.identity


def test_the_digest_is_the_identitys() -> None:
    assert record(device="/dev/sdf").digest == record().digest
    assert len({record(v).digest for v in ("2026-11-24T03:00", "2026-11-24T03:00:01")}) == 2
    assert record(volume="b").digest != record().digest != record(region="eu-west-1").digest


# What it is likely to cost.


def step(size_gib: int, base_taken: str = "") -> Step:
    source = snapshot("2026-11-24T00:00", size_gib=size_gib)
    base = snapshot(base_taken, place=WEST) if base_taken else None
    return Step(source=source, destination=WEST, base=base)


def plan(*steps: Step, waiting: tuple[Waiting, ...] = ()) -> ReplicationPlan:
    return ReplicationPlan(source=Place(REGION), destination=WEST, steps=steps, waiting=waiting)


def test_without_a_replica_all_crosses_with_one_what_may_have_changed() -> None:
    assert estimate(plan(step(100)), 0.01, 4).gib_to_cross == 100
    assert estimate(plan(step(100, "2026-11-19T00:00")), 0.01, 4).gib_to_cross == 10
    assert estimate(plan(step(100, "2020-11-23T00:00")), 0.01, 4).gib_to_cross == 100
    assert estimate(plan(step(100, "2026-11-25T00:00")), 0.01, 4).gib_to_cross == 0


def test_helpers_run_as_long_as_the_longest_and_as_all_by_so_many_workers() -> None:
    assert estimate(plan(step(36)), 0.01, 4).helper_hours == 2
    assert estimate(plan(*[step(36)] * 8), 0.01, 4).helper_hours == 4
    assert estimate(plan(), 0.01, 4).helper_hours == 0


def test_what_is_waited_for_counts_what_would_stand_in_for_it_does_not() -> None:
    waiting = Waiting((step(10),), (step(20),))
    found = estimate(plan(step(1), waiting=(waiting,)), 0.01, 4)
    assert (found.volumes, found.gib_to_read) == (2, 11)
