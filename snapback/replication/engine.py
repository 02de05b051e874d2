"""What an engine of replication is: it makes one replica, given one step of the plan."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from snapback.core.model import Place, Snapshot
from snapback.core.model import tags as our_tags
from snapback.core.model.outcome import Outcome
from snapback.core.replication.replication_plan import Step
from snapback.run import Run


class Engine(Protocol):
    """Makes replicas from one place into another.

    :ivar name: as in the setting ``replication.engine``.
    :ivar workers: how many steps at the same time it is good for.
    :ivar facts: the source's id -> what is known of how it was replicated, for the report.
    :ivar outcomes: what else there is to tell, once it is closed: what could not be taken down.
    """

    name: str
    workers: int
    facts: dict[str, dict[str, Any]]
    outcomes: list[Outcome]

    def replicate(self, run: Run, step: Step) -> Snapshot:
        """Answer the replica of a step: completed, or pending with all its data on their way.

        It bears ``record.describe(step.record)`` and :func:`tags_of` from the instant of its
        creation. Called from several threads.

        :raises Collision: there is a replica, or somebody else is making one.
        :raises SnapbackError: there is none, and nothing that could be taken for one.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to replicate.

    :ivar engine: its name.
    :ivar force: make one although there is a replica, or a newer one.
    :ivar synchronously: wait until the replicas are completed.
    :ivar compare: compare source and destination once more before the snapshot is taken.
    :ivar src_inst: the instance to use in the source instead of a temporary one.
    :ivar dst_inst: the same in the destination.
    """

    engine: str
    force: bool = False
    synchronously: bool = False
    compare: bool = False
    src_inst: Any = None
    dst_inst: Any = None


def tags_of(run: Run, step: Step) -> dict[str, str]:
    """Answer the tags that a step's replica gets."""
    return our_tags.of_replica(step.source, run.run_id, run.settings.first_tags)


def kms_key_of(run: Run, destination: Place) -> str:
    """Answer the key that all replicas at a place are encrypted with, or ``""``.

    Where there is none, a replica is encrypted, with the region's default key, if its source is.
    """
    return run.settings.replication.kms_keys.get(destination.region, "")


Opener = Callable[[Run, Place, Place, Options], AbstractContextManager[Engine]]
