"""What a restore will make, decided without EC2: as recorded, given or mapped; or why not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from snapback.core.model import Instance, Place, Snapshot, Volume, original
from snapback.core.model import tags as our_tags
from snapback.core.model.backup_sets import BackupSet, sets_of
from snapback.core.model.launch_options import UNREADABLE
from snapback.core.model.original import Disk, Original
from snapback.core.model.reasons import Reason
from snapback.core.model.record import describe_set, parse, set_tags
from snapback.core.model.verdicts import VerdictKind, Verified, write_verdict
from snapback.core.restore.image_plan import plan_image
from snapback.core.restore.restore_plan import (
    Given,
    InstancePlan,
    Maps,
    Site,
    There,
    plan_instance,
    wanted_there,
)
from snapback.core.restore.restored import read_origin
from snapback.core.restore.volume_plan import plan_volume
from snapback.core.verify.verify_plan import gaps
from snapback.errors import UsageError
from tests.unit.builders import at, instance, snapshot, vol

SDA, SDF = "/dev/sda1", "/dev/sdf"
EU = Place("eu-west-1")
WEB = instance(
    root_device_name=SDA,
    architecture="arm64",
    instance_type="m6g.large",
    boot_mode="uefi",
    ena_support=True,
    virtualization_type="hvm",
    zone="us-east-1b",
    subnet_id="subnet-us",
    security_group_ids=("sg-us1", "sg-us2"),
    key_name="ops",
    instance_profile="arn:aws:iam::111122223333:instance-profile/web",
    sriov_net_support="simple",
    ends_with_it=(SDA,),
)
VOLUMES = [
    Volume(place=WEB.place, volume_id=vol("a"), volume_type="gp3", iops=3000, throughput=125),
    Volume(place=WEB.place, volume_id=vol("b"), volume_type="io2", iops=5000),
]
DEVICES = {SDA: vol("a"), SDF: vol("b")}
THERE = There(
    subnets={"subnet-eu": Site("vpc-1", "eu-west-1a"), "subnet-us": Site("vpc-1", "us-east-1b")},
    default_subnets=("subnet-eu",),
    security_groups={"sg-eu": "vpc-1", "sg-us1": "vpc-1", "sg-us2": "vpc-1", "sg-far": "vpc-2"},
    key_names=frozenset({"ops"}),
)
MAPS = Maps(subnets={"subnet-us": "subnet-eu"}, security_groups={"*": "sg-eu"})


def members(of: Instance = WEB, place: Place = WEB.place, **more: Any) -> list[Snapshot]:
    tags = {"Name": "web", **set_tags(of, "set-1", DEVICES, VOLUMES), **more}
    found = []
    for letter in "ab":
        record = parse(describe_set(of, at("2026-11-24T03:00")), tags, vol(letter))
        assert record
        found.append(snapshot(volume=letter, record=record, set_id="set-1", tags=tags, place=place))
    return found


def one_set(of: Instance = WEB, place: Place = WEB.place) -> BackupSet:
    (found,) = sets_of(members(of, place), of.instance_id)
    return found


def planned(
    source: BackupSet, given: Given | None = None, maps: Maps | None = None, there: There = THERE
) -> InstancePlan:
    given, maps = given or Given(), maps or Maps()
    return plan_instance(plan_image(source), given, wanted_there(source, given, maps), there)


# What is recorded of the original.


def test_what_is_written_of_an_original_is_read_again() -> None:
    told = original.read(original.write(WEB, DEVICES, VOLUMES))
    assert told == Original(
        told=True,
        boot_mode="uefi",
        ena_support=True,
        virtualization_type="hvm",
        zone="us-east-1b",
        subnet_id="subnet-us",
        security_group_ids=("sg-us1", "sg-us2"),
        key_name="ops",
        instance_profile="arn:aws:iam::111122223333:instance-profile/web",
        sriov_net_support="simple",
        delete_on_termination=(SDA,),
        disks={SDA: Disk("gp3", 3000, 125), SDF: Disk("io2", 5000)},
        options={},
    )


def test_of_a_volume_alone_its_zone_and_type_are_known() -> None:
    alone = Volume(place=WEB.place, volume_id=vol("a"), volume_type="st1", zone="us-east-1c")
    told = original.read(original.write(None, {"": vol("a")}, [alone]))
    assert (told.zone, told.disk("")) == ("us-east-1c", Disk("st1"))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"volumes": 3}', '{"volumes": {"/dev/sda1": ["gp3", "x"]}, "zone": 7}']
)
def test_what_is_damaged_is_not_known(text: str) -> None:
    told = original.read({"snapback:restore": text} if text else {})
    assert (told.zone, told.disk(SDA)) == ("", Disk())


def test_volumes_none_of_which_ends_with_the_instance_are_told_from_not_known() -> None:
    kept = replace(WEB, ends_with_it=())
    assert original.read(original.write(kept, DEVICES, VOLUMES)).delete_on_termination == ()
    assert original.read({}).delete_on_termination is None


# The image.


def test_the_image_is_as_the_original_was() -> None:
    plan = plan_image(one_set())
    assert (plan.architecture, plan.root_device_name, plan.boot_mode) == ("arm64", SDA, "uefi")
    assert (plan.ena_support, plan.virtualization_type) == (True, "hvm")
    assert {one.device_name: (one.disk, one.ends_with_instance) for one in plan.volumes} == {
        SDA: (Disk("gp3", 3000, 125), True),
        SDF: (Disk("io2", 5000), False),
    }
    assert plan.problems == ()


def test_windows_is_refused() -> None:
    (why,) = plan_image(one_set(replace(WEB, platform="windows"))).problems
    assert "Windows" in str(why)


def test_of_snapshots_that_tell_nothing_the_usual_is_taken_and_told() -> None:
    bare = [
        replace(one, tags={}, set_id="", record=replace(one.record, device=device))
        for one, device in zip(members(), (SDA, SDF), strict=True)
        if one.record
    ]
    (source,) = sets_of(bare, WEB.instance_id)
    plan = plan_image(source)
    assert (plan.virtualization_type, plan.ena_support) == ("hvm", True)
    assert any("isn't recorded" in str(reason) for reason in plan.reasons)
    assert {one.device_name: one.ends_with_instance for one in plan.volumes} == {
        SDA: True,
        SDF: False,
    }


# The instance.


def test_at_home_all_is_as_recorded() -> None:
    plan = planned(one_set())
    assert plan.problems == ()
    assert (plan.instance_type, plan.subnet_id, plan.zone) == (
        "m6g.large",
        "subnet-us",
        "us-east-1b",
    )
    assert plan.security_group_ids == ("sg-us1", "sg-us2")
    origin = read_origin(plan.tags)
    assert origin
    assert (origin.original, origin.source) == (WEB.instance_id, "set-1")
    assert plan.tags["Name"] == "web"
    of_volume = read_origin(plan.volume_tags[SDF])
    assert of_volume
    assert of_volume.original == vol("b")
    assert read_origin({}) is None
    assert read_origin({our_tags.RESTORED: "web from set-1 as of yesterday"}) is None


def test_elsewhere_all_is_as_mapped_and_groups_fall_together() -> None:
    plan = planned(one_set(place=EU), maps=MAPS)
    assert plan.problems == ()
    assert (plan.subnet_id, plan.security_group_ids) == ("subnet-eu", ("sg-eu",))


def test_elsewhere_nothing_is_guessed() -> None:
    problems = planned(one_set(place=EU)).problems
    assert len(problems) == 3
    assert all("what stands for" in w and "restore.into.eu-west-1" in w for w in map(str, problems))


def test_what_is_given_needs_no_map() -> None:
    given = Given(subnet_id="subnet-eu", security_group_ids=("sg-eu",))
    assert planned(one_set(place=EU), given).problems == ()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (Given(subnet_id="subnet-x"), "there is no subnet subnet-x in us-east-1"),
        (Given(security_group_ids=("sg-x",)), "there is no security group sg-x"),
        (Given(security_group_ids=("sg-far",)), "sg-far is in vpc-2, the subnet in vpc-1"),
        (Given(key_name="spare"), "there is no key pair spare in us-east-1"),
    ],
)
def test_what_is_not_there_is_refused(given: Given, says: str) -> None:
    assert any(says in str(why) for why in planned(one_set(), given).problems)


def test_a_recorded_key_that_is_not_there_is_done_without() -> None:
    asked = Given(key_name="as-recorded")
    plan = planned(one_set(), asked, there=replace(THERE, key_names=frozenset()))
    assert (plan.key_name, plan.problems) == ("", ())
    assert any("the keys on the disk still let in" in str(reason) for reason in plan.reasons)


# Rights: whoever may tag a snapshot names any.

ADMIN = "arn:aws:iam::111122223333:instance-profile/admin"
ASKED = Given(key_name="as-recorded", instance_profile="as-recorded")


@pytest.mark.parametrize("given", [Given(), Given(key_name="none", instance_profile="none")])
def test_rights_that_a_tag_names_are_told_and_left_out(given: Given) -> None:
    plan = planned(one_set(replace(WEB, instance_profile=ADMIN)), given)
    assert (plan.instance_profile, plan.key_name, plan.problems) == ("", "", ())
    assert plan.left_out == {"instance_profile": ADMIN, "key_name": "ops"}
    said = [*map(str, plan.reasons)]
    assert (
        f"no instance profile ({ADMIN} is recorded: --instance-profile as-recorded takes it)"
        in said
    )
    assert "no key pair (ops is recorded: --key-name as-recorded takes it)" in said


def test_rights_are_taken_as_recorded_only_where_that_is_asked_for() -> None:
    plan = planned(one_set(), ASKED)
    assert (plan.instance_profile, plan.key_name) == (WEB.instance_profile, "ops")
    assert plan.left_out == {}
    said = [*map(str, plan.reasons)]
    assert f"instance profile {WEB.instance_profile}, as recorded" in said
    assert "key pair ops, as recorded" in said
    mapped = Maps(key_names={"ops": "spare"})
    there = replace(THERE, key_names=frozenset({"ops", "spare"}))
    assert planned(one_set(), ASKED, mapped, there).key_name == "spare"
    assert planned(one_set(), maps=mapped, there=there).key_name == ""


def test_rights_that_are_given_are_taken_whatever_is_recorded() -> None:
    for name in ("ops-web", "arn:aws-us-gov:iam::111122223333:instance-profile/a/b/ops+=,.@-_"):
        plan = planned(one_set(), Given(key_name="ops", instance_profile=name))
        assert (plan.instance_profile, plan.key_name, plan.left_out) == (name, "ops", {})
        assert f"instance profile {name}, as given" in map(str, plan.reasons)


def test_where_no_rights_are_recorded_there_are_none_to_take() -> None:
    bare = one_set(replace(WEB, instance_profile="", key_name=""))
    for given in (Given(), ASKED):
        plan = planned(bare, given)
        assert (plan.instance_profile, plan.key_name, plan.left_out) == ("", "", {})
        assert plan.problems == ()
    assert "no instance profile: none is recorded" in map(str, planned(bare, ASKED).reasons)


HOSTILE = [
    "",
    " ",
    "a b",
    "$(id)",
    "web\n",
    "web\x1b[2J",
    "\ud800",
    "w" * 129,
    "a/b",
    "wéb",
    "arn:aws:iam::111122223333:role/admin",
    "arn:aws:iam::111122223333:instance-profile/",
    "arn:aws:iam::1:instance-profile/admin",
    "arn:aws:iam::111122223333:instance-profile/admin\n",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_what_can_be_no_instance_profile_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--instance-profile: expected") as refused:
        Given(instance_profile=name)
    assert str(refused.value).isprintable()
    plan = planned(one_set(replace(WEB, instance_profile=name)), ASKED)
    assert not plan.instance_profile or plan.problems
    assert all(map(str.isprintable, map(str, [*plan.reasons, *plan.problems])))


def test_an_empty_name_of_a_key_pair_is_refused() -> None:
    with pytest.raises(UsageError, match="--key-name: expected"):
        Given(key_name="")


@pytest.mark.parametrize("text", ["ops\x1b[2J", "ops\nall is well", "\ud800", "x" * 20_000])
def test_a_text_that_cannot_be_shown_on_a_line_is_not_known(text: str) -> None:
    odd = replace(
        WEB,
        boot_mode=text,
        virtualization_type=text,
        zone=text,
        subnet_id=text,
        security_group_ids=("sg-us1", text),
        key_name=text,
        instance_profile=text,
        sriov_net_support=text,
        platform=text,
        tpm_support=text,
        unrestorable={text: text},
        ends_with_it=(text,),
    )
    volumes = [replace(volume, volume_type=text) for volume in VOLUMES]
    told = original.read(original.write(odd, {**DEVICES, text: vol("a")}, volumes))
    lost = {UNREADABLE: "damaged"}
    assert told == Original(told=True, ena_support=True, options={}, unrestorable=lost)


def test_a_type_that_is_not_recorded_has_to_be_given() -> None:
    (source,) = [one_set(replace(WEB, instance_type=""))]
    assert "give --instance-type" in str(planned(source).problems[0])
    assert planned(source, Given(instance_type="m6g.xlarge")).problems == ()


# The volume.


def test_a_volume_is_as_the_original_was() -> None:
    plan = plan_volume(members()[1])
    assert (plan.disk, plan.zone, plan.problems) == (Disk("io2", 5000), "us-east-1b", ())
    other = plan_volume(members()[1], volume_type="gp3")
    assert other.disk == Disk("gp3")


@pytest.mark.parametrize(
    ("wanted", "device", "says"),
    [
        ("", "/dev/sdg", ""),
        ("/dev/sdh", "/dev/sdh", ""),
        ("/dev/xvdf", "", "taken"),
        ("/dev/sda1", "", "taken"),
    ],
)
def test_a_device_that_is_taken_is_refused_by_either_name(
    wanted: str, device: str, says: str
) -> None:
    holder = replace(WEB, devices=DEVICES)
    plan = plan_volume(members()[0], instance=holder, device_name=wanted)
    assert plan.device_name == device
    assert (says in "; ".join(map(str, plan.problems))) if says else plan.problems == ()


def test_where_it_can_be_has_to_be_known() -> None:
    assert "in which zone" in str(plan_volume(members(place=EU)[0]).problems[0])
    assert plan_volume(members(place=EU)[0], zone="eu-west-1c").zone == "eu-west-1c"
    moving = replace(WEB, state="stopping")
    assert "is stopping" in str(plan_volume(members()[0], instance=moving).problems[0])
    assert "not in us-east-1a" in str(
        plan_volume(members()[0], instance=WEB, zone="us-east-1a").problems[0]
    )
    assert "--device is for" in str(plan_volume(members()[0], device_name="/dev/sdf").problems[0])


def test_a_broken_snapshot_is_refused() -> None:
    broken = replace(members()[0], state="error", state_message="no key")
    assert "ended in error: no key" in str(plan_volume(broken).problems[0])
    bad = write_verdict(
        Verified(at=at("2026-11-25T03:00"), reason=Reason(VerdictKind.CORRUPT, "ext4: bad"))
    )
    plan = plan_volume(replace(members()[0], tags={**members()[0].tags, **bad}))
    assert plan.problems == ()
    assert any("although it was found corrupt" in str(reason) for reason in plan.reasons)


# Whether a set lacks a volume, as a verification tells it.


def test_a_root_that_backups_leave_out_is_no_gap_and_a_volume_that_is_gone_is_one() -> None:
    whole = members()
    assert gaps(whole, whole) == []
    assert [one.set_id for one in gaps(whole[1:], whole[1:])] == ["set-1"]
    data_only = set_tags(WEB, "set-1", {SDF: vol("b")}, VOLUMES[1:])
    alone = [replace(whole[1], tags=data_only)]
    assert "the root device" in sets_of(alone, WEB.instance_id)[0].shortcoming
    assert gaps(alone, alone) == []
