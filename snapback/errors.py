"""Everything that snapback raises, and the exit code that each stands for.

::

    SnapbackError                  1  something failed
    ├── Refused                    2  nothing was done
    │   ├── UsageError             2  an argument, an id, a region: wrong as given
    │   ├── ConfigError            2  the configuration is broken
    │   ├── CredentialsError       2  none, expired, or not accepted
    │   └── BrakeError             2  trimming would delete suspiciously much
    ├── ApiError                   1  EC2 refused a call, or gave no usable answer
    │   ├── NetworkError           1  the call never reached EC2
    │   └── LostAnswer             1  the call may have taken effect: look before repeating it
    ├── SnapshotFailed             1  a snapshot ended in ``error``, every time
    ├── VolumesBusy                1  EC2 has no room for one more snapshot of a volume
    ├── SnapshotTimeout            1  a snapshot is still pending after ``minutes_for_snap``
    ├── HostError                  1  an instance's operating system, as reached by SSH
    │   ├── HostUnreachable        1  no connection, no login, or it broke
    │   ├── HostKeyError           1  its host key is unknown, or another than it was
    │   ├── HostTimeout            1  no answer within the time given
    │   ├── CommandFailed          1  a command ended badly there
    │   ├── FreezeRefused          1  its file systems can't be frozen; none is
    │   └── NotMoved               1  data did not arrive whole and equal
    ├── LogFailed                  1  the deletion log can't be written
    │   ├── NotWrittenDown         1  a snapshot was deleted, and the log doesn't say so
    │   └── NotBegun               1  a snapshot wasn't deleted, since the log failed before
    ├── InstanceGone               0  an instance was terminated since it was listed
    ├── LeftFrozen                 4  a file system may be left frozen
    ├── Collision                  0  somebody has done it, or is at it
    │   ├── AlreadyReplicated      0  there is a replica, or a newer one
    │   ├── BeingReplicated        0  a replica is on its way
    │   ├── AlreadyRestored        0  an instance was restored of it meanwhile
    │   └── BeingRestored          0  another run is restoring it
    ├── LeftBehind                 4  something temporary could not be taken down
    ├── Interrupted                1  stopped by Ctrl-C or SIGTERM
    └── ItemsFailed                1, 3 or 4: the worst of many outcomes

An error carries what it knows as attributes; ``str(error)`` is the one line for the person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from snapback.words import Word, worst_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from snapback.core.leases.lease import Lent
    from snapback.core.model import Place, Snapshot, Volume


class _ExitCodeOfWord:
    """Reads an error's exit code off its word, for the class and for its instances."""

    def __get__(self, error: SnapbackError | None, kind: type[SnapbackError]) -> int:
        return kind.word.exit_code


class SnapbackError(Exception):
    """Anything that snapback raises on purpose. It can be pickled, whatever it is made of.

    :cvar word: what became of whatever the error ended; with it goes the exit code.
    """

    word: ClassVar[Word] = Word.FAILED
    exit_code = _ExitCodeOfWord()

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.args, vars(self))


def _again(kind: type[SnapbackError], args: tuple[Any, ...], known: dict[str, Any]) -> Any:
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(known)
    return error


class Refused(SnapbackError):
    """Nothing was done, since it should not be."""

    word = Word.REFUSED


class UsageError(Refused):
    """An argument is wrong: says what was given, what was expected, what to do."""


class ConfigError(Refused):
    """The configuration can't be used: names the file and every problem in it."""


class CredentialsError(Refused):
    """AWS credentials are missing, expired or not accepted."""


class BrakeError(Refused):
    """Trimming would delete more days of timelines than ``max_delete`` allows, so nothing went."""


