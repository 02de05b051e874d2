"""What EC2 does and moto does not: one probe a correction.

A probe answers True where it met EC2's behaviour. Each is asked of plain moto, where it has to
answer False (else the correction can be dropped), and of the sandbox, where it has to be True.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from helpers import code, own, specification

Probe = Callable[["Place"], bool]
PROBES: list[tuple[str, Probe]] = []


@dataclass
class Place:
    """An EC2 to probe: plain moto's, or the sandbox's."""

    client: Callable[..., Any]
    advance: Callable[[float], Any]

    @property
    def ec2(self) -> Any:
        """The EC2 of us-east-1."""
        return self.client()

    def volume(self, size: int = 10, **more: Any) -> str:
        """Makes a volume."""
        made = self.ec2.create_volume(AvailabilityZone="us-east-1a", Size=size, **more)
        return str(made["VolumeId"])

    def image(self) -> str:
        """Answers the id of an image to launch."""
        images = self.ec2.describe_images(Owners=["099720109477"])["Images"]
        return str(images[0]["ImageId"]) if images else "ami-12345678"

    def instance(self, **more: Any) -> dict[str, Any]:
        """Launches an instance with a root volume and a data volume; answers it."""
        given = {
            "ImageId": self.image(),
            "MinCount": 1,
            "MaxCount": 1,
            "BlockDeviceMappings": [
                {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8}},
                {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 10}},
            ],
        } | more
        made = self.ec2.run_instances(**given)["Instances"][0]["InstanceId"]
        return self.describe(made)

    def describe(self, instance_id: str) -> dict[str, Any]:
        """Answers an instance as it is now."""
        found = self.ec2.describe_instances(InstanceIds=[instance_id])
        shown: dict[str, Any] = found["Reservations"][0]["Instances"][0]
        return shown

    def snapshot(self, **more: Any) -> str:
        """Takes a snapshot of a new volume, and waits until it is completed."""
        made = self.ec2.create_snapshot(VolumeId=self.volume(), **more)
        self.advance(10)
        return str(made["SnapshotId"])

    def shown(self, snapshot_id: str, region: str = "us-east-1") -> dict[str, Any]:
        """Answers a snapshot as it is now."""
        found = self.client(region).describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"]
        shown: dict[str, Any] = found[0]
        return shown


def drops(where: str) -> Callable[[Probe], Probe]:
    """Registers a probe, and says which correction moto would make needless."""

    def register(probe: Probe) -> Probe:
        PROBES.append((where, probe))
        return probe

    return register


def volumes_of(instance: dict[str, Any]) -> dict[str, str]:
    """Answers an instance's volumes by device."""
    return {x["DeviceName"]: x["Ebs"]["VolumeId"] for x in instance["BlockDeviceMappings"]}


def refused(probe: Callable[[], Any]) -> str | None:
    """Answers the error code of a call; a failure that is no EC2 error has none."""
    try:
        return code(probe)
    except Exception:  # noqa: BLE001 - moto raises its own here
        return None


@drops("states")
def snapshots_are_born_pending(at: Place) -> bool:
    snapshot = at.ec2.create_snapshot(VolumeId=at.volume())
    return bool(snapshot["State"] == "pending" and at.shown(snapshot["SnapshotId"]) != "100%")


@drops("snapshot_calls.create_snapshots")
def create_snapshots_answers_the_state(at: Place) -> bool:
    spec = {"InstanceId": at.instance()["InstanceId"]}
    return "State" in at.ec2.create_snapshots(InstanceSpecification=spec)["Snapshots"][0]


@drops("snapshots.tags_with_source")
def tags_are_copied_from_the_volume(at: Place) -> bool:
    tags = specification("volume", {"a": "b"})
    spec = {"InstanceId": at.instance(TagSpecifications=tags)["InstanceId"]}
    at.ec2.create_snapshots(InstanceSpecification=spec, CopyTagsFromSource="volume")
    return all(x.get("Tags") == [{"Key": "a", "Value": "b"}] for x in _taken(at))


def _taken(at: Place) -> list[dict[str, Any]]:
    return [each for each in own(at.ec2) if "Auto-created" not in each["Description"]]


