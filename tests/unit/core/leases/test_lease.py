"""What a sweep decides, given what EC2 tells."""

from __future__ import annotations

from typing import Any

import pytest

from snapback.core.leases.lease import (
    CLAIMS,
    HELPERS,
    MARKS,
    RESTORES,
    Fate,
    Kind,
    Lent,
    marks,
    plan_sweep,
    was_created_with,
)
from snapback.core.model import Place
from snapback.core.model import tags as our_tags
from tests.unit.builders import REGION, at

NOW = at("2026-11-24T12:00")
EXPIRED, IN_USE = at("2026-11-24T11:59"), at("2026-11-24T12:01")
RUN = "run-20261124T030000-1a2b3c"
TAGS = marks(RUN, "helper", "token", EXPIRED)


def lent(kind: Kind, name: str = "", **more: Any) -> Lent:
    """Return a thing that has expired; created with a name as EC2 tells it."""
    given = {"place": Place(REGION), "resource_id": f"{kind}", "tags": TAGS, "created_as": name}
    return Lent(kind=kind, **{**given, **more})


def fate(thing: Lent, *others: Lent, run_id: str | None = None) -> Fate:
    """Return what is to become of the first of some things."""
    verdicts = plan_sweep([thing, *others], NOW, run_id)
    (found,) = (one.reason.kind for one in verdicts if one.thing is thing)
    return found


OURS = (
    lent(Kind.INSTANCE, f"{HELPERS}1-1"),
    lent(Kind.INSTANCE, f"{RESTORES}1"),
    lent(Kind.IMAGE, f"{RESTORES}1 i-1"),
    lent(Kind.VOLUME, attached_to=()),
    lent(Kind.KEY_PAIR, f"{CLAIMS}1"),
    lent(Kind.SECURITY_GROUP, f"{HELPERS}1"),
)
each_of_ours = pytest.mark.parametrize("thing", OURS, ids=str)


def with_tags(thing: Lent, tags: dict[str, str]) -> Lent:
    return lent(thing.kind, thing.created_as, tags=tags, attached_to=thing.attached_to)


@each_of_ours
def test_what_is_ours_goes_once_it_has_expired_or_with_its_run(thing: Lent) -> None:
    assert fate(thing) is fate(thing, run_id=RUN) is Fate.GOES
    assert fate(thing, run_id="run-2") is Fate.OF_ANOTHER_RUN
    used = with_tags(thing, marks(RUN, "helper", "token", IN_USE))
    assert fate(used) is Fate.IN_USE
    assert fate(used, run_id=RUN) is Fate.GOES


@each_of_ours
@pytest.mark.parametrize("key", [our_tags.RUN, *MARKS])
def test_what_lacks_one_of_our_tags_is_not_ours(thing: Lent, key: str) -> None:
    for tags in (
        {name: value for name, value in TAGS.items() if name != key},
        {**TAGS, key: ""},
    ):
        assert fate(with_tags(thing, tags)) is Fate.NOT_OURS


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.VOLUME], ids=str)
@pytest.mark.parametrize("name", ["", "token", "web", "snapback-", f" {HELPERS}1", HELPERS.upper()])
def test_what_was_not_created_by_us_is_not_ours(kind: Kind, name: str) -> None:
    assert fate(lent(kind, name)) is fate(lent(kind, name), run_id=RUN) is Fate.NOT_OURS


def test_a_prefix_is_that_of_its_kind() -> None:
    assert fate(lent(Kind.IMAGE, f"{HELPERS}1")) is Fate.NOT_OURS
    assert fate(lent(Kind.INSTANCE, f"{CLAIMS}1")) is Fate.NOT_OURS


def test_a_restored_instance_stays_once_it_is_kept_or_where_that_is_not_known() -> None:
    assert fate(lent(Kind.INSTANCE, f"{RESTORES}1", is_kept=True), run_id=RUN) is Fate.NOT_OURS
    assert fate(lent(Kind.INSTANCE, f"{RESTORES}1", unread="not allowed")) is Fate.STAYS


def test_a_volume_goes_only_where_all_that_it_is_attached_to_is_ours() -> None:
    volume = lent(Kind.VOLUME, attached_to=("i-1",))
    assert fate(volume) is Fate.STAYS
    for name, more, expected in (
        (f"{HELPERS}1", {}, Fate.GOES),
        (f"{HELPERS}1", {"is_ending": True}, Fate.GOES),
        (f"{RESTORES}1", {}, Fate.GOES),
        (f"{RESTORES}1", {"is_kept": True}, Fate.STAYS),
        (f"{RESTORES}1", {"unread": "not allowed"}, Fate.STAYS),
        ("web", {}, Fate.STAYS),
    ):
        host = lent(Kind.INSTANCE, name, resource_id="i-1", **more)
        assert fate(volume, host) is expected, (name, more)
        shared = lent(Kind.VOLUME, attached_to=("i-1", "i-2"))
        assert fate(shared, host) is Fate.STAYS


def test_what_is_ending_is_left_to_end() -> None:
    assert plan_sweep([lent(Kind.INSTANCE, f"{HELPERS}1", is_ending=True)], NOW) == []


def test_a_token_is_believed_as_far_as_ec2_tells_it() -> None:
    token = f"{HELPERS}0123456789ab"
    assert was_created_with(lent(Kind.INSTANCE, f"{token}-1"), token)
    assert not was_created_with(lent(Kind.INSTANCE, f"{HELPERS}ba9876543210-1"), token)
    assert not was_created_with(lent(Kind.SECURITY_GROUP, "web"), token)
    assert was_created_with(lent(Kind.VOLUME, attached_to=()), token)
    assert not was_created_with(lent(Kind.VOLUME, attached_to=("i-1",)), token)
