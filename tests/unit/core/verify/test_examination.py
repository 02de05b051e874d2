"""What an examination found, put together to a verdict, and compared with what copies hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snapback.core.model.digest import Digest
from snapback.core.model.reasons import Reason
from snapback.core.model.tags import VERDICT
from snapback.core.model.verdicts import VerdictKind, Verified, verdict_of, write_verdict
from snapback.core.verify.examination import Part, compare, in_light_of, judge
from tests.unit.builders import at

NOW = at("2026-11-25T12:00")


@pytest.mark.parametrize(
    ("parts", "word", "says"),
    [
        ([Part(fs_type="ext4", entries=12)], "good", "ext4, 12 entries"),
        ([Part(fs_type="ext4", problem="e2fsck: bad")], "corrupt", "ext4: e2fsck: bad"),
        ([Part(is_blank=True)], "corrupt", "it is empty"),
        ([Part(fs_type="crypto_LUKS")], "opaque", "crypto_LUKS, not checked"),
        ([Part()], "opaque", "nothing known, not checked"),
        (
            [Part(number=1, fs_type="ext4", entries=3), Part(number=14, is_blank=True)],
            "good",
            "partition 1: ext4, 3 entries",
        ),
        (
            [Part(number=1, fs_type="ext4", entries=3), Part(number=2, fs_type="xfs", problem="x")],
            "corrupt",
            "partition 2: xfs: x",
        ),
        ([Part(number=1, fs_type="LVM2_member"), Part(number=2, is_blank=True)], "opaque", "LVM2"),
    ],
)
def test_the_verdict_on_what_was_found(parts: list[Part], word: str, says: str) -> None:
    verdict = judge(parts, NOW)
    assert (verdict.word, verdict.at) == (word, NOW)
    assert says in verdict.evidence


# Digests.

ONE, OTHER = Digest("a" * 32, "b" * 32), Digest("a" * 32, "c" * 32)


def found(digest: Digest | None, word: str = "good") -> Verified:
    return Verified(at=NOW, reason=Reason(VerdictKind(word), "ext4, 3 entries"), digest=digest)


def test_what_differs_from_a_copy_is_corrupt() -> None:
    verdict = compare(found(ONE), [("snap-1 in eu-west-1", found(OTHER)), ("x", found(None))])
    assert verdict.is_corrupt
    assert verdict.evidence.startswith("it differs from snap-1 in eu-west-1: the content of files;")
    equal = compare(found(ONE, "opaque"), [("snap-1 in eu-west-1", found(ONE, "corrupt"))])
    assert (equal.word, equal.evidence[-28:]) == ("opaque", "equal to snap-1 in eu-west-1")
    assert "no other digest" in compare(found(ONE), [("x", found(None))]).evidence
    assert compare(found(None), [("x", found(ONE))]) == found(None)


def test_what_differed_is_corrupt_until_it_is_read_again() -> None:
    differs = compare(found(OTHER), [("snap-1 in eu-west-1", found(ONE))])
    checked = Verified(
        at=at("2026-11-26T03:00"), reason=Reason(VerdictKind.GOOD, "ext4, 3 entries")
    )
    assert in_light_of(differs, checked) == replace(differs, at=checked.at)
    read_back = verdict_of(write_verdict(differs))
    assert read_back == differs
    assert in_light_of(read_back, checked) == replace(differs, at=checked.at)
    of_0_1_0 = {VERDICT: write_verdict(differs)[VERDICT].replace(" kind=differs", "")}
    assert verdict_of(of_0_1_0) == differs
    assert in_light_of(differs, replace(checked, digest=OTHER)).word == "good"
    # By a digest of another kind: what is read now has not been compared with what differed.
    of_old = {VERDICT: write_verdict(differs)[VERDICT].replace("digest2=", "digest=")}
    again = in_light_of(verdict_of(of_old), replace(checked, digest=OTHER))
    assert again == replace(differs, at=checked.at, digest=OTHER)
    assert in_light_of(again, replace(checked, digest=OTHER)).word == "good"
    assert in_light_of(found(ONE), checked) == replace(checked, digest=ONE)
    assert in_light_of(found(None, "corrupt"), checked) == checked
    assert in_light_of(None, checked) == checked


def test_only_a_whole_disk_has_a_digest() -> None:
    parts = [Part(number=1, fs_type="ext4", entries=3, digest=ONE), Part(number=14, digest=OTHER)]
    assert judge(parts, NOW).digest
    assert judge([parts[0], Part(number=14)], NOW).digest is None
    assert judge(parts, NOW).digest != judge(parts[::-1], NOW).digest