@drops("snapshot_calls._volumes_to_take")
def data_volumes_can_be_excluded(at: Place) -> bool:
    instance = at.instance()
    spec = {
        "InstanceId": instance["InstanceId"],
        "ExcludeDataVolumeIds": [volumes_of(instance)["/dev/sdf"]],
    }
    return len(at.ec2.create_snapshots(InstanceSpecification=spec)["Snapshots"]) == 1


@drops("snapshot_calls._volumes_to_take")
def the_root_is_no_data_volume(at: Place) -> bool:
    instance = at.instance()
    spec = {
        "InstanceId": instance["InstanceId"],
        "ExcludeDataVolumeIds": [volumes_of(instance)["/dev/sda1"]],
    }
    call = refused(lambda: at.ec2.create_snapshots(InstanceSpecification=spec))
    return call == "InvalidParameterValue"


@drops("snapshot_calls._volumes_to_take")
def an_unknown_volume_cannot_be_excluded(at: Place) -> bool:
    spec = {
        "InstanceId": at.instance()["InstanceId"],
        "ExcludeDataVolumeIds": ["vol-00000000"],
    }
    call = refused(lambda: at.ec2.create_snapshots(InstanceSpecification=spec))
    return call == "InvalidParameterValue"


@drops("snapshot_calls.describe_snapshots")
def snapshots_have_owners(at: Place) -> bool:
    at.snapshot()
    return not at.ec2.describe_snapshots(OwnerIds=["111122223333"])["Snapshots"]


@drops("MOTO_EC2_LOAD_DEFAULT_AMIS in corrections/__init__")
def the_account_owns_no_foreign_snapshots(at: Place) -> bool:
    return not own(at.client("us-west-1"))


@drops("snapshots.COPY_VOLUME_ID")
def a_copy_has_an_arbitrary_volume_id(at: Place) -> bool:
    return at.shown(_copied(at), "eu-west-1")["VolumeId"] == "vol-ffffffff"


def _copied(at: Place, **more: Any) -> str:
    made = at.client("eu-west-1").copy_snapshot(
        SourceRegion="us-east-1", SourceSnapshotId=at.snapshot(), **more
    )
    return str(made["SnapshotId"])


@drops("snapshot_calls.copy_snapshot")
def a_copy_can_be_encrypted(at: Place) -> bool:
    return bool(at.shown(_copied(at, Encrypted=True), "eu-west-1")["Encrypted"])


@drops("kms.key_problem")
def a_copy_under_a_bad_key_ends_in_error(at: Place) -> bool:
    copy = _copied(at, Encrypted=True, KmsKeyId="nonsense")
    at.advance(10)
    shown = at.shown(copy, "eu-west-1")
    return shown["State"] == "error" and bool(shown.get("StateMessage"))


@drops("volume_calls.create_volume")
def a_volume_under_a_bad_key_vanishes(at: Place) -> bool:
    made = at.ec2.create_volume(
        AvailabilityZone="us-east-1a", Size=1, Encrypted=True, KmsKeyId="nonsense"
    )
    mine = [{"Name": "volume-id", "Values": [made["VolumeId"]]}]
    (seen,) = at.ec2.describe_volumes(Filters=mine)["Volumes"]
    gone = not at.ec2.describe_volumes(Filters=mine)["Volumes"]
    return seen["State"] == "creating" and gone


@drops("snapshot_calls.copy_snapshot")
def a_pending_snapshot_cannot_be_copied(at: Place) -> bool:
    source = at.ec2.create_snapshot(VolumeId=at.volume())["SnapshotId"]
    copy = at.client("eu-west-1").copy_snapshot
    call = refused(lambda: copy(SourceRegion="us-east-1", SourceSnapshotId=source))
    return call == "IncorrectState"


@drops("snapshots.StrictSnapshot.volume_size")
def a_snapshot_keeps_its_size(at: Place) -> bool:
    volume = at.volume(size=10)
    snapshot = at.ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    at.ec2.modify_volume(VolumeId=volume, Size=20)
    return at.shown(snapshot)["VolumeSize"] == 10


