"""Claims: one machine at a time makes a replica."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from threading import Barrier

import pytest

from snapback import get_region_conn, get_relevant_snapshots, rsync_region
from snapback.core.model import Place
from snapback.core.replication.replication_plan import Step
from snapback.errors import AlreadyReplicated, BeingReplicated, Collision
from snapback.replication.claims import held, wish_of
from snapback.words import Word
from snapback.workers.claims import renew
from snapback.workers.watch import Pulse
from tests.sandbox.conftest import instance
from tests.sandbox.replicas import sets
from tests.unit.builders import snapshot

WEST = Place("eu-west-1")


def step(**others) -> Step:
    return Step(source=snapshot("2026-11-24T03:00", size_gib=8, **others), destination=WEST)


def claims(world):
    return world.ec2("eu-west-1").describe_key_pairs()["KeyPairs"]


def test_a_claim_is_held_by_one_and_given_back(run, begin, world):
    with held(run, step(), [], Pulse(run)):
        (claim,) = claims(world)
        assert claim["KeyName"] == wish_of(run, step()).name
        tags = world.tags(claim)
        assert tags["snapback:purpose"] == "claim"
        assert tags["snapback:run"] == run.run_id
        with (
            pytest.raises(BeingReplicated, match=run.run_id),
            held(begin(), step(), [], Pulse(run)),
        ):
            pass
        with held(begin(), step(volume="b"), [], Pulse(run)):
            assert len(claims(world)) == 2
    assert claims(world) == []


def test_the_identity_is_claimed_whichever_copy_of_it_is_the_source(run, begin):
    other = step(name="snap-0123456789abcdef0", place=Place("ap-southeast-1"))
    with (
        held(run, step(), [], Pulse(run)),
        pytest.raises(Collision),
        held(begin(), other, [], Pulse(run)),
    ):
        pass


def test_of_many_at_once_one_wins(run, begin, world):
    runs = [begin() for _ in range(4)]
    together, tried = Barrier(len(runs)), Barrier(len(runs))

    def try_it(one) -> bool:
        with ExitStack() as stack:
            together.wait()
            try:
                stack.enter_context(held(one, step(), [], Pulse(one)))
                won = True
            except BeingReplicated:
                won = False
            tried.wait()
            return won

    with ThreadPoolExecutor(len(runs)) as pool:
        assert sorted(pool.map(try_it, runs)) == [False] * 3 + [True]
    assert claims(world) == []


def test_a_stale_claim_is_taken_over_and_the_new_one_survives_its_old_owner(
    sandbox, run, begin, world
):
    sandbox.set_clock(speed=0)
    with held(run, step(), [], Pulse(run)):
        sandbox.advance(8 / 0.007 / 2)
        with pytest.raises(BeingReplicated), held(begin(), step(), [], Pulse(run)):
            pass
        sandbox.advance(8 / 0.007)
        with held(begin(), step(), [], Pulse(run)) as mine:
            (claim,) = claims(world)
            assert claim["KeyPairId"] == mine.key_pair_id
            assert world.tags(claim)["snapback:run"] != run.run_id
    assert claims(world) == []


def test_a_claim_is_renewed_while_it_is_held(sandbox, begin, world, configure):
    run = begin(configure(replication={"replication_speed": 100}))
    with held(run, step(), [], Pulse(run)) as claim:
        first = world.tags(claims(world)[0])["snapback:expires"]
        assert claim.wish.life == timedelta(minutes=1)
        sandbox.advance(30)
        run.conn(WEST).describe_key_pairs()  # from its answer the run knows the time
        renew(run, claim)
        assert world.tags(claims(world)[0])["snapback:expires"] > first


@pytest.mark.parametrize("effect", ["drop_after", "drop_before", "error"])
def test_a_claim_whose_answer_was_lost_is_ones_own(sandbox, run, world, effect):
    more = {"code": "InternalError", "status": 500} if effect == "error" else {}
    sandbox.fault("CreateKeyPair", effect, **more)
    with held(run, step(), [], Pulse(run)):
        assert len(claims(world)) == 1
    assert claims(world) == []


def test_a_claim_that_can_not_be_given_back_is_told(sandbox, run, world):
    sandbox.fault(
        "DeleteKeyPair", "error", count=None, code="UnauthorizedOperation", status=403, message="no"
    )
    left = []
    with held(run, step(), left, Pulse(run)) as claim:
        pass
    (outcome,) = left
    assert (outcome.word, outcome.exit_code) == (Word.LEFT_BEHIND, 4)
    assert claim.key_pair_id in outcome.explanation


def test_what_has_been_replicated_meanwhile_is_not_claimed(sandbox, load, run, world):
    load(instance("web", 8, history=[sets(1)]))
    sandbox.configure(copy_seconds=1000)
    rsync_region("us-east-1", "eu-west-1", engine="copy")
    east = get_region_conn("us-east-1")
    latest = max(get_relevant_snapshots(east), key=lambda source: source.record.taken_at)
    mine = Step(source=latest, destination=WEST)
    with pytest.raises(BeingReplicated), held(run, mine, [], Pulse(run)):
        pass
    sandbox.complete_all()
    with pytest.raises(AlreadyReplicated), held(run, mine, [], Pulse(run)):
        pass
    with held(run, mine, [], Pulse(run), force=True):
        pass
    assert claims(world) == []
