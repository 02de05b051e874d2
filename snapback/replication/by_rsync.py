"""The engine ``rsync``: two helpers move the data by SSH, and only what changed.

The source's snapshot becomes a volume on the one, the newest replica of the same volume one on the
other (or there is a blank one). When the data has arrived, and the volume is unmounted, flushed and
detached, its snapshot is taken: with the record, so that it counts as a replica from then on, and
not earlier.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from snapback.core.disks.devices import DATA_DEVICES
from snapback.core.model import Instance, Place, Snapshot, Volume, record
from snapback.core.model.outcome import Outcome
from snapback.core.replication.progress import Progress
from snapback.core.replication.replication_plan import Step
from snapback.ec2 import instances
from snapback.ec2.convert import whereabouts
from snapback.ec2.snapshots import snapshot_surely
from snapback.ec2.temporary import VolumeWish
from snapback.errors import HostError, Interrupted, SnapbackError, Stalled, UsageError
from snapback.replication.claims import held, refuse_if_there
from snapback.replication.engine import Options, kms_key_of, tags_of
from snapback.replication.pair import Pair, Pairs, open_pair
from snapback.run import Run
from snapback.ssh.host import Host
from snapback.ssh.moving import End, Terms, move_volume
from snapback.ssh.rsync import Tell
from snapback.workers.sweep import left_behind
from snapback.workers.watch import Pulse, watched

log = logging.getLogger(__name__)

MOST_ON_OWN = 4  # volumes on an instance whose sshd allows as many sessions as by default


@contextmanager
def open_rsync_engine(
    run: Run, source: Place, destination: Place, options: Options
) -> Iterator[RsyncEngine]:
    """Answer the engine; at the end all that it needed is taken down.

    The helpers are launched when the first step is ready.

    :raises UsageError: ``src_inst`` or ``dst_inst`` can't be used; nothing was done.
    """
    src_inst = _own(run, source, options.src_inst, "src_inst")
    dst_inst = _own(run, destination, options.dst_inst, "dst_inst")
    pairs = Pairs(lambda: open_pair(run, source, destination, src_inst, dst_inst))
    most = MOST_ON_OWN if src_inst or dst_inst else len(DATA_DEVICES)
    workers = min(run.settings.replication.replication_workers, most)
    engine = RsyncEngine(pairs, options, workers)
    try:
        yield engine
    finally:
        engine.outcomes += [left_behind(thing, why) for thing, why in pairs.close()]


def _own(run: Run, place: Place, said: Any, name: str) -> Instance | None:
    """Answer the operator's own instance that is to be used, if one is named.

    :raises UsageError: there is none such there, or it isn't running.
    """
    if not said:
        return None
    if isinstance(said, str):
        instance_id = instances.check_id(said)
    else:
        there, instance_id = whereabouts(said, "instance", run.place_of)
        if there != place:
            raise UsageError(f"{name}: {instance_id} is in {there}, not in {place}")
    found = instances.instance_by_id(run.conn(place), place, instance_id)
    if found.state != "running":
        raise UsageError(f"{name}: {instance_id} is {found.state}: start it, or leave it out")
    return found


class RsyncEngine:
    """See :class:`~snapback.replication.engine.Engine`."""

    name = "rsync"

    def __init__(self, pairs: Pairs, options: Options, workers: int) -> None:
        self.workers = workers
        self.facts: dict[str, dict[str, Any]] = {}
        self.outcomes: list[Outcome] = []
        self._pairs = pairs
        self._options = options

    def replicate(self, run: Run, step: Step) -> Snapshot:
        """Move the data of a step and answer its replica, whose snapshot has begun."""
        pulse = Pulse(run)
        with held(run, step, self.outcomes, pulse, self._options.force):
            pair = self._pairs.get()
            try:
                return self._replicate(run, pair, step, pulse)
            except Stalled:
                self._pairs.give_up(pair)
                raise
            except HostError:
                self._pairs.look_after(pair)
                raise

    def _replicate(self, run: Run, pair: Pair, step: Step, pulse: Pulse) -> Snapshot:
        into = pair.destination
        with (
            pair.source.volume(source_wish(step)) as (_, source_disk),
            into.volume(destination_wish(run, step)) as (volume, destination_disk),
        ):
            _refuse_less_encrypted(step, volume)
            ends = [(pair.source.host, source_disk), (into.host, destination_disk)]
            pulses = [pulse, pair.source.pulse, into.pulse]
            with moving(run, step.source.snapshot_id, ends, pulses) as (tell, src, dst):
                moved = move_volume(
                    End(src, source_disk, pair.source.is_temporary),
                    End(dst, destination_disk, into.is_temporary),
                    replace(pair.road, source=src, destination=dst),
                    terms_of(run, self._options),
                    tell,
                )
            log.info("%s: %s", step.source.snapshot_id, moved)
            self.facts[step.source.snapshot_id] = {
                "how": moved.how,
                "bytes_read": moved.bytes_read,
                "bytes_crossed": moved.bytes_crossed,
                "seconds": round(moved.seconds, 1),
            }
            into.lender.detach(volume)
            refuse_if_there(run, step, self._options.force)
            if run.stop.is_set():
                raise Interrupted("stopped before the snapshot")
            return snapshot_surely(
                run.conn(step.destination),
                step.destination,
                volume.volume_id,
                record.describe(step.record),
                tags_of(run, step),
                run.patience,
            )


def terms_of(run: Run, options: Options) -> Terms:
    """Answer on what terms volumes are moved."""
    settings = run.settings.replication
    return Terms(compare=options.compare or settings.compare, exclude=tuple(settings.exclude))


@contextmanager
def moving(
    run: Run, what: str, ends: Sequence[tuple[Host, str]], pulses: Sequence[Pulse] = ()
) -> Iterator[tuple[Tell, Host, Host]]:
    """Watch a transfer, and tell the person how far it is, as long as it lasts.

    :param ends: the source and the destination: each host, and its block device.
    :param pulses: of what is renewed while it moves.
    :returns: what tells it, and the two hosts; on these a command is ended when nothing moves any
        more, or the run is asked to stop.
    """
    with watched(run, "the data were moved", ends, pulses) as watch:
        done = 0

        def tell(state: Progress) -> None:
            nonlocal done
            if state.bytes_done != done:
                watch.beat()
            done = state.bytes_done
            run.progress.moving(what, state)

        src, dst = watch.hosts
        try:
            yield tell, src, dst
        finally:
            run.progress.moved(what)


def source_wish(step: Step) -> VolumeWish:
    """Answer the volume that a step is read from."""
    return VolumeWish(size_gib=step.source.size_gib, snapshot_id=step.source.snapshot_id)


def destination_wish(run: Run, step: Step) -> VolumeWish:
    """Answer the volume that a step is written to: of the newest replica, where that is of use.

    It is as large as the source, and never less encrypted. One made from a larger replica (of a
    volume that grew, where an older snapshot is asked for) would be larger than the source.
    """
    key = kms_key_of(run, step.destination)
    base = step.base
    usable = base and base.size_gib <= step.source.size_gib
    return VolumeWish(
        size_gib=step.source.size_gib,
        snapshot_id=base.snapshot_id if base and usable else "",
        encrypted=step.source.encrypted or bool(key),
        kms_key_id=key,
    )


def _refuse_less_encrypted(step: Step, volume: Volume) -> None:
    """Refuse to write an encrypted source's data to a volume that isn't.

    :raises SnapbackError: so it would be.
    """
    if step.source.encrypted and not volume.encrypted:
        raise SnapbackError(
            f"{step.source.snapshot_id} is encrypted, and {volume.volume_id}, which was to be, "
            "isn't: nothing was written to it"
        )