@drops("snapshots.check_description")
def descriptions_are_limited(at: Place) -> bool:
    volume = at.volume()
    call = refused(lambda: at.ec2.create_snapshot(VolumeId=volume, Description="x" * 256))
    return call == "InvalidParameterValue"


@drops("tags.read_tags")
def aws_tags_are_reserved(at: Place) -> bool:
    return _tagging(at, {"aws:x": "1"}) == "InvalidParameterValue"


@drops("tags.read_tags")
def keys_of_tags_are_limited(at: Place) -> bool:
    return _tagging(at, {"k" * 129: "1"}) == "InvalidParameterValue"


@drops("tags.read_tags")
def values_of_tags_are_limited(at: Place) -> bool:
    return _tagging(at, {"k": "v" * 257}) == "InvalidParameterValue"


@drops("tags.read_tags")
def tags_are_what_xml_can_carry(at: Place) -> bool:
    return _tagging(at, {"k": "\x1b[31m"}) == "InvalidParameterValue"


@drops("tags.read_tags")
def a_tag_key_is_given_once(at: Place) -> bool:
    volume = at.volume()
    twice = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
    call = refused(lambda: at.ec2.create_tags(Resources=[volume], Tags=twice))
    return call == "InvalidParameterValue"


@drops("tag_calls.create_tags")
def a_thousand_resources_are_tagged_at_most(at: Place) -> bool:
    many = [at.volume()] * 1001
    tags = [{"Key": "a", "Value": "1"}]
    call = refused(lambda: at.ec2.create_tags(Resources=many, Tags=tags))
    return call == "InvalidParameterValue"


def _tagging(at: Place, tags: dict[str, str]) -> str | None:
    spec = specification("snapshot", tags)
    volume = at.volume()
    return refused(lambda: at.ec2.create_snapshot(VolumeId=volume, TagSpecifications=spec))


def _paged(call: Callable[..., dict[str, Any]], name: str) -> bool:
    first = call(MaxResults=5)
    return len(first[name]) == 5 and bool(first.get("NextToken"))


@drops("paging")
def snapshots_are_paged(at: Place) -> bool:
    for _ in range(7):
        at.snapshot()
    return _paged(
        lambda **given: at.ec2.describe_snapshots(OwnerIds=["self"], **given), "Snapshots"
    )


@drops("paging")
def volumes_are_paged(at: Place) -> bool:
    for _ in range(7):
        at.volume()
    return _paged(at.ec2.describe_volumes, "Volumes")


@drops("paging")
def images_are_paged(at: Place) -> bool:
    for number in range(7):
        _registered(at, f"image {number}")
    return _paged(lambda **given: at.ec2.describe_images(Owners=["self"], **given), "Images")


@drops("paging")
def tags_are_paged(at: Place) -> bool:
    tags = [{"Key": f"k{number}", "Value": ""} for number in range(7)]
    at.ec2.create_tags(Resources=[at.volume()], Tags=tags)
    return _paged(at.ec2.describe_tags, "Tags")


@drops("paging")
def instances_are_paged_one_by_one(at: Place) -> bool:
    at.instance(MinCount=7, MaxCount=7)
    first = at.ec2.describe_instances(MaxResults=5)
    return sum(len(each["Instances"]) for each in first["Reservations"]) == 5


@drops("paging")
def instances_come_unpaged_without_max_results(at: Place) -> bool:
    for _ in range(101):
        at.ec2.run_instances(ImageId=at.image(), MinCount=1, MaxCount=1)
    return len(at.ec2.describe_instances()["Reservations"]) == 101


@drops("paging")
def a_bad_token_is_an_error(at: Place) -> bool:
    call = refused(lambda: at.ec2.describe_snapshots(MaxResults=5, NextToken="nonsense"))
    return call == "InvalidNextToken"


@drops("paging")
def a_page_has_at_least_five(at: Place) -> bool:
    return refused(lambda: at.ec2.describe_snapshots(MaxResults=4)) == "InvalidParameterValue"


