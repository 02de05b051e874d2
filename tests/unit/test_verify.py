"""Verdicts: written, read, put together; what they mean for status and trimming."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from snapback.core.model import Place, Snapshot
from snapback.core.model.digest import Digest, read_digest
from snapback.core.model.reasons import Reason
from snapback.core.model.tags import VERDICT
from snapback.core.model.verdicts import Found, Verified, verdict_of, write_verdict
from snapback.core.status.health import Limits, Severity
from snapback.core.status.health import judge as judge_health
from snapback.core.trim.retention import Protection
from snapback.core.trim.trim_plan import plan_trim
from snapback.core.verify.examination import Part, compare, in_light_of, judge
from snapback.core.verify.verify_plan import Sample, plan_verification, read_sample
from snapback.errors import UsageError
from snapback.report.screen import Screen
from snapback.ssh import digest_script
from snapback.verify import sample_of
from tests.unit.builders import (
    an_instance,
    at,
    judged,
    kept,
    policy,
    seen,
    snapshot,
    status_of,
    words,
)

NOW = at("2026-11-25T12:00")


def verified(word: str, when: str = "2026-11-25T03:00", evidence: str = "x") -> dict[str, str]:
    return write_verdict(Verified(at=at(when), reason=Reason(Found(word), evidence)))


def shot(taken: str, word: str = "", when: str = "2026-11-25T03:00", **more) -> Snapshot:
    tags = verified(word, when) if word else {}
    return snapshot(taken, name=f"snap-{taken}", tags=tags, **more)


# The verdict.


def test_a_verdict_that_is_written_is_read_again() -> None:
    verdict = Verified(
        at=at("2026-11-25T03:00:07"), reason=Reason(Found.CORRUPT, "ext4: e2fsck: bad")
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


# What is chosen.


@pytest.mark.parametrize(
    ("text", "total", "number"),
    [("5%", 100, 5), ("5%", 101, 6), ("1%", 3, 1), ("100%", 7, 7), ("20", 7, 7), ("2", 7, 2),
     ("0.5%", 1000, 5), ("3", 0, 0)],
)  # fmt: skip
def test_a_sample(text: str, total: int, number: int) -> None:
    assert read_sample(text).of(total) == number


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "101%", "2.5", "5 %", "%"])
def test_no_sample(text: str) -> None:
    with pytest.raises(UsageError, match="--sample"):
        sample_of(text)


def test_what_was_verified_longest_ago_comes_first() -> None:
    everything = [
        shot("2026-11-20T03:00", "good", "2026-11-23T00:00"),
        shot("2026-11-21T03:00", "good", "2026-11-22T00:00"),
        shot("2026-11-22T03:00"),
        shot("2026-11-23T03:00"),
        shot("2026-11-24T03:00", state="pending"),
        shot("2026-11-25T03:00", storage_tier="archive"),
    ]
    plan = plan_verification(Place("us-east-1"), everything, Sample(3), replicas=False)
    assert [s.snapshot_id[5:15] for s in plan.chosen] == ["2026-11-23", "2026-11-22", "2026-11-21"]
    assert plan.total == 4


def test_replicas_only_where_they_are_wanted() -> None:
    replica = [shot("2026-11-20T03:00", region="us-east-1", place=Place("eu-west-1"))]
    here = Place("eu-west-1")
    assert plan_verification(here, replica, Sample(9), replicas=False).total == 0
    assert plan_verification(here, replica, Sample(9), replicas=True).total == 1


# What trimming makes of it.


def test_a_corrupt_one_is_kept_until_a_newer_one_is_known_to_be_good() -> None:
    old = shot("2026-10-01T03:00", "corrupt")
    newer = [shot("2026-11-01T03:00"), shot("2026-11-02T03:00")]
    found = judged([old, *newer], policy(daily=1))
    assert found[old.snapshot_id].keep
    assert "found corrupt" in words(found[old.snapshot_id])[0]
    for word, stays in (("good", False), ("corrupt", True), ("opaque", True)):
        last = shot("2026-11-03T03:00", word)
        assert (old.snapshot_id in kept([old, *newer, last], policy(daily=1))) is stays


def test_the_newest_that_is_not_corrupt_stays_as_well() -> None:
    everything = [
        shot("2026-11-01T03:00"),
        shot("2026-11-02T03:00"),
        shot("2026-11-03T03:00", "corrupt"),
    ]
    found = judged(everything, policy(yearly=1))
    assert found["snap-2026-11-02T03:00"].keep
    assert "newest that isn't corrupt" in words(found["snap-2026-11-02T03:00"])


def test_in_a_period_a_corrupt_one_gives_way() -> None:
    everything = [
        shot("2026-11-01T03:00", "corrupt"),
        shot("2026-11-01T04:00"),
        shot("2026-11-02T03:00", "good"),
    ]
    assert kept(everything, policy(daily=2)) == ["snap-2026-11-01T04:00", "snap-2026-11-02T03:00"]


def test_a_plan_to_trim_tells_the_reason() -> None:
    plan = plan_trim(
        Place("us-east-1"), [shot("2026-10-01T03:00", "corrupt"), shot("2026-11-01T03:00")],
        lambda _: policy(daily=1), NOW, Protection(), 100,
    )  # fmt: skip
    assert plan.deletions == []


# What status and check make of it.


def findings(snapshots: list[Snapshot], **limits) -> list[tuple[Severity, str]]:
    found = status_of(seen([an_instance("web", "a")], snapshots, now="2026-11-25T12:00"))
    (history,) = [one.history for one in found.judged]
    given = Limits(max_age=timedelta(days=999), **limits)
    return [(one.severity, one.text) for one in judge_health(history, given)]


def test_that_nothing_was_verified_matters_only_where_it_is_demanded() -> None:
    some = [shot("2026-11-24T03:00")]
    assert findings(some) == []
    assert findings(some, max_verified_age=timedelta(days=7)) == [
        (Severity.CRITICAL, "no snapshot was ever verified")
    ]


def test_a_verification_ages() -> None:
    some = [shot("2026-11-24T03:00", "good", "2026-11-15T12:00")]
    assert findings(some, max_verified_age=timedelta(days=11)) == []
    ((severity, text),) = findings(some, max_verified_age=timedelta(days=9))
    assert severity is Severity.CRITICAL
    assert text == "last verification is 10 days old, at most 9 days allowed"


def test_a_corrupt_one_is_critical_until_a_newer_one_is_good() -> None:
    bad = shot("2026-11-23T03:00", "corrupt")
    ((severity, text),) = findings([bad, shot("2026-11-24T03:00")])
    assert severity is Severity.CRITICAL
    assert text == "snap-2026-11-23T03:00 was found corrupt: x"
    assert findings([bad, shot("2026-11-24T03:00", "good")]) == []


# Digests.

ONE, OTHER = Digest("a" * 32, "b" * 32), Digest("a" * 32, "c" * 32)


def found(digest: Digest | None, word: str = "good") -> Verified:
    return Verified(at=NOW, reason=Reason(Found(word), "ext4, 3 entries"), digest=digest)


def test_a_digest_is_kept_with_the_verdict() -> None:
    assert verdict_of(write_verdict(found(ONE))) == found(ONE)
    assert f" good digest={'a' * 32}.{'b' * 32} ext4" in write_verdict(found(ONE))[VERDICT]


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
    checked = Verified(at=at("2026-11-26T03:00"), reason=Reason(Found.GOOD, "ext4, 3 entries"))
    assert in_light_of(differs, checked) == replace(differs, at=checked.at)
    read_back = verdict_of(write_verdict(differs))
    assert read_back == differs
    assert in_light_of(read_back, checked) == replace(differs, at=checked.at)
    of_0_1_0 = {VERDICT: write_verdict(differs)[VERDICT].replace(" kind=differs", "")}
    assert verdict_of(of_0_1_0) == differs
    assert in_light_of(differs, replace(checked, digest=OTHER)).word == "good"
    assert in_light_of(found(ONE), checked) == replace(checked, digest=ONE)
    assert in_light_of(found(None, "corrupt"), checked) == checked
    assert in_light_of(None, checked) == checked


def test_only_a_whole_disk_has_a_digest() -> None:
    parts = [Part(number=1, fs_type="ext4", entries=3, digest=ONE), Part(number=14, digest=OTHER)]
    assert judge(parts, NOW).digest
    assert judge([parts[0], Part(number=14)], NOW).digest is None
    assert judge(parts, NOW).digest != judge(parts[::-1], NOW).digest


def test_the_digest_of_a_folder_tells_all_but_times(tmp_path: Path) -> None:
    def told() -> tuple[str, str]:
        return digest_script.of_folder(os.fsencode(tmp_path))

    odd = tmp_path / "$(touch ran)\n'\" \udcff"
    odd.mkdir()
    file = odd / "-n"
    file.write_bytes(b"x" * 3000)
    (odd / "link").symlink_to("nowhere")
    first = told()
    os.utime(file, (1, 1))
    assert told() == first
    file.chmod(0o600)
    assert (told()[0] != first[0], told()[1]) == (True, first[1])
    second = told()
    file.write_bytes(b"x" * 2999 + b"y")
    assert (told()[0], told()[1] != first[1]) == (second[0], True)
    (odd / "link").unlink()
    (odd / "link").symlink_to("elsewhere")
    assert told()[0] != second[0]


def test_what_cannot_be_read_is_told_apart_from_what_is_not_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert (
        digest_script.main(b"/proc/self/mem") == digest_script.UNREADABLE
    )  # an input/output error
    assert capsys.readouterr().err == "Input/output error: b'/proc/self/mem'\n"
    assert digest_script.main(os.fsencode(tmp_path / "none")) == 1
    (tmp_path / "a").write_bytes(b"x" * 9)
    assert digest_script.main(os.fsencode(tmp_path)) == 0
    assert read_digest(capsys.readouterr().out.strip().replace(" ", "."))


@pytest.mark.parametrize(("quiet", "as_json", "said"), [(True, False, "ssh x\n"), (True, True, "")])
def test_what_was_asked_for_is_said_whatever_quiet_says(
    capsys: pytest.CaptureFixture[str], quiet: bool, as_json: bool, said: str
) -> None:
    Screen(quiet=quiet, as_json=as_json).result("ssh x")
    assert capsys.readouterr().out == said
