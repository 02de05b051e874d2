"""What a summary counts: each thing once, by what became of it."""

from __future__ import annotations

from typing import Any

import pytest

from snapback.core.model import Place
from snapback.core.model.outcome import Outcome
from snapback.core.verify.verify_plan import VerifyPlan
from snapback.report.backups import backup_report
from snapback.report.restores import drill_report, restore_report
from snapback.report.sweeps import sweep_report
from snapback.report.undeletions import undelete_report
from snapback.report.verifications import verification_report
from snapback.report.volume_tags import volume_tags_report
from snapback.restore.common import Restoration
from snapback.undelete import Undeletion
from snapback.verify import Verification
from snapback.words import Word
from tests.unit.builders import REGION, snapshot


def became(word: Word, **facts: Any) -> Outcome:
    return Outcome(subject="x", word=word, place=Place(REGION), facts=facts)


REGION_FAILED = became(Word.FAILED)


@pytest.mark.parametrize(
    ("word", "made", "said"),
    [
        (Word.DONE, "i-1", "1 of 1 restored"),
        (Word.LEFT_BEHIND, "i-1", "1 of 1 restored, 1 left behind"),
        (Word.LEFT_BEHIND, None, "0 of 1 restored, 1 left behind"),
        (Word.ALREADY_RESTORED, "i-1", "0 of 1 restored, 1 already restored"),
        (Word.FAILED, None, "0 of 1 restored, 1 failed"),
        (Word.TIMED_OUT, "ami-1", "0 of 1 restored, 1 timed out"),
        (Word.REFUSED, None, "0 of 1 restored, 1 refused"),
        (Word.EXCLUDED, None, "0 of 1 restored, 1 excluded"),
    ],
)
def test_a_restore_counts_what_it_made_and_what_became_of_the_rest(
    word: Word, made: str | None, said: str
) -> None:
    restoration = Restoration((became(word, of="i-0", made=made), REGION_FAILED))
    assert restore_report(restoration, dry_run=False).summary == [said]


def test_a_restore_tells_what_it_made_without_a_claim_and_what_came_twice() -> None:
    made = became(Word.DONE, of="i-0", made="i-1", unclaimed="not allowed")
    rows = (made, became(Word.DONE, of="i-2", made="i-3"), became(Word.RESTORED_TWICE))
    (said,) = restore_report(Restoration(rows), dry_run=False).summary
    assert said == "2 of 2 restored, 1 without a claim: see whether others have restored the same"


def test_a_restore_that_found_nothing_counts_nothing() -> None:
    assert restore_report(Restoration((REGION_FAILED,)), dry_run=False).summary == [
        "0 of 0 restored"
    ]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (Word.DONE, "1 of 1 drilled: restored, checked, taken down again"),
        (Word.FAILED, "0 of 1 drilled well, 1 failed"),
        (Word.LEFT_BEHIND, "0 of 1 drilled well, 1 left behind"),
        (Word.REFUSED, "0 of 1 drilled well, 1 refused"),
    ],
)
def test_a_drill_says_what_happened_though_nothing_of_it_stays(word: Word, said: str) -> None:
    restoration = Restoration((became(word, of="i-0", made=None, drill={}),), ("a note",))
    assert drill_report(restoration, dry_run=False).summary == [said]
    assert drill_report(restoration, dry_run=True).summary == ["a note"]


def test_a_backup_counts_nothing_as_backed_up_of_which_nothing_was_taken() -> None:
    outcomes = [
        became(Word.DONE, instance="a", snapshots=["1", "2"]),
        became(Word.LESS_CONSISTENT, instance="b", snapshots=["3"]),
        became(Word.EXCLUDED, instance="c", snapshots=[]),
        became(Word.FAILED, instance="d"),
        REGION_FAILED,
    ]
    assert backup_report(outcomes, dry_run=False).summary == [
        "1 of 4 backed up, 1 excluded, 1 less consistent, 1 failed; 3 snapshots taken"
    ]
    planned = [became(Word.WOULD, instance="a"), became(Word.EXCLUDED, instance="c")]
    assert backup_report(planned, dry_run=True).summary == ["1 of 2 to be backed up, 1 excluded"]


def test_an_undeletion_counts_only_what_was_restored_and_is_a_backup() -> None:
    outcomes = (
        became(Word.DONE, snapshot="1"),
        became(Word.BROKEN, snapshot="2"),
        became(Word.NOT_KEPT, snapshot="3"),
        became(Word.NOT_IN_BIN, snapshot="4"),
        REGION_FAILED,
    )
    summary = undelete_report(Undeletion(outcomes), dry_run=False).summary
    assert summary[0] == "1 restored, 0 already restored, 1 broken, 1 not in the bin, 1 not kept"
    assert len(summary) == 2
    summary = undelete_report(Undeletion(outcomes[2:]), dry_run=False).summary
    assert summary == ["0 restored, 0 already restored, 1 not in the bin, 1 not kept"]


def test_a_sweep_and_the_tagging_of_volumes_tell_the_rest_too() -> None:
    swept = [became(Word.DELETED, kind="volume"), became(Word.LEFT_BEHIND, kind="volume")]
    assert sweep_report([*swept, REGION_FAILED], dry_run=False).summary == [
        "1 removed, 1 left behind"
    ]
    tagged = [
        became(Word.OK, volume="1", tags={}),
        became(Word.PARTIAL, volume="2", tags={"a": "b"}),
        became(Word.FAILED, volume="3", tags={"a": "b"}),
    ]
    assert volume_tags_report([*tagged, REGION_FAILED], dry_run=False).summary == [
        "1 of 3 volumes tagged, 1 ok, 1 partial, 1 failed"
    ]


def test_a_verification_counts_snapshots_and_sets_apart() -> None:
    plan = VerifyPlan(place=Place(REGION), chosen=(snapshot(),), total=2, gaps=(None,))  # type: ignore[arg-type]
    outcomes = (became(Word.OK, snapshot="1"), became(Word.FAILED, set="set-1"))
    found = Verification((plan,), outcomes)
    size = plan.size_gib
    assert verification_report(found, dry_run=False).summary == [
        f"us-east-1: 1 of 2 snapshots, {size} GiB: 1 ok; sets from which volumes are missing: 1"
    ]