class ApiError(SnapbackError):
    """EC2 refused a call.

    :ivar action: the API operation, ``"CreateSnapshots"``.
    :ivar region: where.
    :ivar code: EC2's error code, or the name of what went wrong on the way.
    :ivar reason: EC2's own words.
    """

    def __init__(self, action: str, region: str, code: str, reason: str) -> None:
        super().__init__(action, region, code, reason)
        self.action = action
        self.region = region
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        if self.code == "UnauthorizedOperation":
            return f"not allowed to call ec2:{self.action} in {self.region}: add it to the policy"
        return f"{self.action} in {self.region}: {self.code}: {self.reason}"


class NetworkError(ApiError):
    """The call never reached EC2, so it did nothing."""

    def __str__(self) -> str:
        return (
            f"{self.action} in {self.region}: EC2 can't be reached: {self.reason}: "
            "check the network, the proxy and the region's name"
        )


class LostAnswer(ApiError):
    """The call reached EC2 and its answer was lost: it may have taken effect or not."""

    def __str__(self) -> str:
        return f"{self.action} in {self.region}: the answer was lost: {self.reason}"


class SnapshotFailed(SnapbackError):
    """A snapshot ended in the state ``error``, each time it was taken."""


class VolumesBusy(SnapbackError):
    """Volumes have as many pending snapshots as EC2 allows: nothing was taken of any of them.

    :ivar volumes: those of which snapshots were to be taken together.
    :ivar full: of these, the ids of those at their limit -> the snapshot in the way; empty where
        EC2 doesn't show it, since it was deleted while pending.
    """

    word = Word.TIMED_OUT

    def __init__(self, volumes: Iterable[Volume], full: Mapping[str, Snapshot]) -> None:
        super().__init__(volumes, full)
        self.volumes = tuple(volumes)
        self.full = dict(full)

    def __str__(self) -> str:
        if self.full:
            return f"EC2 has no room for one more snapshot of {in_the_way(self.full)}"
        ids = ", ".join(volume.volume_id for volume in self.volumes)
        return (
            f"EC2 has no room for one more snapshot of {ids}: ones that were deleted while pending "
            "count until they would have been completed"
        )


def in_the_way(full: Mapping[str, Snapshot]) -> str:
    """Answer the volumes at their limit, and which snapshot is in the way of each, in words."""
    return ", ".join(
        f"{volume_id} ({s.snapshot_id} is {s.state} at {s.progress or '0%'}, and as many are as "
        "EC2 allows)"
        for volume_id, s in full.items()
    )


class SnapshotTimeout(SnapbackError):
    """A snapshot is still pending when the time to wait for it is over. It was not deleted."""

    word = Word.TIMED_OUT


class HostError(SnapbackError):
    """Something went wrong on a host, or on the way to it.

    :ivar host: which one, as ``"i-0123 (web-1) at 10.1.2.3"``.
    :ivar region: where.
    :ivar reason: what went wrong.
    :ivar advice: what to do.
    :ivar may_pass: whether it is worth trying again, as while the host boots.
    """

    may_pass = False

    def __init__(self, host: str, region: str, reason: str, advice: str) -> None:
        super().__init__(host, region, reason, advice)
        self.host = host
        self.region = region
        self.reason = reason
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.host} in {self.region}: {self.reason}: {self.advice}"


class HostUnreachable(HostError):
    """No connection came about, the login was refused, or the connection broke."""

    may_pass = True


class HostKeyError(HostError):
    """The host's key is not one that we trust."""


class HostTimeout(HostError):
    """No answer came within the time given; what was begun may still be running."""

    may_pass = True


class CommandFailed(HostError):
    """A command ended badly.

    :ivar argv: the command; ``shown`` is how it is told.
    :ivar returncode: its exit status; -1 where a signal killed it.
    :ivar stderr: what it said, abridged.
    """

    def __init__(
        self,
        host: str,
        region: str,
        argv: Sequence[str],
        shown: str,
        returncode: int,
        stderr: str,
    ) -> None:
        self.argv = tuple(argv)
        self.returncode = returncode
        self.stderr = stderr
        how = "was killed" if returncode < 0 else f"ended with {returncode}"
        super().__init__(host, region, f"{shown} {how}", stderr or "it said nothing")


