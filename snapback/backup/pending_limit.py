"""Where EC2 has no room yet: what is busy is named, waited for together, and gone on with."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from snapback.core.backup.pending_limit import COUNTED_STATES, full
from snapback.core.model import Place, Volume
from snapback.ec2.snapshots import snapshots_of
from snapback.errors import ApiError, Interrupted, SnapbackError, VolumesBusy
from snapback.run import Run, fanout
from snapback.run.waiting import looks

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 30.0

_TOO_MANY_PENDING = "ConcurrentSnapshotLimitExceeded"

Item = TypeVar("Item")
Value = TypeVar("Value")
Kept = TypeVar("Kept")


@contextmanager
def named(run: Run, place: Place, volumes: Collection[Volume]) -> Iterator[None]:
    """Name the volumes that EC2 means when it refuses one more snapshot of some.

    :raises VolumesBusy: in place of EC2's ``ConcurrentSnapshotLimitExceeded``, which names none.

    Source: DescribeSnapshots.
    """
    try:
        yield
    except ApiError as refusal:
        if refusal.code != _TOO_MANY_PENDING:
            raise
        ids = [volume.volume_id for volume in volumes]
        found = snapshots_of(run.conn(place), place, ids, COUNTED_STATES)
        raise VolumesBusy(volumes, full(volumes, found)) from refusal


@dataclass(frozen=True)
class _Waiting(Generic[Item]):
    """An item that EC2 has no room for yet."""

    item: Item
    error: VolumesBusy


def take_all(
    run: Run,
    place: Place,
    batches: Iterable[Sequence[Item]],
    take: Callable[[Item], Value],
    keep: Callable[[fanout.Result[Item, Value]], Kept],
) -> list[Kept]:
    """Take all items side by side; those for which EC2 has no room, as soon as it has.

    Meanwhile one DescribeSnapshots looks at up to 200 volumes at a time.

    :param batches: asked for the next when most of what it gave already is done.
    :param take: raises :class:`~snapback.errors.VolumesBusy` where there is no room; it is called
        again when there is for one of those volumes.
    :param keep: answers what is kept of a result, in any thread. An item for which there was no
        room for ``minutes_for_snap`` has that error still.
    :returns: what is kept, in the items' order.
    """

    def settle(result: fanout.Result[Item, Value]) -> Kept | _Waiting[Item]:
        if isinstance(result.error, VolumesBusy):
            return _Waiting(result.item, result.error)
        return keep(result)

    def some(batches: Iterable[Sequence[Item]]) -> list[Kept | _Waiting[Item]]:
        workers = run.settings.workers
        return fanout.flow(batches, take, settle, workers=workers, stop=run.stop, ahead=2 * workers)

    found, ended = some(batches), None
    attempts = looks(
        run, run.settings.minutes_for_snap, first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S
    )
    late = next(attempts)
    while not late:
        waiting = {number: one for number, one in enumerate(found) if isinstance(one, _Waiting)}
        if not waiting:
            break
        try:
            late = next(attempts)
            free = _with_room(run, place, {number: one.error for number, one in waiting.items()})
        except SnapbackError as error:
            ended = _not_waited_for(error)
            break
        for number, one in zip(free, some([[waiting[n].item for n in free]]), strict=True):
            found[number] = one
    return [
        keep(fanout.Result(one.item, error=ended or one.error))
        if isinstance(one, _Waiting)
        else one
        for one in found
    ]


def _with_room(run: Run, place: Place, waiting: Mapping[int, VolumesBusy]) -> list[int]:
    """Answer which of those waiting have room now, as far as EC2 shows it."""
    volumes = {volume.volume_id: volume for error in waiting.values() for volume in error.volumes}
    found = snapshots_of(run.conn(place), place, volumes, COUNTED_STATES)
    run.progress.waiting(place, found)
    still = full(volumes.values(), found)
    log.info("%s: %d wait for %d volumes with too many pending", place, len(waiting), len(still))
    return [
        number
        for number, error in waiting.items()
        if not all(volume.volume_id in still for volume in error.volumes)
    ]


def _not_waited_for(error: SnapbackError) -> SnapbackError:
    kind = Interrupted if isinstance(error, Interrupted) else SnapbackError
    return kind(f"not taken, since its volumes were busy; and then: {error}")
