"""What became of an item: a word, an explanation, and facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from snapback.core.model import NOWHERE, Place
from snapback.errors import SnapbackError
from snapback.words import Word


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What happened to one item.

    :ivar subject: the item, as people call it: an instance, a snapshot, a region.
    :ivar word: what became of it.
    :ivar explanation: why, in words; empty where the word says it all.
    :ivar place: where.
    :ivar facts: what else is known, for the table and for ``--json``; values are JSON's.
    :ivar logged: whether the log has it already, from when it happened.
    """

    subject: str
    word: Word
    explanation: str = ""
    place: Place = NOWHERE
    facts: dict[str, Any] = field(default_factory=dict)
    logged: bool = False

    @property
    def exit_code(self) -> int:
        """This outcome's part in the exit code."""
        return self.word.exit_code

    @classmethod
    def of_failed(
        cls, place: Place, error: SnapbackError, *, refusal: Word = Word.FAILED
    ) -> Outcome:
        """Return what became of a region, or an account, in which an error ended everything.

        :param refusal: as for :func:`word_for`.
        """
        word = word_for(error, refusal=refusal)
        return cls(subject=str(place), word=word, explanation=str(error), place=place)


def word_for(error: SnapbackError | None, *, refusal: Word = Word.FAILED) -> Word:
    """Return the word for what became of an item that an error ended.

    :param refusal: the word for a refusal. Where one item of several is refused, the others are
        done, and it has failed. Restores tell a refusal apart, by :attr:`Word.REFUSED`.
    """
    if error is None:
        return Word.FAILED
    return refusal if error.word is Word.REFUSED else error.word