@drops("instances.run_instances")
def a_client_token_launches_once(at: Place) -> bool:
    given = {"ImageId": at.image(), "MinCount": 1, "MaxCount": 1, "ClientToken": "once"}
    first, second = at.ec2.run_instances(**given), at.ec2.run_instances(**given)
    return bool(first["Instances"][0]["InstanceId"] == second["Instances"][0]["InstanceId"])


@drops("volumes.create_volume")
def a_client_token_makes_one_volume(at: Place) -> bool:
    return at.volume(ClientToken="once") == at.volume(ClientToken="once")


@drops("instances.run_instances")
def max_count_is_launched(at: Place) -> bool:
    made = at.ec2.run_instances(ImageId=at.image(), MinCount=1, MaxCount=3)
    return len(made["Instances"]) == 3


@drops("instances._image")
def an_unknown_image_is_not_launched(at: Place) -> bool:
    given = {"ImageId": "ami-00000000", "MinCount": 1, "MaxCount": 1}
    return refused(lambda: at.ec2.run_instances(**given)) == "InvalidAMIID.NotFound"


@drops("instances._merged")
def a_data_only_mapping_makes_a_root(at: Place) -> bool:
    mappings = [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 10}}]
    return "/dev/sda1" in volumes_of(at.instance(BlockDeviceMappings=mappings))


@drops("volumes.attach_volume")
def a_volume_in_use_is_not_attached(at: Place) -> bool:
    one, other = at.instance(), at.instance()
    return _attach(at, volumes_of(one)["/dev/sdf"], other) == "VolumeInUse"


@drops("volumes.attach_volume")
def a_volume_of_another_zone_is_not_attached(at: Place) -> bool:
    made = at.ec2.create_volume(AvailabilityZone="us-east-1b", Size=1)["VolumeId"]
    return _attach(at, made, at.instance()) == "InvalidVolume.ZoneMismatch"


@drops("volumes.attach_volume")
def a_device_in_use_is_not_attached_to(at: Place) -> bool:
    return _attach(at, at.volume(), at.instance(), "/dev/sdf") == "InvalidParameterValue"


def _attach(
    at: Place, volume: str, instance: dict[str, Any], device: str = "/dev/sdx"
) -> str | None:
    given = {"VolumeId": volume, "InstanceId": instance["InstanceId"], "Device": device}
    return refused(lambda: at.ec2.attach_volume(**given))


@drops("volumes._of_snapshot")
def a_pending_snapshot_makes_no_volume(at: Place) -> bool:
    snapshot = at.ec2.create_snapshot(VolumeId=at.volume())["SnapshotId"]
    given = {"AvailabilityZone": "us-east-1a", "SnapshotId": snapshot}
    return refused(lambda: at.ec2.create_volume(**given)) == "IncorrectState"


def _registered(at: Place, name: str = "gold") -> tuple[str, str]:
    snapshot = at.snapshot()
    mapping = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}
    image = at.ec2.register_image(
        Name=name, RootDeviceName="/dev/sda1", BlockDeviceMappings=[mapping]
    )
    return str(image["ImageId"]), snapshot


@drops("images.register_image")
def a_registered_image_keeps_its_mappings(at: Place) -> bool:
    image, snapshot = _registered(at)
    shown = at.ec2.describe_images(ImageIds=[image])["Images"][0]
    return bool(shown["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"] == snapshot)


@drops("snapshots.users_of")
def a_snapshot_of_an_image_is_in_use(at: Place) -> bool:
    _, snapshot = _registered(at)
    call = refused(lambda: at.ec2.delete_snapshot(SnapshotId=snapshot))
    return call == "InvalidSnapshot.InUse"


@drops("images.create_image")
def a_created_image_has_all_volumes(at: Place) -> bool:
    image = at.ec2.create_image(InstanceId=at.instance()["InstanceId"], Name="gold")["ImageId"]
    shown = at.ec2.describe_images(ImageIds=[image])["Images"][0]
    return len(shown["BlockDeviceMappings"]) == 2


