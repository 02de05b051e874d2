"""The report of what was moved from one volume to another."""

from __future__ import annotations

from snapback.core.model.outcome import Outcome
from snapback.replication.mountpoints import Side
from snapback.report.report import Column, Report, fact, in_words
from snapback.ssh.moving import Moved
from snapback.words import Word

COLUMNS = (
    Column("from", fact("source")),
    Column("to", lambda outcome: outcome.subject),
    Column("MB read", fact("mb_read")),
    Column("MB crossed", fact("mb_crossed")),
    Column("seconds", fact("seconds")),
    Column("outcome", in_words),
)


def move_report(source: Side, destination: Side, moved: Moved | None) -> Report:
    """Return the report of two volumes that were made alike; or, where not, would be."""
    outcome = Outcome(
        subject=str(destination),
        word=_word_for(moved),
        explanation="; ".join(filter(None, [moved.how, moved.lost])) if moved else "",
        place=destination.volume.place,
        facts={
            "source": str(source),
            "source_region": source.volume.place.region,
            "mb_read": round(moved.bytes_read / 1e6, 1) if moved else None,
            "mb_crossed": round(moved.bytes_crossed / 1e6, 1) if moved else None,
            "seconds": round(moved.seconds, 1) if moved else None,
        },
    )
    return Report(outcomes=(outcome,), columns=COLUMNS, summary=[], facts={})


def _word_for(moved: Moved | None) -> Word:
    if moved is None:
        return Word.WOULD
    return Word.PARTIAL if moved.lost else Word.DONE
