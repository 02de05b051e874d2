"""The tags of ours, and which of others' tags a snapshot gets.

Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html (limits).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from snapback.core.model import Instance, Snapshot, Tags, Volume
from snapback.core.model.ids import INSTANCE_ID, VOLUME_ID

OURS = "snapback:"
SET = "snapback:set"
ACCOUNT = "snapback:account"
RUN = "snapback:run"
DEVICES = "snapback:devices"
RESTORE = "snapback:restore"
CONSISTENCY = "snapback:consistency"
SOURCE = "snapback:source"
BASE = "snapback:base"
PURPOSE = "snapback:purpose"
EXPIRES = "snapback:expires"
VERDICT = "snapback:verified"
RESTORED = "snapback:restored"
LENT = "snapback:lent"
PARTIAL = "snapback:partial"
SHARED = "snapback:shared"
PIN = "preserve_snapshot"
KEEP = "snapback:keep"

MOST_TAGS = 50
FREE_FOR_OURS = 8
LONGEST_VALUE = 256

# Other tools may copy these from a volume to snapshots of theirs.
_WRITTEN_BY_PEOPLE = (KEEP, "snapback:exclude")
_NEVER_CLONED = ("aws:", "dlm:", OURS)
_MANAGED_BY_OTHERS = ("aws:dlm:", "dlm:", "aws:backup:")


def is_ours(tags: Iterable[str]) -> bool:
    """Tell whether one of these tag keys is one that only snapback writes."""
    return any(key.startswith(OURS) and key not in _WRITTEN_BY_PEOPLE for key in tags)


def manager_of(tags: Iterable[str]) -> str:
    """Answer the tag by which another service claims a snapshot (DLM, AWS Backup), or ``""``."""
    return min([key for key in tags if key.startswith(_MANAGED_BY_OTHERS)], default="")


def may_be_cloned(key: str, exclude_tag: str) -> bool:
    """Tell whether a tag of a volume or an instance belongs on its snapshots."""
    return not key.startswith(_NEVER_CLONED) and key not in {PIN, exclude_tag}


def of_replica(source: Snapshot, run_id: str, first: Sequence[str]) -> dict[str, str]:
    """Return the tags of a replica: the source's, and from what and by which run it was made.

    Neither the source's pin, nor its stop switch, nor its verdict of verification is true of the
    replica. A source without a set is a set of one, the same whoever replicates it.

    :param first: the tags of others that go in first where not all find room.
    """
    meant = {key: v for key, v in source.tags.items() if not key.startswith((VERDICT, KEEP))}
    ours = {key: value for key, value in meant.items() if key.startswith(OURS)}
    ours |= {RUN: run_id, SOURCE: source.snapshot_id}
    ours |= of_account(source.record.account if source.record else "")
    ours.setdefault(SET, set_of_replica(source))
    others = clone({}, meant, ours=len(ours), first=first, exclude_tag="", reserve=0)
    return {**others, **ours}


def of_account(account_id: str) -> dict[str, str]:
    """Return the tag that says in which account a snapshot was taken, where that is known.

    Without it, that is the account that the snapshot lies in.
    """
    return {ACCOUNT: account_id} if account_id else {}


def set_of_replica(source: Snapshot) -> str:
    """Answer the set of a snapshot's replica: its own; if it has none, one by its record.

    It is the same wherever the replica is made from.
    """
    if source.set_id or source.record is None:
        return source.set_id
    return f"set-{source.record.digest[:17]}"


def is_excluded(tags: Tags, exclude_tag: str) -> bool:
    """Tell whether a volume is left out of backups: the tag's presence counts, not its value."""
    return exclude_tag in tags


def write_long(key: str, value: Any) -> dict[str, str]:
    """Answer JSON as the tags ``key``, ``key.2``, ``key.3``... of at most 256 characters each."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    pieces = [text[at : at + LONGEST_VALUE] for at in range(0, len(text), LONGEST_VALUE)]
    return {_piece_key(key, number): piece for number, piece in enumerate(pieces, 1)}


def read_long(key: str, tags: Tags) -> Any:
    """Answer what :func:`write_long` wrote, or ``None`` where it is absent or damaged."""
    pieces = []
    for number in count(1):
        piece = tags.get(_piece_key(key, number))
        if piece is None:
            break
        pieces.append(piece)
    try:
        return json.loads("".join(pieces))
    except (ValueError, RecursionError):
        return None


def write_partial(left_out: Iterable[str]) -> dict[str, str]:
    """Answer the tag that says which volumes of the instance a set is without."""
    return {PARTIAL: " ".join(sorted(left_out))[:LONGEST_VALUE]}


def write_shared(left_to: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that say which volumes are in another instance's set, if any are.

    :param left_to: volume id -> that instance's id.
    """
    return write_long(SHARED, dict(left_to)) if left_to else {}