@drops("images.describe_images")
def disabled_images_are_hidden(at: Place) -> bool:
    image, _ = _registered(at)
    at.ec2.disable_image(ImageId=image)
    hidden = not at.ec2.describe_images(Owners=["self"])["Images"]
    shown = at.ec2.describe_images(Owners=["self"], IncludeDisabled=True)["Images"]
    return hidden and len(shown) == 1


@drops("filters.apply_filters")
def an_unknown_filter_is_an_error(at: Place) -> bool:
    filters = [{"Name": "nonsense", "Values": ["x"]}]
    at.snapshot()
    call = refused(lambda: at.ec2.describe_snapshots(Filters=filters))
    return call == "InvalidParameterValue"


@drops("response._not_implemented")
def an_unknown_filter_of_other_calls_is_an_error(at: Place) -> bool:
    filters = [{"Name": "nonsense", "Values": ["x"]}]
    call = refused(lambda: at.ec2.describe_vpcs(Filters=filters))
    return call == "InvalidParameterValue"


@drops("response._not_served")
def an_unknown_action_is_an_error(at: Place) -> bool:
    return refused(lambda: at.ec2.describe_ipams()) == "InvalidAction"


@drops("snapshots.not_found")
def a_missing_snapshot_has_a_message(at: Place) -> bool:
    try:
        at.ec2.describe_snapshots(SnapshotIds=["snap-00000000"])
    except at.ec2.exceptions.ClientError as error:
        return "snap-00000000" in (error.response["Error"].get("Message") or "")
    return False


@drops("ids.check_ids")
def a_malformed_snapshot_id_is_told(at: Place) -> bool:
    call = refused(lambda: at.ec2.describe_snapshots(SnapshotIds=["snap-xyz"]))
    return call == "InvalidSnapshotID.Malformed"


@drops("ids.check_ids")
def another_kinds_id_is_told(at: Place) -> bool:
    call = refused(lambda: at.ec2.delete_snapshot(SnapshotId="vol-00000000"))
    return call == "InvalidParameterValue"


@drops("regions.describe_regions")
def only_enabled_regions_are_shown(at: Place) -> bool:
    names = [each["RegionName"] for each in at.ec2.describe_regions()["Regions"]]
    return "eu-south-2" not in names


@drops("regions.check_enabled")
def a_region_not_opted_in_to_is_refused(at: Place) -> bool:
    return refused(lambda: at.client("eu-south-2").describe_volumes()) == "OptInRequired"


@drops("locks")
def snapshots_can_be_locked(at: Place) -> bool:
    snapshot = at.snapshot()
    given = {"SnapshotId": snapshot, "LockMode": "governance", "LockDuration": 7}
    if refused(lambda: at.ec2.describe_locked_snapshots()) is not None:
        return False
    try:
        at.ec2.lock_snapshot(**given)
    except Exception:  # noqa: BLE001 - moto raises its own here
        return False
    return refused(lambda: at.ec2.delete_snapshot(SnapshotId=snapshot)) == "SnapshotLocked"


@drops("tiers.modify_snapshot_tier")
def a_pending_snapshot_is_not_archived(at: Place) -> bool:
    snapshot = at.ec2.create_snapshot(VolumeId=at.volume())["SnapshotId"]
    given = {"SnapshotId": snapshot, "StorageTier": "archive"}
    return refused(lambda: at.ec2.modify_snapshot_tier(**given)) == "IncorrectState"


@drops("quotas.SnapshotQuota")
def five_pending_snapshots_of_a_volume_are_the_limit(at: Place) -> bool:
    volume = at.volume()
    for _ in range(5):
        at.ec2.create_snapshot(VolumeId=volume)
    call = refused(lambda: at.ec2.create_snapshot(VolumeId=volume))
    return call == "ConcurrentSnapshotLimitExceeded"


@drops("snapshot_calls._check_copies")
def twenty_copies_at_a_time_are_the_limit(at: Place) -> bool:
    source = at.snapshot()
    given = {"SourceRegion": "us-east-1", "SourceSnapshotId": source}
    there = at.client("eu-west-1")
    for _ in range(20):
        there.copy_snapshot(**given)
    return refused(lambda: there.copy_snapshot(**given)) == "ResourceLimitExceeded"


