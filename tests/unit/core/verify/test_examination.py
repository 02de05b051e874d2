"""What an examination found, put together to a verdict, and compared with what copies hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from snapback.core.model import Snapshot
from snapback.core.model.digest import Digest
from snapback.core.model.reasons import Reason
from snapback.core.model.tags import VERDICT
from snapback.core.model.verdicts import VerdictKind, Verified, verdict_of, write_verdict
from snapback.core.verify.examination import (
    Part,
    compare,
    in_light_of,
    judge,
    known_earlier,
    known_parts,
)
from tests.unit.builders import at, snapshot, verified

NOW = at("2026-11-25T12:00")


@pytest.mark.parametrize(
    ("parts", "word", "says"),
    [
        ([Part(fs_type="ext4", entries=12)], "good", "ext4, 12 entries"),
        ([Part(fs_type="ext4", problem="e2fsck: bad")], "corrupt", "ext4: e2fsck: bad"),
        ([Part(is_blank=True)], "corrupt", "it is empty"),
        ([Part(fs_type="crypto_LUKS")], "opaque", "crypto_LUKS, not checked"),
        ([Part()], "unknown", "nothing known, not checked"),
        ([Part(is_proved=True)], "good", "nothing known, proved by verify_command"),
        ([Part(untold="verify_command ended with 3: x")], "unknown", "ended with 3: x"),
        ([Part(problem="its superblock is gone")], "corrupt", "nothing known: its superblock"),
        ([Part(fs_type="xfs", untold="its log is elsewhere")], "unknown", "xfs: its log is"),
        (
            [Part(number=1, fs_type="ext4", entries=3), Part(number=2, untold="it said no")],
            "good",
            "partition 1: ext4, 3 entries",
        ),
        (
            [Part(fs_type="gpt", untold="a copy"), Part(number=1, fs_type="ext4", entries=3)],
            "unknown",
            "gpt: a copy; partition 1: ext4, 3 entries",
        ),
        ([Part(number=1), Part(number=2, is_blank=True)], "unknown", "partition 1: nothing known"),
        ([Part(number=1, fs_type="crypto_LUKS"), Part(number=2)], "opaque", "crypto_LUKS"),
        ([], "corrupt", "it is empty"),
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


# What was known of the volume earlier.


@pytest.mark.parametrize(
    ("evidence", "parts"),
    [
        ("ext4, 302 entries", {0: "ext4"}),
        ("partition 1: ext4, 9 entries; partition 2: xfs, 7 entries", {1: "ext4", 2: "xfs"}),
        ("partition 2: xfs, 7 entries; equal to snap-1 in eu-west-1", {2: "xfs"}),
        ("crypto_LUKS, not checked; no other digest to compare with yet", {0: "crypto_LUKS"}),
        ("partition 1: ext4, 9 entries; partition 2: xfs, 7 ent", {1: "ext4"}),
        ("partition 15: vfat, not checked", {15: "vfat"}),
        ("nothing known, not checked", {}),
        ("nothing known, proved by verify_command", {}),
        ("partition 99999: ext4, 9 entries", {}),
        ("ext5, 9 entries", {}),
        ("", {}),
    ],
)
def test_the_evidence_of_a_verdict_says_what_was_there(
    evidence: str, parts: dict[int, str]
) -> None:
    for kind in VerdictKind:
        of_kind = Verified(at=NOW, reason=Reason(kind, evidence))
        assert known_parts(of_kind) == (parts if kind.word in ("good", "opaque") else {})


GOOD_1 = Part(number=1, fs_type="ext4", entries=3)


@pytest.mark.parametrize(
    ("parts", "earlier", "word"),
    [
        ([Part()], {0: "ext4"}, "corrupt"),
        ([Part(is_proved=True)], {0: "ext4"}, "corrupt"),
        ([Part()], {1: "ext4", 2: "xfs"}, "corrupt"),
        ([Part(number=1), Part(number=2, is_blank=True)], {0: "ext4"}, "corrupt"),
        ([GOOD_1, Part(number=2)], {1: "ext4", 2: "xfs"}, "corrupt"),
        ([GOOD_1, Part(number=2, is_blank=True)], {2: "xfs"}, "corrupt"),
        ([GOOD_1, Part(number=14)], {1: "ext4"}, "good"),
        ([GOOD_1], {0: "ext4"}, "good"),
        ([Part(fs_type="crypto_LUKS")], {0: "ext4"}, "opaque"),
        ([Part(fs_type="xfs", entries=1)], {0: "ext4"}, "good"),
        ([Part(fs_type="btrfs", untold="a device is missing")], {0: "btrfs"}, "unknown"),
        ([Part(fs_type="gpt", untold="a copy"), Part(number=1)], {1: "ext4"}, "corrupt"),
    ],
)
def test_what_was_known_and_is_no_longer_is_corrupt(
    parts: list[Part], earlier: dict[int, str], word: str
) -> None:
    assert judge(parts, NOW, earlier).word == word


def test_the_newest_data_of_the_same_volume_up_to_its_own_decide() -> None:
    def one(day: int, evidence: str, word: str = "good", **more: Any) -> Snapshot:
        return snapshot(f"2026-11-{day:02}T03:00", tags=verified(word, evidence=evidence), **more)

    this = snapshot("2026-11-05T03:00")
    around = [
        one(1, "ext4, 3 entries"),
        one(2, "xfs, 3 entries"),
        one(3, "btrfs, 3 entries", "corrupt"),
        one(4, "btrfs, 3 entries", volume="b"),
        this,
        one(6, "btrfs, 3 entries"),
    ]
    assert known_earlier(this, around) == {0: "xfs"}
    assert known_earlier(one(5, "ext4, 1 entries"), around) == {0: "xfs"}
    assert known_earlier(around[1], around) == {0: "xfs"}
    assert known_earlier(this, []) == {}


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


def test_what_was_corrupt_is_so_until_there_is_another_verdict() -> None:
    unknown = Verified(at=at("2026-11-26T03:00"), reason=Reason(VerdictKind.UNKNOWN, "its log"))
    assert verdict_of(write_verdict(unknown)) == unknown
    former = found(None, "corrupt")
    assert in_light_of(former, unknown) == replace(former, at=unknown.at)
    # 0.1.0 called corrupt what it could not mount.
    text = "xfs: its journal can't be replayed: mount: wrong fs type"
    mistaken = replace(former, reason=Reason(VerdictKind.CORRUPT, text))
    assert in_light_of(mistaken, unknown) == unknown
    differs = compare(found(OTHER), [("snap-1 in eu-west-1", found(ONE))])
    assert in_light_of(differs, unknown) == replace(differs, at=unknown.at)
    assert in_light_of(differs, replace(unknown, digest=OTHER)).word == "unknown"
    assert in_light_of(found(ONE), unknown) == replace(unknown, digest=ONE)


def test_only_a_whole_disk_has_a_digest() -> None:
    parts = [Part(number=1, fs_type="ext4", entries=3, digest=ONE), Part(number=14, digest=OTHER)]
    assert judge(parts, NOW).digest
    assert judge([parts[0], Part(number=14)], NOW).digest is None
    assert judge(parts, NOW).digest != judge(parts[::-1], NOW).digest
