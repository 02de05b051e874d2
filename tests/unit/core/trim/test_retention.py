"""The trim logic by examples: one behaviour each, small enough to check by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from snapback.core.model import Consistency, Place, Snapshot
from snapback.core.trim import retention
from snapback.core.trim.policy import Policy
from snapback.core.trim.retention import Protection
from tests.unit.builders import (
    REGION,
    at,
    judged,
    kept,
    kept_instants,
    policy,
    snapshot,
    timeline,
    words,
)

# Each kind of period.


@pytest.mark.parametrize(
    ("counts", "taken", "expected"),
    [
        pytest.param(
            {"hourly": 2},
            ["2026-11-24T01:59:59", "2026-11-24T02:00", "2026-11-24T02:59:59", "2026-11-24T03:30"],
            ["2026-11-24T02:00", "2026-11-24T03:30"],
            id="an hour starts at its first second and ends before the next one",
        ),
        pytest.param(
            {"hourly": 3},
            ["2026-11-23T21:10", "2026-11-23T22:10", "2026-11-23T23:10", "2026-11-24T01:10"],
            ["2026-11-23T22:10", "2026-11-23T23:10", "2026-11-24T01:10"],
            id="an hour without a snapshot doesn't count",
        ),
        pytest.param(
            {"hourly": 24},
            ["2026-11-20T01:00", "2026-11-21T01:00", "2026-11-22T01:00", "2026-11-24T01:00"],
            ["2026-11-21T01:00", "2026-11-22T01:00", "2026-11-24T01:00"],
            id="24 hours count within the newest three days that have one",
        ),
        pytest.param(
            {"hourly": 25},
            [f"2026-11-{day}T01:00" for day in (18, 19, 20, 22, 24)],
            [f"2026-11-{day}T01:00" for day in (19, 20, 22, 24)],
            id="25 hours within the newest four",
        ),
        pytest.param(
            {"daily": 2},
            ["2026-11-22T23:59:59", "2026-11-23T00:00", "2026-11-23T23:59", "2026-11-24T05:00"],
            ["2026-11-23T00:00", "2026-11-24T05:00"],
            id="a day starts at midnight UTC",
        ),
        pytest.param(
            {"daily": 3},
            ["2024-02-28T12:00", "2024-02-29T06:00", "2024-02-29T12:00", "2024-03-01T12:00"],
            ["2024-02-28T12:00", "2024-02-29T06:00", "2024-03-01T12:00"],
            id="the leap day is a day",
        ),
        pytest.param(
            {"daily": 2},
            ["2023-02-27T12:00", "2023-02-28T12:00", "2023-03-01T12:00"],
            ["2023-02-28T12:00", "2023-03-01T12:00"],
            id="where there is none the day before the first of March is the 28th",
        ),
        pytest.param(
            {"daily": 3},
            # Clocks go forward in Europe on 29 March 2026 at 01:00 UTC, back on 25 October.
            ["2026-03-28T23:30", "2026-03-29T00:30", "2026-03-29T23:30", "2026-03-30T00:30"],
            ["2026-03-28T23:30", "2026-03-29T00:30", "2026-03-30T00:30"],
            id="daylight saving time moves no day",
        ),
        pytest.param(
            {"hourly": 3},
            ["2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30", "2026-10-25T02:30"],
            ["2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T02:30"],
            id="daylight saving time repeats no hour",
        ),
        pytest.param(
            {"weekly": 2},
            # 15 and 22 November 2026 are Sundays.
            ["2026-11-14T23:59:59", "2026-11-15T00:00", "2026-11-21T23:59", "2026-11-22T08:00"],
            ["2026-11-15T00:00", "2026-11-22T08:00"],
            id="a week starts on Sunday",
        ),
        pytest.param(
            {"weekly": 2},
            # 29 December 2024 is a Sunday: the week goes on over the end of the year.
            ["2024-12-28T12:00", "2024-12-29T12:00", "2025-01-04T12:00", "2025-01-05T12:00"],
            ["2024-12-29T12:00", "2025-01-05T12:00"],
            id="a week may lie in two years",
        ),
        pytest.param(
            {"monthly": 2},
            ["2026-10-31T23:59:59", "2026-11-01T00:00", "2026-11-30T23:59", "2026-12-15T00:00"],
            ["2026-11-01T00:00", "2026-12-15T00:00"],
            id="a month starts on its first",
        ),
        pytest.param(
            {"monthly": 2},
            ["2024-01-31T12:00", "2024-02-29T12:00", "2024-03-31T12:00"],
            ["2024-02-29T12:00", "2024-03-31T12:00"],
            id="months are as long as they are",
        ),
        pytest.param(
            {"monthly": 2},
            ["2025-11-30T12:00", "2025-12-31T23:59:59", "2026-01-01T00:00"],
            ["2025-12-31T23:59:59", "2026-01-01T00:00"],
            id="the month before January is December",
        ),
        pytest.param(
            {"quarterly": 2},
            ["2026-03-31T23:59:59", "2026-04-01T00:00", "2026-06-30T23:59", "2026-07-01T00:00"],
            ["2026-04-01T00:00", "2026-07-01T00:00"],
            id="a quarter has three months",
        ),
        pytest.param(
            {"quarterly": 2},
            ["2025-09-30T12:00", "2025-12-31T12:00", "2026-01-01T12:00", "2026-03-31T12:00"],
            ["2025-12-31T12:00", "2026-01-01T12:00", "2026-03-31T12:00"],
            id="the quarter before the first is last year's fourth",
        ),
        pytest.param(
            {"yearly": 2},
            ["2024-12-31T23:59:59", "2025-01-01T00:00", "2025-12-31T23:59:59", "2026-01-01T00:00"],
            ["2025-01-01T00:00", "2026-01-01T00:00"],
            id="a year starts on the first of January",
        ),
        pytest.param(
            {"yearly": 2},
            ["2023-06-01T00:00", "2024-02-29T00:00", "2024-12-31T00:00", "2026-06-01T00:00"],
            ["2024-02-29T00:00", "2026-06-01T00:00"],
            id="a year without a snapshot doesn't count",
        ),
        pytest.param(
            {"daily": 3},
            # Tuesday to Thursday, nothing from Friday to Sunday, Monday.
            ["2026-11-17T03:00", "2026-11-18T03:00", "2026-11-19T03:00", "2026-11-23T03:00"],
            ["2026-11-18T03:00", "2026-11-19T03:00", "2026-11-23T03:00"],
            id="one snapshot after an outage pushes out one day",
        ),
        pytest.param(
            {"monthly": 2, "weekly": 1},
            ["2026-03-02T03:00", "2026-03-30T03:00", "2026-07-05T03:00", "2026-11-24T03:00"],
            ["2026-07-05T03:00", "2026-11-24T03:00"],
            id="months without a snapshot don't count",
        ),
        pytest.param(
            {"daily": 2, "monthly": 2},
            ["2026-10-09T12:00", "2026-10-10T12:00", "2026-11-22T12:00", "2026-11-23T12:00",
             "2026-11-24T12:00"],
            ["2026-10-09T12:00", "2026-11-22T12:00", "2026-11-23T12:00", "2026-11-24T12:00"],
            id="kinds keep independently of each other",
        ),
    ],
)  # fmt: skip
def test_the_last_periods_of_a_kind_keep_one_each(
    counts: dict[str, int], taken: list[str], expected: list[str]
) -> None:
    assert kept_instants(taken, policy(**counts)) == expected


def test_the_newest_is_kept_though_its_period_keeps_an_older_one() -> None:
    taken = ["2026-11-24T03:00", "2026-11-24T09:00", "2026-11-24T15:00"]
    assert kept_instants(taken, policy(yearly=1)) == ["2026-11-24T03:00", "2026-11-24T15:00"]


def test_one_snapshot_is_kept_by_any_policy() -> None:
    for kind in ("hourly", "daily", "weekly", "monthly", "quarterly", "yearly"):
        assert kept_instants(["2026-11-24T03:00"], policy(**{kind: 1})) == ["2026-11-24T03:00"]


def test_no_snapshots_no_verdicts() -> None:
    assert retention.plan([], lambda _: Policy(), at("2026-11-24")) == []


def test_periods_are_counted_back_from_the_newest_snapshot_not_from_now() -> None:
    taken = ["2019-11-22T03:00", "2019-11-23T03:00", "2019-11-24T03:00"]
    assert kept_instants(taken, policy(daily=2), now="2026-11-24T00:00") == taken[1:]


def test_the_default_policy() -> None:
    assert Policy() == Policy(
        hourly=24, daily=7, weekly=4, monthly=12, quarterly=4, yearly=10, fade_after_days=None
    )


@pytest.mark.parametrize(
    "kind", ["hourly", "daily", "weekly", "monthly", "quarterly", "yearly"]
)  # fmt: skip
@pytest.mark.parametrize("newest", ["2026-11-24T03:00", "0001-01-01T00:00"])
def test_a_count_may_reach_back_before_the_first_year(kind: str, newest: str) -> None:
    # The second instant comes from a description that somebody wrote by hand; it must not stop
    # the trimming of a whole region.
    assert kept_instants([newest], policy(**{kind: 10**12})) == [newest]


# Best consistency, then oldest.


def test_a_period_keeps_the_best_consistency() -> None:
    day = [
        snapshot("2026-11-23T01:00", name="crash"),
        snapshot("2026-11-23T02:00", name="filesystem", consistency=Consistency.FILESYSTEM),
        snapshot("2026-11-23T03:00", name="application", consistency=Consistency.APPLICATION),
        snapshot("2026-11-23T04:00", name="stopped", consistency=Consistency.STOPPED),
        snapshot("2026-11-24T01:00", name="newest"),
    ]
    assert kept(day, policy(daily=2)) == ["application", "newest"]


def test_of_the_best_it_keeps_the_oldest() -> None:
    day = [
        snapshot("2026-11-23T01:00", name="crash"),
        snapshot("2026-11-23T02:00", name="first good", consistency=Consistency.APPLICATION),
        snapshot("2026-11-23T03:00", name="second good", consistency=Consistency.APPLICATION),
        snapshot("2026-11-24T01:00", name="newest"),
    ]
    assert kept(day, policy(daily=2)) == ["first good", "newest"]


def test_the_newest_is_kept_however_poor() -> None:
    day = [
        snapshot("2026-11-24T01:00", name="good", consistency=Consistency.APPLICATION),
        snapshot("2026-11-24T02:00", name="newest"),
    ]
    assert kept(day, policy(daily=1)) == ["good", "newest"]


# Two of one identity.


def test_of_two_with_one_identity_the_one_made_later_goes() -> None:
    first = snapshot("2026-11-24T03:00", name="snap-2", started_at=at("2026-11-24T03:00"))
    again = snapshot("2026-11-24T03:00", name="snap-1", started_at=at("2026-11-24T09:00"))
    for both in ([first, again], [again, first]):
        assert kept(both, policy(daily=9)) == ["snap-2"]


def test_of_two_older_ones_with_one_identity_the_one_made_later_goes() -> None:
    first = snapshot("2026-11-23T03:00", name="first", started_at=at("2026-11-23T03:00"))
    again = snapshot("2026-11-23T03:00", name="again", started_at=at("2026-11-23T09:00"))
    newest = snapshot("2026-11-24T03:00", name="newest")
    assert kept([again, first, newest], policy(hourly=99)) == ["first", "newest"]


def test_of_two_with_one_identity_the_better_one_stays() -> None:
    first = snapshot("2026-11-24T03:00", name="first", started_at=at("2026-11-24T03:00"))
    better = snapshot(
        "2026-11-24T03:00",
        name="better",
        started_at=at("2026-11-24T09:00"),
        consistency=Consistency.FILESYSTEM,
    )
    assert kept([first, better], policy(daily=9)) == ["better"]


# Policies that keep everything, and those of timelines.


def test_a_policy_of_zeros_deletes_nothing_and_says_so() -> None:
    verdicts = judged([snapshot("2026-11-23"), snapshot("2026-11-24")], policy())
    assert [(v.keep, words(v)) for v in verdicts.values()] == [
        (True, ("the policy has no counts",)),
        (True, ("the policy has no counts",)),
    ]


def test_a_timeline_without_a_policy_is_kept_for_the_reason_given() -> None:
    verdicts = judged([snapshot("2026-11-23"), snapshot("2026-11-24")], "no retention named shrot")
    assert [(v.keep, words(v)) for v in verdicts.values()] == [
        (True, ("no retention named shrot",)),
        (True, ("no retention named shrot",)),
    ]


def test_each_timeline_has_its_own_policy() -> None:
    snapshots = [
        snapshot(f"2026-11-{day}", volume=volume, name=f"{volume}-{day}")
        for volume in "abc"
        for day in (22, 23, 24)
    ]
    policies: dict[str, Policy | str] = {
        snapshot.volume_id: by
        for snapshot, by in zip(
            snapshots[::3], (policy(daily=2), policy(daily=1), "none"), strict=True
        )
    }
    verdicts = retention.plan(snapshots, lambda s: policies[s.volume_id], at("2026-12-01"))
    assert [verdict.snapshot.snapshot_id for verdict in verdicts if not verdict.keep] == [
        "a-22",
        "b-22",
        "b-23",
    ]


def test_a_timeline_follows_the_policy_of_its_newest_snapshot() -> None:
    snapshots = [
        snapshot("2026-11-22", name="old", tags={"Retention": "long"}),
        snapshot("2026-11-23", name="newer", tags={"Retention": "long"}),
        snapshot("2026-11-24", name="newest", tags={"Retention": "short"}),
    ]
    asked: list[str] = []

    def policy_of(newest: Snapshot) -> Policy:
        asked.append(newest.snapshot_id)
        return policy(daily=2 if newest.tags["Retention"] == "short" else 9)

    verdicts = retention.plan(snapshots, policy_of, at("2026-12-01"))
    assert asked == ["newest"]
    assert [verdict.keep for verdict in verdicts] == [False, True, True]


def test_a_timeline_is_of_the_record_not_of_the_volume_id() -> None:
    copies = [
        snapshot(
            f"2026-11-{day}",
            volume=volume,
            name=f"{volume}-{day}",
            place=Place("eu-west-1"),
            volume_id="vol-ffffffff",
        )
        for day in (23, 24)
        for volume in "ab"
    ]
    assert kept(copies, policy(daily=2)) == ["a-23", "b-23", "a-24", "b-24"]
    assert kept(copies, policy(daily=1)) == ["a-24", "b-24"]


def test_one_volume_id_in_two_regions_is_two_timelines() -> None:
    snapshots = [
        snapshot("2026-11-23", name="native"),
        snapshot("2026-11-24", name="replica", region="eu-west-1"),
    ]
    assert kept(snapshots, policy(daily=1)) == ["native", "replica"]


def test_copies_of_one_volume_with_arbitrary_volume_ids_are_one_timeline() -> None:
    copies = [
        snapshot("2026-11-23", name="old", volume_id="vol-ffffffff"),
        snapshot("2026-11-24", name="new", volume_id="vol-00000000"),
    ]
    assert kept(copies, policy(daily=1)) == ["new"]


# Fading.

GONE = Protection(gone=frozenset({timeline("a")}))


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param("2026-11-24T03:00", ["22", "23", "24"], id="at once"),
        pytest.param("2026-12-04T03:00", ["22", "23", "24"], id="just not long enough"),
        pytest.param("2026-12-04T03:00:01", ["24"], id="a second later"),
        pytest.param("2036-12-04T03:00", ["24"], id="the newest stays for ever"),
    ],
)
def test_a_timeline_fades_when_its_volume_is_gone_and_nothing_new_comes(
    now: str, expected: list[str]
) -> None:
    snapshots = [snapshot(f"2026-11-{day}T03:00", name=day) for day in ("22", "23", "24")]
    by = policy(daily=3, fade_after_days=10)
    assert kept(snapshots, by, now=now, protection=GONE) == expected
    assert kept(snapshots, by, now=now) == ["22", "23", "24"]
    assert retention.idle_timelines(snapshots, lambda _: by, at(now)) == (
        [timeline("a")] if len(expected) == 1 else []
    )


def test_a_fading_timeline_thins_out_step_by_step() -> None:
    snapshots = [snapshot(f"2026-11-{day}T03:00", name=day) for day in ("22", "23", "24")]
    by = policy(daily=4, fade_after_days=0.5)
    assert kept(snapshots, by, "2026-11-25T03:00", GONE) == ["22", "23", "24"]
    assert kept(snapshots, by, "2026-11-26T03:00", GONE) == ["23", "24"]
    assert kept(snapshots, by, "2026-11-27T03:00", GONE) == ["24"]


def test_the_reasons_say_that_a_timeline_has_faded() -> None:
    snapshots = [snapshot(f"2026-11-{day}T03:00", name=day) for day in ("22", "23", "24")]
    by = policy(daily=3, fade_after_days=0.5)
    found = judged(snapshots, by, "2026-11-26T03:00", GONE)
    assert words(found["22"]) == (
        "faded: older than day 2026-11-24, the earliest period that keeps one",
    )
    found = judged(snapshots, by, "2026-12-26T03:00", GONE)
    assert words(found["22"]) == ("faded: no period back from now has a snapshot",)


# The stop switch.


@pytest.mark.parametrize("state", ["completed", "pending", "error"])
def test_the_tag_of_one_snapshot_keeps_its_timeline(state: str) -> None:
    tagged = snapshot("2026-11-20", name="tagged", state=state, tags={"snapback:keep": ""})
    others = [snapshot(f"2026-11-{day}", name=day) for day in ("21", "22", "23")]
    another = [snapshot(f"2026-11-{day}", name=f"b-{day}", volume="b") for day in ("21", "22")]
    found = judged([tagged, *others, *another], policy(daily=1))
    assert [name for name, verdict in found.items() if not verdict.keep] == ["b-21"]
    assert words(found["21"]) == ("tag snapback:keep on tagged",)


def test_what_keeps_a_timeline_is_its_reason() -> None:
    snapshots = [snapshot("2026-11-01", name="old"), snapshot("2026-11-24", name="new")]
    by_tag = Protection(kept={timeline("a"): "i-1"})
    by_home = Protection(unread_homes={("", REGION): "no"})
    for protection, reason in (
        (by_tag, "tag snapback:keep on i-1"),
        (by_home, "its home us-east-1 can't be read"),
    ):
        verdicts = judged(snapshots, policy(daily=1), protection=protection)
        assert (verdicts["old"].keep, words(verdicts["old"])) == (True, (reason,))


# Who is believed.


OURS = {"snapback:set": "set-1"}


def test_of_one_period_those_with_our_tags_come_before_the_best_and_the_oldest() -> None:
    best = Consistency.APPLICATION
    found = kept(
        [
            snapshot("2026-11-23T01:00", name="foreign, best, oldest", consistency=best),
            snapshot("2026-11-23T02:00", name="ours", tags=OURS),
            snapshot("2026-11-23T03:00", name="ours too", tags=OURS),
            snapshot("2026-11-24T01:00", name="newest", tags=OURS),
        ],
        policy(daily=2),
    )
    assert found == ["ours", "newest"]


@pytest.mark.parametrize("key", ["snapback:keep", "snapback:exclude", "Name"])
def test_the_tags_that_people_set_make_a_snapshot_no_more_ours(key: str) -> None:
    found = kept(
        [
            snapshot("2026-11-23T01:00", name="foreign", volume="a", tags={key: ""}),
            snapshot("2026-11-23T02:00", name="ours", volume="a", tags=OURS),
            snapshot("2026-11-24T02:00", name="newest", volume="a", tags=OURS),
        ],
        policy(daily=2),
    )
    assert ("ours" in found) is True
    assert ("foreign" in found) is (key == "snapback:keep")


def test_the_newest_with_our_tags_decides_the_policy() -> None:
    ours = [snapshot(f"2026-11-{day}", name=day, tags=OURS) for day in ("20", "21", "22")]
    foreign = snapshot("2026-11-23", name="foreign", tags={"Retention": "one"})
    policies = {"one": policy(daily=1)}
    verdicts = retention.plan(
        [*ours, foreign],
        lambda one: policies.get(one.tags.get("Retention", ""), policy(daily=4)),
        at("2026-11-24"),
    )
    assert all(verdict.keep for verdict in verdicts)


def test_where_none_has_our_tags_the_newest_decides() -> None:
    snapshots = [snapshot(f"2026-11-{day}", tags={"Retention": day}) for day in ("20", "21")]
    assert retention.deciding(snapshots) is snapshots[-1]


# Sets.


def pair(day: str, **of_both: object) -> list[Snapshot]:
    """Answer a set of the volumes a and b."""
    return [
        snapshot(f"2026-11-{day}", volume=v, name=f"{v}-{day}", set_id=f"set-{day}", **of_both)
        for v in "ab"
    ]


def test_what_keeps_one_member_keeps_the_set() -> None:
    old, new = pair("23"), pair("24")
    policies = {old[0].volume_id: policy(daily=2), old[1].volume_id: policy(daily=1)}
    verdicts = retention.plan(
        [*old, *new], lambda newest: policies[newest.volume_id], at("2026-12-01")
    )
    assert [(v.snapshot.snapshot_id, v.keep, words(v)) for v in verdicts] == [
        ("a-23", True, ("day 2026-11-23",)),
        ("b-23", True, ("set-23 is kept for a-23",)),
        ("a-24", True, ("newest", "day 2026-11-24")),
        ("b-24", True, ("newest", "day 2026-11-24")),
    ]


def test_a_set_of_which_nothing_is_kept_goes_as_a_whole() -> None:
    assert kept([*pair("22"), *pair("23"), *pair("24")], policy(daily=2)) == [
        "a-23",
        "b-23",
        "a-24",
        "b-24",
    ]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"tags": {"preserve_snapshot": ""}}, id="pinned"),
        pytest.param({"state": "pending"}, id="pending"),
        pytest.param({"storage_tier": "archive"}, id="archived"),
        pytest.param({"tags": {"aws:backup:source-resource": "x"}}, id="managed"),
    ],
)
def test_a_protected_member_keeps_the_set(change: dict[str, object]) -> None:
    a = snapshot("2026-11-22", volume="a", name="a-22", set_id="set-22", **change)
    b = snapshot("2026-11-22", volume="b", name="b-22", set_id="set-22")
    verdicts = judged([a, b, *pair("23"), *pair("24")], policy(daily=1))
    assert [name for name, verdict in verdicts.items() if verdict.keep] == [
        "a-22",
        "b-22",
        "a-24",
        "b-24",
    ]
    assert words(verdicts["b-22"]) == ("set-22 is kept for a-22",)


def test_an_ami_or_a_lock_on_one_member_keeps_the_set() -> None:
    snapshots = [*pair("21"), *pair("22"), *pair("23"), *pair("24")]
    protection = Protection(in_use={"a-21": "ami-1"}, locked=frozenset({"b-22"}))
    assert kept(snapshots, policy(daily=1), protection=protection) == [
        "a-21",
        "b-21",
        "a-22",
        "b-22",
        "a-24",
        "b-24",
    ]


def test_one_set_id_in_two_regions_is_two_sets() -> None:
    native = [snapshot(f"2026-11-{day}", name=f"native-{day}", set_id="set") for day in (24,)]
    replicas = [
        snapshot("2026-11-22", region="eu-west-1", name="replica-22", set_id="set"),
        snapshot("2026-11-23", region="eu-west-1", name="replica-23"),
    ]
    assert kept([*native, *replicas], policy(daily=1)) == ["replica-23", "native-24"]


def test_snapshots_of_no_set_are_no_set() -> None:
    assert kept([snapshot("2026-11-23"), snapshot("2026-11-24", name="new")], policy(daily=1)) == [
        "new"
    ]


def test_the_reason_of_a_set_does_not_depend_on_the_order() -> None:
    members = [
        snapshot("2026-11-22", volume=v, name=f"{v}-22", set_id="set-22", state=state)
        for v, state in (("a", "pending"), ("b", "pending"), ("c", "completed"))
    ]
    newer = snapshot("2026-11-24", volume="c", name="c-24")
    for seed in range(6):
        shuffled = Random(seed).sample([*members, newer], 4)
        assert words(judged(shuffled, policy(daily=1))["c-22"]) == ("set-22 is kept for a-22",)


# Protections.


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tags": {"preserve_snapshot": "yes"}}, "tag preserve_snapshot"),
        ({"tags": {"preserve_snapshot": ""}}, "tag preserve_snapshot"),
        ({"tags": {"preserve_snapshot": "false"}}, "tag preserve_snapshot"),
        ({"state": "pending"}, "pending"),
        ({"storage_tier": "archive"}, "archived"),
        (
            {"restored_until": at("2026-11-26T03:00")},
            "archived, restored until 2026-11-26 03:00",
        ),
        ({"tags": {"dlm:managed": "true"}}, "managed by another service (tag dlm:managed)"),
        (
            {"tags": {"aws:dlm:lifecycle-policy-id": "policy-1"}},
            "managed by another service (tag aws:dlm:lifecycle-policy-id)",
        ),
        (
            {"tags": {"aws:backup:source-resource": "i-1"}},
            "managed by another service (tag aws:backup:source-resource)",
        ),
    ],
)
def test_what_protects_a_snapshot_is_its_reason(change: dict[str, object], reason: str) -> None:
    old = snapshot("2026-11-01", name="old", **change)
    also_old = snapshot("2026-11-02", name="also old")
    new = snapshot("2026-11-24", name="new")
    verdicts = judged([old, also_old, new], policy(daily=1))
    assert (verdicts["old"].keep, words(verdicts["old"])) == (True, (reason,))
    assert [name for name, verdict in verdicts.items() if verdict.keep] == ["old", "new"]


@pytest.mark.parametrize(
    ("protection", "reason"),
    [
        (Protection(in_use={"old": "ami-0abc"}), "in use by ami-0abc"),
        (Protection(locked=frozenset({"old"})), "locked"),
    ],
)
def test_what_ec2_knows_protects_a_snapshot(protection: Protection, reason: str) -> None:
    snapshots = [snapshot("2026-11-01", name="old"), snapshot("2026-11-24", name="new")]
    verdicts = judged(snapshots, policy(daily=1), protection=protection)
    assert (verdicts["old"].keep, words(verdicts["old"])) == (True, (reason,))


def test_all_reasons_are_told() -> None:
    old = snapshot(
        "2026-11-24T03:00",
        name="old",
        storage_tier="archive",
        tags={"preserve_snapshot": "", "Name": "x"},
    )
    protection = Protection(in_use={"old": "ami-1"}, locked=frozenset({"old"}))
    assert words(judged([old], policy(hourly=1, weekly=1), protection=protection)["old"]) == (
        "tag preserve_snapshot",
        "in use by ami-1",
        "locked",
        "archived",
        "newest",
        "hour 2026-11-24T03",
        "week of 2026-11-22",
    )


def test_one_dated_in_the_future_is_kept_and_shifts_no_window() -> None:
    snapshots = [
        snapshot("2026-11-22", name="22"),
        snapshot("2026-11-23", name="23"),
        snapshot("2026-11-24", name="24"),
        snapshot("2062-11-24", name="typo"),
    ]
    verdicts = judged(snapshots, policy(daily=2), now="2026-11-24T12:00")
    assert {name: words(verdict) for name, verdict in verdicts.items() if verdict.keep} == {
        "23": ("day 2026-11-23",),
        "24": ("newest", "day 2026-11-24"),
        "typo": ("dated in the future",),
    }


def test_one_of_this_very_second_is_not_in_the_future() -> None:
    only = snapshot("2026-11-24T12:00", name="only")
    assert words(judged([only], policy(daily=1), now="2026-11-24T12:00")["only"]) == (
        "newest",
        "day 2026-11-24",
    )


def test_a_pending_one_is_neither_newest_nor_does_it_shift_a_window() -> None:
    snapshots = [
        snapshot("2026-11-22", name="22"),
        snapshot("2026-11-23", name="23"),
        snapshot("2026-11-24", name="pending", state="pending"),
    ]
    verdicts = judged(snapshots, policy(daily=1))
    assert {name: words(verdict) for name, verdict in verdicts.items() if verdict.keep} == {
        "23": ("newest", "day 2026-11-23"),
        "pending": ("pending",),
    }


def test_one_of_another_service_is_neither_newest_nor_the_one_that_a_period_keeps() -> None:
    snapshots = [
        snapshot("2026-11-23T01:00", name="ours"),
        snapshot("2026-11-23T00:00", name="theirs", tags={"dlm:managed": "true"}),
        snapshot("2026-11-24", name="theirs too", tags={"aws:backup:source-resource": "i-1"}),
    ]
    verdicts = judged(snapshots, policy(daily=1))
    assert words(verdicts["ours"]) == ("newest", "day 2026-11-23")


def test_a_pinned_one_is_what_its_period_keeps() -> None:
    snapshots = [
        snapshot("2026-11-23T01:00", name="pinned", tags={"preserve_snapshot": ""}),
        snapshot("2026-11-23T02:00", name="other"),
        snapshot("2026-11-24", name="newest"),
    ]
    assert kept(snapshots, policy(daily=2)) == ["pinned", "newest"]


def test_those_without_a_record_are_not_judged() -> None:
    assert judged([snapshot(record=None)], policy(daily=1)) == {}


def test_those_in_error_are_not_judged_and_count_for_nothing() -> None:
    snapshots = [
        snapshot("2026-11-23", name="good"),
        snapshot("2026-11-24", name="broken", state="error"),
    ]
    verdicts = judged(snapshots, policy(daily=1))
    assert {name: words(verdict) for name, verdict in verdicts.items()} == {
        "good": ("newest", "day 2026-11-23")
    }


def test_protections_hold_under_any_policy() -> None:
    snapshots = [snapshot("2026-11-24", name="only", state="pending")]
    for by in (policy(), policy(daily=1), "none"):
        assert words(judged(snapshots, by)["only"]) == ("pending",)


# Reasons.


def test_the_reasons_to_keep_name_the_periods() -> None:
    only = snapshot("2026-11-24T03:30", name="only")
    every = policy(hourly=1, daily=1, weekly=1, monthly=1, quarterly=1, yearly=1)
    assert words(judged([only], every)["only"]) == (
        "newest",
        "hour 2026-11-24T03",
        "day 2026-11-24",
        "week of 2026-11-22",
        "month 2026-11",
        "quarter 2026-Q4",
        "year 2026",
    )


@pytest.mark.parametrize(
    ("month", "quarter"),
    [("01", 1), ("03", 1), ("04", 2), ("06", 2), ("07", 3), ("09", 3), ("10", 4), ("12", 4)],
)
def test_quarters_have_their_usual_numbers(month: str, quarter: int) -> None:
    only = snapshot(f"2026-{month}-15", name="only")
    assert words(judged([only], policy(quarterly=1))["only"]) == (
        "newest",
        f"quarter 2026-Q{quarter}",
    )


def test_the_reason_to_go_names_the_one_that_stays_instead() -> None:
    snapshots = [
        snapshot("2026-11-24T01:00", name="oldest"),
        snapshot("2026-11-24T02:00", name="between"),
        snapshot("2026-11-24T03:00", name="newest"),
    ]
    verdict = judged(snapshots, policy(daily=1, weekly=1))["between"]
    assert (verdict.keep, words(verdict)) == (False, ("day 2026-11-24 keeps oldest",))


def test_the_reason_to_go_of_one_too_old_names_the_end() -> None:
    snapshots = [
        snapshot(taken, name=name)
        for taken, name in (
            ("2026-10-14", "old"),
            ("2026-10-20", "week"),
            ("2026-11-23", "day"),
            ("2026-11-24", "newest"),
        )
    ]
    verdict = judged(snapshots, policy(daily=2, weekly=2))["old"]
    assert (verdict.keep, words(verdict)) == (
        False,
        ("older than week of 2026-10-18, the earliest period that keeps one",),
    )


def test_verdicts_come_oldest_first() -> None:
    snapshots = [snapshot(f"2026-11-{day}", name=day) for day in ("10", "11", "12", "13")]
    shuffled = Random(1).sample(snapshots, 4)
    assert list(judged(shuffled, policy(daily=9))) == ["10", "11", "12", "13"]


def test_nothing_is_asked_of_the_clock() -> None:
    snapshots = [snapshot("2126-11-23", name="23"), snapshot("2126-11-24", name="24")]
    now = at("2126-11-24") + timedelta(hours=1)
    verdicts = retention.plan(snapshots, lambda _: policy(daily=1), now)
    assert [verdict.keep for verdict in verdicts] == [False, True]


# Several replicas of one identity.


def double(of: Snapshot, name: str, **others: Any) -> Snapshot:
    return replace(of, snapshot_id=name, started_at=of.started_at + timedelta(hours=1), **others)


def test_two_replicas_of_one_identity_count_as_one_and_the_later_goes() -> None:
    first = snapshot("2026-11-24T03:00", name="first")
    verdicts = judged([double(first, "later"), first], policy(daily=5))
    assert verdicts["first"].keep
    assert not verdicts["later"].keep


def test_a_set_keeps_one_replica_of_each_member() -> None:
    a = snapshot("2026-11-24T03:00", volume="a", name="a", set_id="set-1")
    b = snapshot("2026-11-24T03:00", volume="b", name="b", set_id="set-1")
    newer = snapshot("2026-11-25T03:00", volume="b", name="newer")
    verdicts = judged([a, b, newer, double(a, "a-later"), double(b, "b-later")], policy(yearly=1))
    assert {name for name, verdict in verdicts.items() if verdict.keep} == {"a", "b", "newer"}
    assert words(verdicts["a-later"]) == ("the same as a, which is kept",)
    assert words(verdicts["b-later"]) == ("the same as b, which is kept",)


def test_a_double_that_is_protected_stays_too() -> None:
    first = snapshot("2026-11-24T03:00", name="first", set_id="set-1")
    pending = double(first, "pending", state="pending")
    pinned = double(first, "pinned", tags={"preserve_snapshot": ""})
    assert set(kept([first, pending, pinned], policy(daily=1))) == {"first", "pending", "pinned"}


def test_what_a_transfer_in_flight_needs_is_kept() -> None:
    old, new = snapshot("2026-11-20T03:00", name="old"), snapshot("2026-11-24T03:00", name="new")
    flying = Protection(in_flight={"old": "source of a transfer into eu-west-1"})
    assert kept([old, new], policy(daily=1)) == ["new"]
    verdicts = judged([old, new], policy(daily=1), protection=flying)
    assert words(verdicts["old"]) == ("source of a transfer into eu-west-1",)


def test_two_sets_with_one_id_count_as_one_backup() -> None:
    """As where a call whose answer was lost took effect late, beside the one that was repeated."""
    last = [snapshot("2026-11-25T03:00", volume=v, name=f"last-{v}", set_id="set-2") for v in "ab"]

    def night(*, told: Consistency) -> list[Snapshot]:
        return [
            snapshot(
                f"2026-11-24T03:0{minute}",
                volume=v,
                name=f"{v}{minute}",
                set_id="set-1",
                consistency=consistency,
            )
            for minute, consistency in ((0, Consistency.CRASH), (1, told))
            for v in "ab"
        ] + last

    by = policy(daily=9)
    assert kept(night(told=Consistency.CRASH), by) == ["a0", "b0", "last-a", "last-b"]
    assert kept(night(told=Consistency.FILESYSTEM), by) == ["a1", "b1", "last-a", "last-b"]
