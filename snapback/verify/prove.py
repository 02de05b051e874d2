"""Proving one snapshot on a helper: examine a volume made of it, and write the verdict on it."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field

from snapback.core.disks.superblocks import Btrfs
from snapback.core.model import SetKey, Snapshot, record_of, set_key
from snapback.core.model.verdicts import Verified, verdict_of, write_verdict
from snapback.core.verify.examination import Part, compare, in_light_of, judge, known_earlier
from snapback.core.verify.verify_plan import companions
from snapback.ec2.tags import create_tags
from snapback.ec2.temporary import VolumeWish
from snapback.errors import CommandFailed, SnapbackError
from snapback.run import Run
from snapback.ssh.checking import Untold
from snapback.ssh.examining import Bench, Command, Examination, TakesOthers, members_on
from snapback.verify.copies import Elsewhere
from snapback.workers import Helper
from snapback.workers.watch import Watch, watched

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Prover:
    """A helper, and what is known of the snapshots that are proved on it.

    :ivar around: all that is known of the same volumes and sets.
    :ivar elsewhere: copies to compare digests with; ``None``: that isn't asked for.
    """

    run: Run
    helper: Helper
    around: Sequence[Snapshot]
    elsewhere: Elsewhere | None = None
    _bench: Bench = field(default_factory=Bench)
    _known: dict[SetKey, dict[str, Part]] = field(default_factory=lambda: defaultdict(dict))

    def prove(self, snapshot: Snapshot) -> Verified | None:
        """Examine a volume made of a snapshot, and write the verdict on the snapshot.

        :returns: ``None``: a file system is on other volumes as well: :meth:`prove_alone`.
        :raises SnapbackError: there is no verdict, or it could not be written.
        """
        with (
            self.helper.volume(_wish(snapshot)) as (_, block_device),
            self._watched(block_device) as watch,
        ):
            try:
                parts = self._examination(snapshot, watch).examine(block_device)
            except TakesOthers:
                return None
        return self._write(snapshot, parts)

    def prove_alone(self, snapshot: Snapshot) -> Verified:
        """Do as :meth:`prove`, with the volumes of the rest of its set.

        Nobody else may use the helper meanwhile. The checker of a btrfs looks for its devices on
        all disks, and those of two instants have the same ids.

        :raises SnapbackError: there is no verdict, or it could not be written.
        """
        with ExitStack() as stack:
            _, block_device = stack.enter_context(self.helper.volume(_wish(snapshot)))
            others = _Others(self.helper, stack, companions(snapshot, self.around))
            watch = stack.enter_context(self._watched(block_device))
            parts = self._examination(snapshot, watch, others).examine(block_device)
        return self._write(snapshot, parts)

    def _watched(self, block_device: str) -> AbstractContextManager[Watch]:
        """Watch the examination of a disk, which ends if it stalls."""
        ends = [(self.helper.host, block_device)]
        return watched(self.run, "a volume was examined", ends, [self.helper.pulse])

    def _examination(
        self, snapshot: Snapshot, watch: Watch, others: _Others | None = None
    ) -> Examination:
        return Examination(
            host=watch.hosts[0],
            own_time=watch.paused,
            command=command_for(self.run, snapshot),
            digest=self.elsewhere is not None,
            bench=self._bench,
            others=others.nodes if others else None,
            known=self._known[set_key(snapshot)],
        )

    def _write(self, snapshot: Snapshot, parts: Sequence[Part]) -> Verified:
        now = self.run.now(snapshot.place)
        verdict = judge(parts, now, known_earlier(snapshot, self.around))
        if self.elsewhere:
            verdict = compare(verdict, self.elsewhere.found_of(snapshot))
        verdict = in_light_of(verdict_of(snapshot.tags), verdict)
        log.info("%s in %s: %s: %s", snapshot.snapshot_id, snapshot.place, verdict.word,
                 verdict.evidence)  # fmt: skip
        try:
            create_tags(
                self.run.conn(snapshot.place), [snapshot.snapshot_id], write_verdict(verdict)
            )
        except SnapbackError as error:
            raise SnapbackError(
                f"{verdict.word} ({verdict.evidence}), but that could not be written on it: {error}"
            ) from error
        return verdict


@dataclass(frozen=True)
class _Others:
    """The volumes of the rest of a set, lent to a helper as they are needed.

    :ivar stack: they are given back at its end.
    :ivar rest: those that weren't needed yet.
    """

    helper: Helper
    stack: ExitStack
    rest: list[Snapshot]
    found: dict[str, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))

    def nodes(self, member: Btrfs, own: Mapping[int, str]) -> list[str]:
        """Return the nodes of a btrfs besides the one of a device of it.

        :param own: the nodes that are on the same disk, by the number of the device.
        :raises Untold: the set lacks some.
        """
        self.found[member.fsid].update(own)
        while len(self.found[member.fsid]) < member.devices and self.rest:
            self._look_on(self.rest.pop(0))
        found = self.found[member.fsid]
        if len(found) < member.devices:
            there = f"{len(found)} of its {member.devices} devices"
            raise Untold(f"only {there} are in its set: the rest is needed to look into it")
        return [node for number, node in found.items() if number != member.device]

    def _look_on(self, snapshot: Snapshot) -> None:
        """Take the devices of btrfs from a volume of the set; it stays where it has some."""
        with ExitStack() as lent:
            _, block_device = lent.enter_context(self.helper.volume(_wish(snapshot)))
            try:
                members = members_on(self.helper.host, block_device)
            except CommandFailed as error:
                log.info("%s has no part in it: %s", snapshot.snapshot_id, error)
                return
            for fsid, nodes in members.items():
                self.found[fsid] = {**nodes, **self.found[fsid]}
            if members:
                self.stack.enter_context(lent.pop_all())


def _wish(snapshot: Snapshot) -> VolumeWish:
    return VolumeWish(size_gib=snapshot.size_gib, snapshot_id=snapshot.snapshot_id)


def command_for(run: Run, snapshot: Snapshot) -> Command | None:
    """Return the command that the settings give for a snapshot; ``None``: there is none."""
    record = record_of(snapshot)
    line = run.settings.for_host(record.region, snapshot.tags).verify_command
    if not line:
        return None
    told = {
        "SNAPBACK_SNAPSHOT": snapshot.snapshot_id,
        "SNAPBACK_VOLUME": record.volume,
        "SNAPBACK_INSTANCE": record.instance,
        "SNAPBACK_DEVICE": record.device,
        "SNAPBACK_NAME": snapshot.tags.get("Name", ""),
    }
    return Command(line=line, environment=told, timeout_s=60 * run.settings.verify.verify_minutes)
