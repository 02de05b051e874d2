"""What all restores have in common: the lender of what isn't whole yet, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from snapback.core.model import Place
from snapback.core.model.outcome import Outcome
from snapback.core.model.outcome import word_for as usual_word_for
from snapback.core.model.reasons import Reason
from snapback.core.restore.reasons import RestoreTopic
from snapback.core.restore.restore_plan import Maps
from snapback.ec2.temporary import Lender
from snapback.errors import SnapbackError
from snapback.run import Run
from snapback.words import Word
from snapback.workers.sweep import lender_at

SHORTEST_LEASE = timedelta(minutes=30)


@dataclass(frozen=True)
class Restoration:
    """A restore: what became of each thing; in a dry run, what would.

    :ivar notes: what was decided, in words, for a person.
    """

    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...] = ()


def lender(run: Run, place: Place) -> Lender:
    """Answer who lends what is being made, until it is whole."""
    return lender_at(run, place, SHORTEST_LEASE)


def marked(marks: Mapping[str, str], tags: Mapping[str, str]) -> dict[str, str]:
    """Answer the tags of a thing in the making: those that it will keep, and our marks."""
    return {**{key: value for key, value in marks.items() if key != "Name"}, **tags}


def maps_into(
    run: Run,
    place: Place,
    subnets: Mapping[str, str] | None = None,
    security_groups: Mapping[str, str] | None = None,
) -> Maps:
    """Answer what stands at a place for the things of another: as given, then as configured."""
    into = run.settings.restore.into.get(place.region)
    return Maps(
        subnets={**(into.subnets if into else {}), **(subnets or {})},
        security_groups={**(into.security_groups if into else {}), **(security_groups or {})},
        key_names=into.key_names if into else {},
    )


def word_for(error: SnapbackError) -> Word:
    """Return the word for a restore that an error ended; a refusal is told apart from a failure."""
    return usual_word_for(error, refusal=Word.REFUSED)


def outcome(
    subject: str, word: Word, explanation: str, place: Place, facts: Mapping[str, Any]
) -> Outcome:
    """Answer what became of one thing."""
    return Outcome(
        subject=subject,
        word=word,
        explanation=explanation,
        place=place,
        facts=dict(facts),
    )


def in_words(
    reasons: Sequence[Reason[RestoreTopic]], problems: Sequence[Reason[RestoreTopic]]
) -> str:
    """Return in words why it is done so, or why it can't be done."""
    return "; ".join(map(str, problems or reasons))
