"""Restoring: a volume, an AMI, an instance, or all instances of a region that is gone.

Nothing of the original is ever touched. What isn't whole yet is lent, and taken back when anything
goes wrong; what is whole is kept. The public helpers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from snapback.core.restore.restore_plan import Given
from snapback.core.restore.selection import LATELY, Selection
from snapback.restore.common import Restoration
from snapback.restore.images import create_one_ami
from snapback.restore.instances import restore_by_tag, restore_one_instance
from snapback.restore.volumes import restore_one_volume
from snapback.run import current
from snapback.run.fanout import or_raise
from snapback.snapshots.search import moment


def restore_volume(
    snapshot_id: str | None = None,
    volume_id: str | None = None,
    at: str | datetime | None = None,
    region_name: str | None = None,
    zone: str = "",
    volume_type: str = "",
    attach: str = "",
    device: str = "",
    account: str | None = None,
) -> Restoration:
    """Make a volume of a snapshot, of the original's type and with its tags.

    :param snapshot_id: either this or ``volume_id``.
    :param volume_id: the original, of which the newest snapshot is taken...
    :param at: ...not later than this: an aware datetime, or a text like ``2026-11-01T03:00`` (UTC).
    :param region_name: where the snapshot lies; may be contracted; ``None``: looked for.
    :param zone: the availability zone; by default the original's, or that of ``attach``.
    :param volume_type: by default the original's.
    :param attach: the id of an instance to attach it to.
    :param device: as what; by default the first that is free.
    :param account: the account's name in the configuration; ``None``: looked for in all of them.
    :raises UsageError: there is no such snapshot.
    :raises ItemsFailed: it was refused or failed; its ``outcomes`` say why. Nothing is left.

    Source: DescribeSnapshots, DescribeInstances, CreateVolume, DescribeVolumes, AttachVolume,
    DeleteTags.
    """
    return or_raise(
        restore_one_volume(
            current().only(account),
            snapshot_id,
            volume_id,
            at,
            region_name,
            zone=zone,
            volume_type=volume_type,
            attach=attach,
            device=device,
        )
    )


def create_ami(
    snapshot_id: str | None = None,
    instance_id: str | None = None,
    at: str | datetime | None = None,
    region_name: str | None = None,
    name: str = "",
    incomplete: bool = False,
    account: str | None = None,
) -> Restoration:
    """Register an AMI of an instance's snapshots of one instant.

    :param snapshot_id: one of them; either this or ``instance_id``.
    :param instance_id: the original, of which the newest whole set is taken...
    :param at: ...not later than this: an aware datetime, or a text like ``2026-11-01T03:00`` (UTC).
    :param region_name: where the snapshots lie; may be contracted; ``None``: looked for.
    :param name: by default the instance's id and the time.
    :param incomplete: register it although volumes are missing, but for the root.
    :param account: the account's name in the configuration; ``None``: looked for in all of them.
    :raises UsageError: there is no such set, or volumes are missing from it: lists them.
    :raises ItemsFailed: it was refused or failed; its ``outcomes`` say why.

    Source: DescribeSnapshots, DescribeImages, RegisterImage.
    """
    return or_raise(
        create_one_ami(
            current().only(account),
            snapshot_id,
            instance_id,
            at,
            region_name,
            name=name,
            incomplete=incomplete,
        )
    )


def restore_instance(
    instance_id: str,
    at: str | datetime | None = None,
    region_name: str | None = None,
    instance_type: str = "",
    subnet_id: str = "",
    security_group_ids: Sequence[str] = (),
    key_name: str = "none",
    instance_profile: str = "none",
    incomplete: bool = False,
    account: str | None = None,
) -> Restoration:
    """Launch an instance as an original was, from the newest whole set of its snapshots.

    Nothing is launched while another run restores the same instance as of the same time.

    :param at: the set is not later than this: an aware datetime, or a text like
        ``2026-11-01T03:00`` (UTC).
    :param region_name: where the snapshots lie, and the instance will be; may be contracted;
        ``None``: at home. From replicas no other region is called.
    :param instance_type: by default the original's, as what follows.
    :param key_name: a key pair's name; ``"as-recorded"``: the original's, if it is there.
    :param instance_profile: its name or ARN; ``"as-recorded"``: the original's. It isn't taken
        unasked, nor is the key pair: whoever may tag a snapshot could name any.
    :param incomplete: restore it although volumes are missing, but for the root.
    :param account: the account's name in the configuration; ``None``: looked for in all of them.
    :raises UsageError: there is no such set, or volumes are missing from it: lists them.
    :raises ItemsFailed: it was refused or failed; its ``outcomes`` say why. Nothing is left.

    Source: DescribeSnapshots, DescribeSubnets, DescribeSecurityGroups, DescribeKeyPairs,
    DescribeInstanceTypes, CreateKeyPair, RegisterImage, DescribeImages, RunInstances,
    DescribeInstances, CreateTags, ModifyInstanceAttribute, DeleteTags, DeregisterImage,
    DeleteKeyPair.
    """
    return or_raise(
        restore_one_instance(
            current().only(account),
            instance_id,
            at,
            region_name,
            given=Given(
                instance_type=instance_type,
                subnet_id=subnet_id,
                security_group_ids=tuple(security_group_ids),
                key_name=key_name,
                instance_profile=instance_profile,
            ),
            incomplete=incomplete,
        )
    )


def restore_instances_by_tag(
    region_name: str,
    tag_name: str | None = None,
    tag_value: str | None = None,
    at: str | datetime | None = None,
    src_region_name: str = "",
    subnets: Mapping[str, str] | None = None,
    security_groups: Mapping[str, str] | None = None,
    within: timedelta = LATELY,
    incomplete: bool = False,
    account: str | None = None,
    key_name: str = "none",
    instance_profile: str = "none",
) -> Restoration:
    """Launch all instances of other regions from their replicas: the day a region is gone.

    One that fails does not stop the others. One that was restored already, or that another run is
    restoring, isn't restored again. No other region is called.

    :param region_name: where the replicas lie, and the instances will be; may be contracted.
    :param tag_name: the tag that selects, on the replicas; ``None``: the configured earmark.
    :param tag_value: its value; ``None``: the configured one.
    :param at: as for :func:`restore_instance`.
    :param src_region_name: only instances of this region, its full name.
    :param subnets: subnet of an original -> subnet there; the key ``*`` is any other. Goes before
        the configured ones.
    :param security_groups: the same for security groups.
    :param within: only instances last backed up within such a time before the last of all.
    :param key_name: as for :func:`restore_instance`, for all of them.
    :param instance_profile: likewise.
    :param incomplete: restore them although volumes are missing, but for the root.
    :param account: the account's name in the configuration; ``None``: all of them.
    :raises ItemsFailed: not all went well; its ``outcomes`` say what became of each.

    Source: as :func:`restore_instance`.
    """
    selection = Selection(
        tag_name=tag_name,
        tag_value=tag_value,
        source_region=src_region_name,
        at=moment(at),
        within=within,
        incomplete=incomplete,
    )
    return or_raise(
        restore_by_tag(
            current().only(account),
            region_name,
            selection,
            subnets=subnets,
            security_groups=security_groups,
            given=Given(key_name=key_name, instance_profile=instance_profile),
        )
    )