@drops("parameters.public_parameter")
def canonicals_images_are_in_ssm(at: Place) -> bool:
    name = "/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id"
    found = at.client(service="ssm").get_parameters(Names=[name])["Parameters"]
    return len(found) == 1


@drops("images._public_images")
def there_is_an_ubuntu_of_2024(at: Place) -> bool:
    filters = [{"Name": "name", "Values": ["ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-*"]}]
    return bool(at.ec2.describe_images(Owners=["099720109477"], Filters=filters)["Images"])


@drops("instance_calls.modify_instance_attribute")
def what_a_shutdown_does_can_be_changed(at: Place) -> bool:
    instance = at.instance(InstanceInitiatedShutdownBehavior="terminate")
    which = {"InstanceId": instance["InstanceId"]}
    at.ec2.modify_instance_attribute(**which, InstanceInitiatedShutdownBehavior={"Value": "stop"})
    attribute = "instanceInitiatedShutdownBehavior"
    now = at.ec2.describe_instance_attribute(**which, Attribute=attribute)
    return bool(now["InstanceInitiatedShutdownBehavior"]["Value"] == "stop")


@drops("key_pairs.KeyPairCalls")
def a_key_pair_is_deleted_by_its_id(at: Place) -> bool:
    made = at.ec2.create_key_pair(KeyName="some", KeyType="ed25519")
    at.ec2.delete_key_pair(KeyPairId=made["KeyPairId"])
    return not at.ec2.describe_key_pairs()["KeyPairs"]


@drops("dry_runs")
def a_dry_run_of_any_action_changes_nothing(at: Place) -> bool:
    before = at.ec2.describe_subnets()["Subnets"]
    vpc = at.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    given = {"VpcId": vpc, "CidrBlock": "172.31.240.0/24"}
    call = refused(lambda: at.ec2.create_subnet(DryRun=True, **given))
    return bool(call == "DryRunOperation" and at.ec2.describe_subnets()["Subnets"] == before)


@drops("encryption.EncryptionCalls")
def the_default_key_is_told(at: Place) -> bool:
    try:
        return bool(at.ec2.get_ebs_default_kms_key_id()["KmsKeyId"] == "alias/aws/ebs")
    except Exception:  # noqa: BLE001 - moto raises its own here
        return False


@drops("recycle_bin (not in corrections)")
def the_recycle_bin_lists_its_rules(at: Place) -> bool:
    try:
        found = at.client(service="rbin").list_rules(ResourceType="EBS_SNAPSHOT")
    except Exception:  # noqa: BLE001 - moto raises its own here
        return False
    return found["Rules"] == []


def _is_listed(at: Place, listing: str) -> bool:
    try:
        getattr(at.ec2, listing)()
    except Exception:  # noqa: BLE001 - moto raises its own here
        return False
    return True


@drops("recycle_bin_calls.RecycleBinCalls")
def deleted_snapshots_in_the_bin_are_listed(at: Place) -> bool:
    return _is_listed(at, "list_snapshots_in_recycle_bin")


@drops("recycle_bin_calls.RecycleBinCalls")
def deleted_volumes_in_the_bin_are_listed(at: Place) -> bool:
    return _is_listed(at, "list_volumes_in_recycle_bin")


@drops("kms (not in corrections)")
def kms_honours_dry_runs(at: Place) -> bool:
    kms = at.client(service="kms")
    given = {"KeyId": "alias/aws/ebs", "KeySpec": "AES_256", "DryRun": True}
    asked = refused(lambda: kms.generate_data_key_without_plaintext(**given))
    return asked == "DryRunOperationException"


def registered(at: Place, **more: Any) -> dict[str, Any]:
    """Answers what an image is to be registered with."""
    snapshot = at.ec2.create_snapshot(VolumeId=at.volume())["SnapshotId"]
    return {
        "Name": "mine",
        "Architecture": "x86_64",
        "RootDeviceName": "/dev/sda1",
        "VirtualizationType": "hvm",
        "EnaSupport": True,
        "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}],
    } | more


