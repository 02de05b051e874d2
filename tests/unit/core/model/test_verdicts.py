"""The verdict of a verification: written to a tag, and read again."""

from __future__ import annotations

import pytest

from snapback.core.model.digest import Digest
from snapback.core.model.reasons import Reason
from snapback.core.model.tags import VERDICT
from snapback.core.model.verdicts import VerdictKind, Verified, verdict_of, write_verdict
from tests.unit.builders import at, verified


def test_a_verdict_that_is_written_is_read_again() -> None:
    verdict = Verified(
        at=at("2026-11-25T03:00:07"), reason=Reason(VerdictKind.CORRUPT, "ext4: e2fsck: bad")
    )
    assert verdict_of(write_verdict(verdict)) == verdict


def test_its_evidence_fits_into_a_tag_whatever_it_holds() -> None:
    tags = verified("good", evidence='"<b>\n\x00\x1b[31m ü ' + "x" * 999)
    assert len(tags[VERDICT]) == 256
    assert verdict_of(tags)
    assert all(character.isprintable() for character in tags[VERDICT])


@pytest.mark.parametrize("text", ["", "good", "2026-13-25T03:00:00Z good", "2026-11-25 good x"])
def test_anything_else_is_no_verdict(text: str) -> None:
    assert verdict_of({VERDICT: text}) is None


def test_a_digest_is_kept_with_the_verdict() -> None:
    good = Verified(
        at=at("2026-11-25T12:00"),
        reason=Reason(VerdictKind.GOOD, "ext4, 3 entries"),
        digest=Digest("a" * 32, "b" * 32),
    )
    assert verdict_of(write_verdict(good)) == good
    assert f" good digest2={'a' * 32}.{'b' * 32} ext4" in write_verdict(good)[VERDICT]


def test_a_digest_of_another_kind_is_passed_over() -> None:
    old = verdict_of({VERDICT: f"2026-11-25T03:00:00Z good digest={'a' * 32}.{'b' * 32} ext4"})
    assert old
    assert (old.word, old.evidence, old.digest) == ("good", "ext4", None)


def test_what_is_too_long_for_a_tag_keeps_its_cause_at_either_end() -> None:
    cause, end = "partition 1: ext4: e2fsck: Entry 'x' has deleted inode 24.", "run e2fsck by hand"
    corrupt = Verified(
        at=at("2026-11-25T12:00"),
        reason=Reason(VerdictKind.DIFFERS, f"{cause} {'and so on ' * 40}{end}"),
        digest=Digest("a" * 32, "b" * 32),
    )
    tag = write_verdict(corrupt)[VERDICT]
    assert len(tag) <= 256
    assert f" kind=differs {cause} and" in tag
    assert tag.endswith(end)
    assert verdict_of({VERDICT: tag})
