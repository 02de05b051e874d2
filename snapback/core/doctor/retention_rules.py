"""What the retention rules of the Recycle Bin keep: our snapshots, and temporary volumes. Pure.

Source: https://docs.aws.amazon.com/ebs/latest/userguide/recycle-bin-factors.html
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from snapback.core.doctor.checkup import Level, Line
from snapback.core.model import Place, Tags
from snapback.core.model.tags import EXPIRES


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A retention rule of the Recycle Bin. Source: GetRule.

    :ivar tags: key -> value, ``""`` for any; none: everything in the region.
    :ivar exclude_tags: of a rule for the region: what it leaves out.
    :ivar is_locked: whether it has to be unlocked before it can be changed.
    """

    days: int
    tags: Tags
    exclude_tags: Tags
    is_available: bool = True
    is_locked: bool = False
    rule_id: str = ""

    def keeps(self, tags: Tags) -> bool:
        """Return whether it keeps a snapshot, or a volume, with some tags when that is deleted."""
        if not self.is_available:
            return False
        if self.tags:
            return bool(_common(self.tags, tags))
        return not _common(self.exclude_tags, tags)


def _common(wanted: Tags, tags: Tags) -> list[str]:
    """Return the keys of the wanted tags that are there with the wanted value."""
    return [key for key, value in wanted.items() if key in tags and value in ("", tags[key])]


def judge_bin(place: Place, rules: Sequence[Rule], snapshots: Collection[Tags]) -> Line:
    """Judge whether the Recycle Bin keeps each of our snapshots for a while after its deletion.

    Of several rules that keep a snapshot, EC2 goes by the longest.

    :param snapshots: the tags of each.
    """
    days = [max((r.days for r in rules if r.keeps(tags)), default=0) for tags in snapshots]
    shortest, unkept = min(days, default=0), days.count(0)
    level, text, advice = Level.OK, f"what is deleted can be had back for {shortest} days", ""
    if not shortest:
        level = Level.WARNING
        few = f"{unkept} of our {len(days)} snapshots" if unkept < len(days) else "our snapshots"
        text = f"no rule keeps {few}" if rules else "no rule"
        text += ": what is deleted is gone at once"
        advice = "make a retention rule for EBS snapshots, or live with it"
    return Line(
        check="recycle bin",
        subject=str(place),
        level=level,
        text=text,
        advice=advice,
        place=place,
        facts={"days": shortest},
    )


def judge_temporary_volumes(
    place: Place, rules: Sequence[Rule], volumes: Collection[Tags]
) -> list[Line]:
    """Return a warning for each rule that keeps, and so bills, temporary volumes that we delete.

    :param rules: those for EBS volumes.
    :param volumes: the tags that temporary volumes have.
    """
    return [
        Line(
            check="temporary volumes",
            subject=str(place),
            level=Level.WARNING,
            text=f"the retention rule {rule.rule_id} for EBS volumes keeps each for {rule.days} "
            "days after its deletion, and EC2 bills it until then",
            advice=_how_to_spare(rule, volumes),
            place=place,
            facts={"rule": rule.rule_id, "days": rule.days},
        )
        for rule in rules
        if any(rule.keeps(tags) for tags in volumes)
    ]


def _how_to_spare(rule: Rule, volumes: Collection[Tags]) -> str:
    """Return how to change a rule so that it keeps no temporary volumes."""
    if rule.tags:
        keys = dict.fromkeys(key for tags in volumes for key in _common(rule.tags, tags))
        return f"take {', '.join(keys)} out of the tags of the rule: temporary volumes have that"
    unlock = "unlock the rule, and " if rule.is_locked else ""
    return f"{unlock}add the exclusion tag {EXPIRES} to the rule, without a value"
