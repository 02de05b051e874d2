"""What holds of the trim logic whatever the snapshots, the policy and the hour.

The instants cluster around the borders of periods, several snapshots often share one instant, and
some of them even one identity.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby

from hypothesis import assume, event, given
from hypothesis import strategies as st

from snapback.core.model import Consistency, Place, Record, Snapshot
from snapback.core.trim import retention
from snapback.core.trim.policy import Policy
from snapback.core.trim.retention import Protection, Verdict
from tests.unit.builders import REGION, at, policy, timeline, vol, words

KINDS = ("hourly", "daily", "weekly", "monthly", "quarterly", "yearly")
MUCH_LATER = at("2031-01-01T00:00")

# Borders of an hour, a day, a week (Sundays), a month, a quarter, a year, around a leap day.
BORDERS = [
    at(text)
    for text in (
        "2023-12-31T00:00",
        "2024-01-01T00:00",
        "2024-01-07T00:00",
        "2024-02-29T00:00",
        "2024-03-01T00:00",
        "2024-03-31T01:00",
        "2024-04-01T00:00",
        "2024-12-29T00:00",
        "2025-01-01T00:00",
    )
]
STEPS = [timedelta(seconds=s) for s in (-86400, -3600, -1, 0, 0, 1, 1800, 3600, 86400, 604800)]

instants = st.builds(lambda border, step: border + step, *map(st.sampled_from, (BORDERS, STEPS)))


@dataclass(frozen=True)
class Shot:
    """One backup: of one volume, or of several as a set."""

    taken_at: datetime
    volumes: str
    consistency: Consistency
    is_set: bool
    quirks: tuple[str, ...]


QUIRKS = (
    "pinned",
    "pending",
    "error",
    "archived",
    "in use",
    "locked",
    "dlm",
    "aws backup",
    "no record",
)
PROTECTING = {"pinned", "pending", "archived", "in use", "locked", "dlm", "aws backup"}

ordinary = st.just(())
plain_shots = st.builds(
    Shot, instants, st.just("a"), st.sampled_from(Consistency), st.just(False), ordinary
)
shots = st.builds(
    Shot,
    instants,
    st.sampled_from(["a", "a", "b", "ab", "abc", "bc"]),
    st.sampled_from(Consistency),
    st.booleans(),
    # One word for each volume of the shot; most are ordinary.
    st.one_of(
        ordinary, ordinary, st.tuples(*[st.sampled_from(("", "", *QUIRKS)) for _ in range(3)])
    ),
)
counts = st.sampled_from([0, 0, 1, 2, 3, 5])
policies = st.builds(Policy, **dict.fromkeys(KINDS, counts), fade_after_days=st.none())
fading_policies = st.builds(
    Policy, **dict.fromkeys(KINDS, counts), fade_after_days=st.sampled_from([None, 0, 1, 40, 400])
)
any_policies = st.one_of(fading_policies, fading_policies, st.just(policy()), st.just("no policy"))
gaps = st.sampled_from(
    [timedelta(minutes=20), *(timedelta(hours=h) for h in (1, 5, 24, 72, 240, 24 * 40, 24 * 500))]
)
nows = st.one_of(st.just(MUCH_LATER), instants)


@dataclass(frozen=True)
class World:
    """Some snapshots of one place and what EC2 knows about them."""

    snapshots: tuple[Snapshot, ...]
    protection: Protection
    quirk_of: dict[str, str]

    def plan(
        self, policy_of: Policy | str | Callable[[Snapshot], Policy | str], now: datetime
    ) -> list[Verdict]:
        """Answer the verdicts; a policy stands for all timelines."""
        by = policy_of if callable(policy_of) else lambda _: policy_of
        return retention.plan(self.snapshots, by, now, self.protection)

    def without(self, verdicts: Sequence[Verdict]) -> World:
        """Answer what is left when those to be deleted are."""
        gone = {verdict.snapshot.snapshot_id for verdict in verdicts if not verdict.keep}
        left = tuple(s for s in self.snapshots if s.snapshot_id not in gone)
        return replace(self, snapshots=left)

    def timelines(self, now: datetime) -> dict[tuple[str, str], list[Snapshot]]:
        """Answer those among which the windows are counted, by volume."""
        found = defaultdict(list)
        for snapshot in self.snapshots:
            if (
                snapshot.record
                and snapshot.record.taken_at <= now
                and self.quirk_of[snapshot.snapshot_id]
                not in {"pending", "error", "dlm", "aws backup"}
            ):
                found[snapshot.record.timeline].append(snapshot)
        return found


def world_of(taken: Sequence[Shot]) -> World:
    snapshots = []
    quirk_of = {}
    for number, shot in enumerate(taken):
        for place, letter in enumerate(shot.volumes):
            quirk = shot.quirks[place] if shot.quirks else ""
            one = snapshot_of(shot, letter, quirk, number)
            quirk_of[one.snapshot_id] = quirk
            snapshots.append(one)
    return World(
        snapshots=tuple(snapshots),
        protection=Protection(
            in_use={name: "ami-1" for name, quirk in quirk_of.items() if quirk == "in use"},
            locked=frozenset(name for name, quirk in quirk_of.items() if quirk == "locked"),
            gone=frozenset({timeline("a"), timeline("b")}),
        ),
        quirk_of=quirk_of,
    )


def snapshot_of(shot: Shot, letter: str, quirk: str, number: int) -> Snapshot:
    tags = {
        "pinned": {"preserve_snapshot": ""},
        "dlm": {"dlm:managed": "true"},
        "aws backup": {"aws:backup:source-resource": "x"},
    }
    return Snapshot(
        place=Place(REGION),
        snapshot_id=f"snap-{letter}-{number:02}",
        volume_id=vol(letter),
        started_at=shot.taken_at,
        state=quirk if quirk in {"pending", "error"} else "completed",
        storage_tier="archive" if quirk == "archived" else "standard",
        tags=tags.get(quirk, {}),
        record=None
        if quirk == "no record"
        else Record(region=REGION, volume=vol(letter), taken_at=shot.taken_at),
        set_id=f"set-{number}" if shot.is_set else "",
        consistency=shot.consistency,
    )


worlds = st.lists(shots, max_size=14).map(world_of)
plain_worlds = st.lists(plain_shots, min_size=1, max_size=14).map(world_of)


def kept(verdicts: Sequence[Verdict]) -> set[str]:
    return {verdict.snapshot.snapshot_id for verdict in verdicts if verdict.keep}


@given(worlds, any_policies, nows)
def test_each_snapshot_of_ours_gets_one_verdict_with_reasons(
    world: World, by: Policy | str, now: datetime
) -> None:
    verdicts = world.plan(by, now)
    judged = Counter(verdict.snapshot.snapshot_id for verdict in verdicts)
    ours = [name for name, quirk in world.quirk_of.items() if quirk not in {"error", "no record"}]
    assert judged == Counter(ours)
    assert all(verdict.reasons and all(words(verdict)) for verdict in verdicts)
    assert all(len(verdict.reasons) == 1 for verdict in verdicts if not verdict.keep)
    assert all(len(set(verdict.reasons)) == len(verdict.reasons) for verdict in verdicts)
    event(f"deleted: {min(len(verdicts) - len(kept(verdicts)), 5)}")


@given(worlds, any_policies, nows)
def test_the_newest_of_each_timeline_is_kept(world: World, by: Policy | str, now: datetime) -> None:
    survivors = kept(world.plan(by, now))
    for members in world.timelines(now).values():
        newest_at = max(s.record.taken_at for s in members if s.record)
        newest = {s.snapshot_id for s in members if s.record and s.record.taken_at == newest_at}
        assert newest & survivors


@given(worlds, fading_policies, nows)
def test_exactly_one_of_a_timeline_is_called_newest(
    world: World, by: Policy, now: datetime
) -> None:
    assume(by.counts())
    verdicts = world.plan(by, now)
    called = [v.snapshot.record.timeline for v in verdicts if "newest" in words(v)]  # type: ignore[union-attr]
    assert Counter(called) == Counter(world.timelines(now).keys())


@given(worlds, fading_policies, nows, st.sampled_from(KINDS), st.sampled_from([1, 2, 100, 10**9]))
def test_raising_a_count_only_keeps_more(
    world: World, by: Policy, now: datetime, kind: str, more: int
) -> None:
    assume(by.counts())
    raised = replace(by, **{kind: getattr(by, kind) + more})
    assert kept(world.plan(by, now)) <= kept(world.plan(raised, now))


@given(worlds, any_policies, nows)
def test_planning_twice_gives_the_same(world: World, by: Policy | str, now: datetime) -> None:
    assert world.plan(by, now) == world.plan(by, now)


@given(worlds, any_policies, nows)
def test_after_deleting_what_the_plan_deletes_nothing_more_goes(
    world: World, by: Policy | str, now: datetime
) -> None:
    first = world.plan(by, now)
    second = world.without(first).plan(by, now)
    assert [verdict for verdict in second if not verdict.keep] == []
    assert second == [verdict for verdict in first if verdict.keep]


@given(worlds, any_policies, nows, st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(
    world: World, by: Policy | str, now: datetime, random: object
) -> None:
    shuffled = list(world.snapshots)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert replace(world, snapshots=tuple(shuffled)).plan(by, now) == world.plan(by, now)


@given(worlds, any_policies, nows)
def test_a_set_is_kept_or_deleted_whole(world: World, by: Policy | str, now: datetime) -> None:
    fates = defaultdict(set)
    for verdict in world.plan(by, now):
        if verdict.snapshot.set_id:
            fates[verdict.snapshot.set_id].add(verdict.keep)
    assert all(len(fate) == 1 for fate in fates.values())


@given(worlds, any_policies, nows)
def test_nothing_protected_is_deleted(world: World, by: Policy | str, now: datetime) -> None:
    for verdict in world.plan(by, now):
        if not verdict.keep:
            assert world.quirk_of[verdict.snapshot.snapshot_id] not in PROTECTING
            assert verdict.snapshot.record
            assert verdict.snapshot.record.taken_at <= now


@given(worlds, st.sampled_from([policy(), "no policy"]), nows)
def test_without_counts_or_policy_nothing_is_deleted(
    world: World, by: Policy | str, now: datetime
) -> None:
    assert all(verdict.keep for verdict in world.plan(by, now))


@given(worlds, any_policies, nows, shots)
def test_another_volumes_snapshot_changes_nothing(
    world: World, by: Policy | str, now: datetime, shot: Shot
) -> None:
    # Made after all others, so that it shares neither a set nor a volume with any of them.
    stranger = snapshot_of(shot, "f", "", 99)
    more = replace(
        world,
        snapshots=(stranger, *world.snapshots),
        quirk_of={**world.quirk_of, stranger.snapshot_id: ""},
    )
    others = [verdict for verdict in more.plan(by, now) if verdict.snapshot != stranger]
    assert others == world.plan(by, now)


@given(worlds, fading_policies, fading_policies, nows)
def test_each_timeline_is_thinned_by_its_own_policy(
    world: World, by: Policy, of_a: Policy, now: datetime
) -> None:
    alone = replace(
        world, snapshots=tuple(replace(s, set_id="") for s in world.snapshots)
    )  # what a set keeps crosses from one timeline to another
    mixed = alone.plan(lambda newest: of_a if newest.volume_id == vol("a") else by, now)

    def of_one(verdicts: Sequence[Verdict], is_a: bool) -> list[Verdict]:
        return [v for v in verdicts if (v.snapshot.volume_id == vol("a")) is is_a]

    assert of_one(mixed, True) == of_one(alone.plan(of_a, now), True)
    assert of_one(mixed, False) == of_one(alone.plan(by, now), False)


@given(worlds, policies, st.timedeltas(timedelta(0), timedelta(days=9999)))
def test_as_time_passes_nothing_thins(world: World, by: Policy, passed: timedelta) -> None:
    now = max((s.started_at for s in world.snapshots), default=MUCH_LATER)
    assert world.plan(by, now) == world.plan(by, now + passed)


@given(worlds, policies, nows, gaps)
def test_a_future_one_shifts_no_window(
    world: World, by: Policy, now: datetime, ahead: timedelta
) -> None:
    shot = Shot(now + ahead, "a", Consistency.APPLICATION, False, ())
    future = snapshot_of(shot, "a", "", 99)
    more = replace(
        world,
        snapshots=(*world.snapshots, future),
        quirk_of={**world.quirk_of, future.snapshot_id: ""},
    )
    verdicts = more.plan(by, now)
    assert [v for v in verdicts if v.snapshot != future] == world.plan(by, now)
    assert [words(v) for v in verdicts if v.snapshot == future] == [("dated in the future",)]


@given(worlds, fading_policies, nows)
def test_what_fades_keeps_no_more_than_what_does_not(
    world: World, by: Policy, now: datetime
) -> None:
    steady = replace(by, fade_after_days=None)
    assert kept(world.plan(by, now)) <= kept(world.plan(steady, now))


@given(
    st.lists(plain_shots, min_size=1, max_size=14),
    st.lists(gaps, max_size=14),
    policies,
    st.sampled_from(Consistency),
    gaps,
)
def test_one_new_snapshot_displaces_one_period_of_each_kind_whatever_the_gap(
    taken: list[Shot], apart: list[timedelta], by: Policy, quality: Consistency, gap: timedelta
) -> None:
    assume(by.counts())
    at_last = BORDERS[0]
    spread = []
    for shot, step in zip(taken, [*apart, *[timedelta(hours=5)] * 14], strict=False):
        at_last += step
        spread.append(replace(shot, taken_at=at_last))
    before = world_of(spread)
    before = before.without(before.plan(by, MUCH_LATER))
    newest = snapshot_of(Shot(at_last + gap, "a", quality, False, ()), "a", "", number=98)
    after = replace(
        before,
        snapshots=(*before.snapshots, newest),
        quirk_of={**before.quirk_of, newest.snapshot_id: ""},
    )
    lost = [verdict.snapshot for verdict in after.plan(by, MUCH_LATER) if not verdict.keep]
    day_and_longer = [kind for kind in KINDS if kind != "hourly" and getattr(by, kind)]
    former_newest = 1
    hours = _hours_that_may_leave(before, newest, by)
    event(f"lost: {min(len(lost), 5)}")
    assert len([s for s in lost if s.snapshot_id not in hours]) <= (
        len(day_and_longer) + former_newest
    )


set_shots = st.builds(
    Shot,
    instants,
    st.sampled_from(["a", "ab", "abc", "bc"]),
    st.sampled_from(Consistency),
    st.just(True),
    ordinary,
)


@given(
    st.lists(set_shots, min_size=1, max_size=14),
    policies,
    st.sampled_from(["a", "ab", "bc"]),
    st.sampled_from(Consistency),
    gaps,
)
def test_one_new_set_displaces_one_period_of_each_kind_of_each_of_its_volumes(
    taken: list[Shot], by: Policy, volumes: str, quality: Consistency, gap: timedelta
) -> None:
    by = replace(by, hourly=0)
    assume(by.counts())
    before = world_of(taken)
    before = before.without(before.plan(by, MUCH_LATER))
    at_last = max(snapshot.started_at for snapshot in before.snapshots) + gap
    shot = Shot(at_last, volumes, quality, True, ())
    new = [snapshot_of(shot, letter, "", 98) for letter in volumes]
    after = replace(
        before,
        snapshots=(*before.snapshots, *new),
        quirk_of={**before.quirk_of, **dict.fromkeys((s.snapshot_id for s in new), "")},
    )
    lost = {v.snapshot.set_id for v in after.plan(by, MUCH_LATER) if not v.keep}
    event(f"lost sets: {min(len(lost), 5)}")
    assert len(lost) <= len(volumes) * (len(by.counts()) + 1)


def _hours_that_may_leave(before: World, newest: Snapshot, by: Policy) -> set[str]:
    """Return those of the one hour that a new one displaces, and of the day that it pushes out."""
    if not by.hourly:
        return set()
    everything = [*before.snapshots, newest]
    days = sorted({s.started_at.date() for s in everything})[-by.days_of_hours - 1 :]
    hours = sorted({s.started_at.replace(minute=0, second=0) for s in before.snapshots})
    leaving = set(hours[-by.hourly :][:1]) | {newest.started_at.replace(minute=0, second=0)}
    pushed_out = days[0] if len(days) > by.days_of_hours else None
    return {
        s.snapshot_id
        for s in before.snapshots
        if s.started_at.replace(minute=0, second=0) in leaving or s.started_at.date() == pushed_out
    }


@given(plain_worlds, policies)
def test_of_one_identity_one_is_kept(world: World, by: Policy) -> None:
    assume(by.counts())
    verdicts = world.plan(by, MUCH_LATER)
    identities = [v.snapshot.record.identity for v in verdicts if v.keep and v.snapshot.record]
    assert len(identities) == len(set(identities))


@given(st.lists(shots.filter(lambda shot: not shot.quirks), max_size=12), policies)
def test_trimming_along_the_way_ends_where_trimming_once_does(
    taken: list[Shot], by: Policy
) -> None:
    whole = world_of(sorted(taken, key=lambda shot: shot.taken_at))
    along = replace(whole, snapshots=())
    # A run takes all of an instant before it trims.
    for now, taken_now in groupby(whole.snapshots, key=lambda snapshot: snapshot.started_at):
        along = replace(along, snapshots=(*along.snapshots, *taken_now))
        along = along.without(along.plan(by, now))
    assert kept(along.plan(by, MUCH_LATER)) == kept(whole.plan(by, MUCH_LATER))