class FreezeRefused(HostError):
    """Its file systems can't be frozen now, so none of them is."""


class NotMoved(HostError):
    """Data has not arrived whole and equal at the other host: it must not be used.

    :ivar no_room: whether it is since the other side is full.
    """

    no_room = False


class Stalled(HostError):
    """Nothing has moved on a host's disks for so long that what was at work there is given up."""


class LogFailed(SnapbackError):
    """The deletion log can't be written: says what became of the snapshot, and why it can't."""


class NotWrittenDown(LogFailed):
    """A snapshot was deleted, and then the deletion log could not be written."""

    word = Word.NOT_WRITTEN_DOWN


class NotBegun(LogFailed):
    """A snapshot was not deleted, since the deletion log failed at another one before."""

    word = Word.NOT_DONE


class InstanceGone(SnapbackError):
    """EC2 says that an instance was terminated since it was listed: there is nothing to back up."""

    word = Word.GONE


class LeftFrozen(SnapbackError):
    """A file system may be left frozen: says on which host, and the command that thaws it."""

    word = Word.LEFT_FROZEN


class Collision(SnapbackError):
    """What was to be done is done already, or somebody else is doing it: no failure."""

    word = Word.ALREADY_REPLICATED


class AlreadyReplicated(Collision):
    """There is a completed replica of the snapshot, or a newer one of its volume."""


class BeingReplicated(Collision):
    """A replica of the snapshot is on its way; whoever makes it has shown life lately."""

    word = Word.BEING_REPLICATED


class AlreadyRestored(Collision):
    """An instance was restored of the original since the plan was made."""

    word = Word.ALREADY_RESTORED


class BeingRestored(Collision):
    """Another run is restoring the original, or has died at it a few minutes ago."""

    word = Word.BEING_RESTORED

    def __str__(self) -> str:
        return f"{super().__str__()}; if that run is dead, 'fab sweep --run' with its id frees it"


class LeftBehind(SnapbackError):
    """Something temporary could not be taken down; the rest was.

    :ivar left: each thing, and why it is still there.
    :ivar run_id: the run that it was for.
    """

    word = Word.LEFT_BEHIND

    def __init__(
        self, left: Sequence[tuple[Lent, str]], run_id: str, error: BaseException | None = None
    ) -> None:
        super().__init__(left, run_id, error)
        self.left = tuple(left)
        self.run_id = run_id
        self.error = error

    def __str__(self) -> str:
        things = "; ".join(f"{thing} in {thing.place}: {reason}" for thing, reason in self.left)
        before = f"{self.error}; and " if self.error else ""
        return f"{before}left behind: {things}: run 'fab sweep --run {self.run_id}'"


class Interrupted(SnapbackError):
    """The run was asked to stop before this was begun or known to be done."""

    word = Word.NOT_DONE


class ItemOutcome(Protocol):
    """What became of one item: an :class:`~snapback.core.model.outcome.Outcome`."""

    @property
    def subject(self) -> str: ...
    @property
    def word(self) -> Word: ...
    @property
    def explanation(self) -> str: ...
    @property
    def place(self) -> Place: ...
    @property
    def facts(self) -> dict[str, Any]: ...
    @property
    def exit_code(self) -> int: ...


class ItemsFailed(SnapbackError):
    """Of many items not all went well.

    :ivar outcomes: what happened to every item, also to those that went well.
    """

    def __init__(self, outcomes: Sequence[ItemOutcome]) -> None:
        super().__init__(outcomes)
        self.outcomes = tuple(outcomes)

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """The worst of the outcomes' exit codes."""
        return worst_of(outcome.exit_code for outcome in self.outcomes)

    def __str__(self) -> str:
        bad = [outcome for outcome in self.outcomes if outcome.exit_code]
        return "; ".join(f"{outcome.subject}: {outcome.explanation}" for outcome in bad)