def launched(at: Place, instance_type: str, **more: Any) -> str:
    """Launches an instance of an image that is registered for it; answers EC2's refusal."""
    made = at.ec2.register_image(**registered(at, **more))["ImageId"]
    at.advance(3600)
    return refused(lambda: at.instance(ImageId=made, InstanceType=instance_type))


@drops("image_calls.ImageCalls._new_name")
def an_images_name_may_not_hold_just_anything(at: Place) -> bool:
    given = registered(at, Name="web: 03:00")
    return refused(lambda: at.ec2.register_image(**given)) == "InvalidAMIName.Malformed"


@drops("fitness.check_fit")
def a_type_needs_an_image_of_its_architecture(at: Place) -> bool:
    return launched(at, "m6g.large") == "InvalidParameterValue"


@drops("fitness.check_fit")
def a_nitro_type_needs_an_image_with_ena(at: Place) -> bool:
    return launched(at, "m5.large", EnaSupport=False) == "InvalidParameterCombination"


@drops("launch_settings.take_settings")
def an_instance_keeps_the_settings_of_its_launch(at: Place) -> bool:
    made = at.instance(
        InstanceType="m5.large",
        Placement={"Tenancy": "dedicated"},
        CpuOptions={"CoreCount": 1, "ThreadsPerCore": 1},
        MaintenanceOptions={"AutoRecovery": "disabled"},
    )
    return (
        made["Placement"]["Tenancy"] == "dedicated"
        and made.get("CpuOptions") == {"CoreCount": 1, "ThreadsPerCore": 1}
        and made.get("MaintenanceOptions", {}).get("AutoRecovery") == "disabled"
    )


@drops("launch_settings.check_settings")
def a_type_takes_only_its_own_cpus(at: Place) -> bool:
    cpus = {"CoreCount": 3, "ThreadsPerCore": 1}
    given = {"InstanceType": "m5.large", "CpuOptions": cpus}
    return refused(lambda: at.instance(**given)) == "InvalidParameterValue"


@drops("launch_settings.check_settings")
def beside_a_disabled_endpoint_no_metadata_option_is_taken(at: Place) -> bool:
    options = {"HttpEndpoint": "disabled", "HttpTokens": "required"}
    given = {"MetadataOptions": options}
    return refused(lambda: at.instance(**given)) == "InvalidParameterCombination"


@drops("launch_settings.change_metadata")
def a_changed_metadata_option_leaves_the_others(at: Place) -> bool:
    made = at.instance(MetadataOptions={"HttpTokens": "required"})["InstanceId"]
    at.ec2.modify_instance_metadata_options(InstanceId=made, HttpEndpoint="disabled")
    return bool(at.describe(made)["MetadataOptions"].get("HttpTokens") == "required")


@drops("instance_calls.InstanceCalls.modify_instance_metadata_defaults")
def the_accounts_metadata_defaults_hold(at: Place) -> bool:
    asked = refused(lambda: at.ec2.modify_instance_metadata_defaults(HttpTokens="required"))
    return not asked and at.instance()["MetadataOptions"]["HttpTokens"] == "required"


@drops("launch_settings.take_settings")
def an_image_may_require_imdsv2(at: Place) -> bool:
    made = at.ec2.register_image(**registered(at, ImdsSupport="v2.0"))["ImageId"]
    at.advance(3600)
    shown = at.instance(ImageId=made, InstanceType="m5.large", BlockDeviceMappings=[])
    options = shown["MetadataOptions"]
    return (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 2)


@drops("instance_calls.InstanceCalls.modify_instance_attribute")
def the_check_of_an_instance_is_that_of_its_interface(at: Place) -> bool:
    made = at.instance()["InstanceId"]
    at.ec2.modify_instance_attribute(InstanceId=made, SourceDestCheck={"Value": False})
    return at.describe(made)["NetworkInterfaces"][0]["SourceDestCheck"] is False


@drops("paging.check_page_size")
def a_page_may_be_too_large(at: Place) -> bool:
    asked = refused(lambda: at.ec2.describe_instance_types(MaxResults=1000))
    return asked == "InvalidParameterValue"