def read_shared(tags: Tags) -> dict[str, str]:
    """Return what :func:`write_shared` wrote; what can't be so is left out."""
    said = read_long(SHARED, tags)
    return {
        volume: str(instance)
        for volume, instance in (said.items() if isinstance(said, dict) else ())
        if VOLUME_ID.match(volume) and INSTANCE_ID.match(str(instance))
    }


def without_long(key: str, tags: Tags) -> dict[str, str]:
    """Answer tags without those that :func:`write_long` wrote for a key."""
    return {k: value for k, value in tags.items() if k != key and not k.startswith(f"{key}.")}


def _piece_key(key: str, number: int) -> str:
    return key if number == 1 else f"{key}.{number}"


@dataclass(frozen=True)
class Tagging:
    """How the snapshots of one set get their tags.

    :ivar copy_from_volumes: whether CreateSnapshots is asked for ``CopyTagsFromSource=volume``.
    :ivar in_call: the tags that CreateSnapshots itself gives to every member.
    :ivar afterwards: (volume ids, tags): a CreateTags call on those volumes' new snapshots, each.
    """

    copy_from_volumes: bool
    in_call: dict[str, str]
    afterwards: tuple[tuple[tuple[str, ...], dict[str, str]], ...] = ()


def clone(
    instance: Tags,
    volume: Tags,
    *,
    ours: int,
    first: Sequence[str],
    exclude_tag: str,
    reserve: int = FREE_FOR_OURS,
) -> dict[str, str]:
    """Answer the tags of others that a volume's snapshot gets; the instance's win.

    :param ours: how many tags of ours it gets besides; at least ``reserve`` of the 50 stay free for
        them.
    :param first: the keys that go in first where not all find room.
    """
    merged = {**volume, **instance}
    keys = [key for key in merged if may_be_cloned(key, exclude_tag)]
    keys.sort(key=lambda key: (first.index(key) if key in first else len(first), key))
    room = max(MOST_TAGS - max(ours, reserve), 0)
    return {key: merged[key] for key in keys[:room]}


def plan_tagging(
    instance: Instance,
    volumes: Collection[Volume],
    ours: Mapping[str, str],
    *,
    first: Sequence[str],
    exclude_tag: str,
) -> Tagging:
    """Decide how a set's snapshots get their tags with the fewest calls.

    EC2 copies the volumes' tags itself where that does no harm. Then a key that every volume
    carries with the wanted value needs nothing more, a key that is on no volume goes into the call
    (naming a key twice, there and on a volume, is undocumented), and what is left needs one
    CreateTags. Where a volume carries a tag that must not be copied, or where all would not find
    room, everything is given explicitly: what is common to all in the call, the rest afterwards.
    """
    wanted = {
        volume.volume_id: clone(
            instance.tags, volume.tags, ours=len(ours) + 1, first=first, exclude_tag=exclude_tag
        )
        for volume in volumes
    }  # one more may come: PARTIAL
    if not all(
        _copying_is_harmless(instance.tags, volume.tags, wanted[volume.volume_id], exclude_tag)
        for volume in volumes
    ):
        common = _common(wanted.values())
        return Tagging(False, {**common, **ours}, _grouped(wanted, without=common))

    of_instance = {k: v for k, v in instance.tags.items() if may_be_cloned(k, exclude_tag)}
    on_volumes = {key for volume in volumes for key in volume.tags}
    in_call = {key: value for key, value in of_instance.items() if key not in on_volumes}
    to_mend = {
        key: value
        for key, value in of_instance.items()
        if key in on_volumes and any(volume.tags.get(key) != value for volume in volumes)
    }
    afterwards = ((tuple(wanted), to_mend),) if to_mend else ()
    return Tagging(True, {**in_call, **ours}, afterwards)


def _copying_is_harmless(instance: Tags, volume: Tags, wanted: Tags, exclude_tag: str) -> bool:
    """Tell whether copying a volume's tags copies only wanted ones, and all that is wanted fits."""
    copied = {key for key in volume if not key.startswith("aws:")}
    everything = {key for key in {*instance, *volume} if may_be_cloned(key, exclude_tag)}
    return copied <= everything == wanted.keys()


def _common(many: Iterable[Tags]) -> dict[str, str]:
    """Answer the tags that all have alike."""
    first, *others = many
    return {key: value for key, value in first.items() if all(o.get(key) == value for o in others)}


def _grouped(
    wanted: Mapping[str, Tags], without: Collection[str]
) -> tuple[tuple[tuple[str, ...], dict[str, str]], ...]:
    """Answer what each volume's snapshot lacks, those that lack the same together."""
    groups: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for volume_id, tags in wanted.items():
        rest = tuple(sorted((key, tags[key]) for key in tags if key not in without))
        if rest:
            groups.setdefault(rest, []).append(volume_id)
    return tuple((tuple(volume_ids), dict(rest)) for rest, volume_ids in groups.items())
