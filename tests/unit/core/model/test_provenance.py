"""How far EC2 vouches for a record."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from snapback.core.model import Snapshot
from snapback.core.model.provenance import believed, natives_first, vouched
from tests.unit.builders import REGION, at, record, snapshot, vol

HERE, THERE = "111122223333", "444455556666"
TAKEN = at("2026-11-24T03:00")
CLAIM = record(account=HERE)


def described(**others: object) -> Snapshot:
    """Return a snapshot of the volume a as EC2 describes it, before its record is looked at."""
    return replace(snapshot(), owner_id=HERE, record=None, **others)  # type: ignore[arg-type]


def test_what_ec2_says_too_is_proven() -> None:
    found = vouched(described(), CLAIM)
    assert (found.record, found.unproven, found.is_native) == (CLAIM, None, True)


def test_what_has_no_record_is_neither_proven_nor_unproven() -> None:
    found = vouched(described(), None)
    assert (found.record, found.unproven, found.is_native) == (None, None, False)


@pytest.mark.parametrize("volume_id", [vol("b"), "vol-ffffffff", ""])
def test_a_native_must_be_of_the_volume_of_its_record(volume_id: str) -> None:
    found = vouched(described(volume_id=volume_id), CLAIM)
    assert (found.record, found.is_native) == (None, False)
    assert found.unproven
    assert found.unproven.why == (
        f"its record says {vol('a')}, and EC2 says {volume_id or 'nothing'}"
    )


@pytest.mark.parametrize(
    ("after", "proven"),
    [
        (timedelta(), True),
        (timedelta(days=1), True),
        (timedelta(days=1, seconds=1), False),
        (-timedelta(days=1), True),
        (-timedelta(days=1, seconds=1), False),
        (timedelta(days=9000), False),
    ],
    ids=str,
)
def test_a_native_must_have_been_started_within_a_day_of_its_record(
    after: timedelta, proven: bool
) -> None:
    found = vouched(described(started_at=TAKEN + after), CLAIM)
    assert (found.unproven is None) is proven
    assert found.unproven is None or "its record says 2026-11-24 03:00" in found.unproven.why


@pytest.mark.parametrize(
    "claim",
    [record(account=HERE, region="eu-west-1"), record(account=THERE), record(account="")],
    ids=["another region", "another account", "no account"],
)
def test_a_replica_cannot_be_proven_and_counts(claim) -> None:  # type: ignore[no-untyped-def]
    found = vouched(described(volume_id="vol-ffffffff", started_at=at("2030-01-01")), claim)
    assert (found.record, found.unproven, found.is_native) == (claim, None, False)


def test_a_person_who_names_it_believes_it_and_it_still_says_what_ec2_says() -> None:
    unproven = vouched(described(volume_id=vol("b")), CLAIM)
    assert (believed(unproven).record, believed(unproven).unproven) == (CLAIM, unproven.unproven)
    proven = vouched(described(), CLAIM)
    assert believed(proven) is proven


def test_replicas_stand_back_where_there_are_natives() -> None:
    native = vouched(described(), CLAIM)
    replica = vouched(described(), record(account=HERE, region="eu-west-1"))
    unproven = vouched(described(volume_id=vol("b")), CLAIM)
    assert natives_first([replica, native, unproven]) == [native]
    assert natives_first([replica, unproven]) == [replica]
    assert natives_first([unproven]) == []
    assert native.place.region == REGION
