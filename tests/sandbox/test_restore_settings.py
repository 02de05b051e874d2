"""Settings of an original: what a restore sets, what it can't give, and what nobody recorded."""

from __future__ import annotations

from typing import Any

import pytest

from snapback.core.model import tags as our_tags
from tests.sandbox.replicas import EAST, WEST
from tests.sandbox.test_restore import everything, images, into, replicate, restored_to, say_in_tags

UBUNTU = (
    "resolve:ssm:/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
)
METADATA = {
    "HttpTokens": "required",
    "HttpPutResponseHopLimit": 3,
    "HttpProtocolIpv6": "enabled",
    "InstanceMetadataTags": "enabled",
}
SETTINGS: dict[str, Any] = {
    "MetadataOptions": METADATA,
    "EbsOptimized": True,
    "Monitoring": {"Enabled": True},
    "Placement": {"Tenancy": "dedicated"},
    "CpuOptions": {"CoreCount": 1, "ThreadsPerCore": 1},
    "EnclaveOptions": {"Enabled": True},
    "MaintenanceOptions": {"AutoRecovery": "disabled"},
    "PrivateDnsNameOptions": {
        "HostnameType": "resource-name",
        "EnableResourceNameDnsARecord": True,
    },
    "NetworkPerformanceOptions": {"BandwidthWeighting": "ebs-1"},
    "CapacityReservationSpecification": {"CapacityReservationPreference": "none"},
}
UNRECORDED = {"termination_protection": None, "stop_protection": None}


def launch(world, **settings: Any) -> str:
    """Launch an instance with the earmark and settings; answer its id."""
    tags = [{"Key": "Earmarking", "Value": "production"}, {"Key": "Name", "Value": "web"}]
    ec2 = world.ec2()
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    launched = ec2.run_instances(
        ImageId=UBUNTU,
        InstanceType=settings.pop("InstanceType", "m5.large"),
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        **settings,
    )
    return launched["Instances"][0]["InstanceId"]


def back_up(fab, sandbox) -> None:
    ended = fab("backup_instances_by_tag")
    assert ended.code == 0, ended
    sandbox.complete_all()
    sandbox.clear_calls()


def described(world, instance_id: str) -> dict[str, Any]:
    (reservation,) = world.ec2().describe_instances(InstanceIds=[instance_id])["Reservations"]
    return reservation["Instances"][0]


def test_all_that_a_call_can_set_is_as_it_was(fab, world, sandbox):
    of = launch(world, **SETTINGS)
    unchecked = {"InstanceId": of, "SourceDestCheck": {"Value": False}}
    world.ec2().modify_instance_attribute(**unchecked)
    before = described(world, of)
    back_up(fab, sandbox)
    planned = fab("restore_instance", "--instance-id", of, "--dry-run").out
    assert "HttpTokens required" in planned
    assert "source/destination check off" in planned
    assert "not restored: not recorded: termination protection, stop protection" in planned
    ended = fab("restore_instance", "--instance-id", of, "--json")
    assert ended.code == 0, ended
    made = restored_to(world, ended)
    for group in {*SETTINGS, "SourceDestCheck"} - {"Monitoring"}:
        assert made[group] == before[group], group
    assert made["Monitoring"]["State"] == "enabled"
    assert made["NetworkInterfaces"][0]["SourceDestCheck"] is False
    (item,) = ended.document["items"]
    assert item["not_restored"] == UNRECORDED
    assert item["options"]["http_put_response_hop_limit"] == 3
    (call,) = sandbox.calls("RunInstances")
    assert call.parameters["MetadataOptions.HttpTokens"] == "required"


def test_what_has_the_usual_settings_gets_none_of_its_own(fab, world, sandbox):
    of = launch(world)
    back_up(fab, sandbox)
    ended = fab("restore_instance", "--instance-id", of, "--json")
    assert ended.code == 0, ended
    assert ended.document["items"][0]["options"] == {}
    (call,) = sandbox.calls("RunInstances")
    sent = {name.partition(".")[0] for name in call.parameters}
    assert not sent & ({*SETTINGS} | {"EbsOptimized"})


def test_what_no_call_gives_is_listed(fab, world, sandbox):
    of = launch(world, InstanceType="t3.small", Placement={"GroupName": "db"},
                InstanceMarketOptions={"MarketType": "spot"})  # fmt: skip
    ec2 = world.ec2()
    first = described(world, of)["NetworkInterfaces"][0]
    second = ec2.create_network_interface(SubnetId=first["SubnetId"])["NetworkInterface"]
    ec2.attach_network_interface(
        NetworkInterfaceId=second["NetworkInterfaceId"], InstanceId=of, DeviceIndex=1
    )
    elastic = ec2.allocate_address(Domain="vpc")
    ec2.associate_address(InstanceId=of, AllocationId=elastic["AllocationId"])
    back_up(fab, sandbox)
    lost = {
        "network_interfaces": second["NetworkInterfaceId"],
        "elastic_ip": elastic["PublicIp"],
        "placement_group": "db",
        "purchase_option": "spot",
    }
    told = (
        f"not restored: further network interfaces {lost['network_interfaces']}, "
        f"Elastic IP {lost['elastic_ip']}, placement group db, purchase option spot; "
        "not recorded: termination protection, stop protection, CPU credits"
    )
    assert told in fab("restore_instance", "--instance-id", of, "--dry-run").out
    ended = fab("restore_instance", "--instance-id", of, "--json")
    assert ended.code == 0, ended
    (item,) = ended.document["items"]
    assert item["not_restored"] == lost | UNRECORDED | {"cpu_credits": None}
    assert told in item["explanation"]


def test_another_type_or_subnet_leaves_out_what_it_may_not_take(fab, world, sandbox):
    of = launch(world, **SETTINGS)
    back_up(fab, sandbox)
    other = world.ec2().describe_subnets()["Subnets"][1]["SubnetId"]
    ended = fab("restore_instance", f"--instance-id={of}", "--instance-type=m5.xlarge",
                f"--subnet-id={other}", "--json")  # fmt: skip
    assert ended.code == 0, ended
    made = restored_to(world, ended)
    assert made["MetadataOptions"]["HttpTokens"] == "required"
    assert made["Placement"]["Tenancy"] == "dedicated"
    assert made["EbsOptimized"] is False
    (item,) = ended.document["items"]
    assert item["not_restored"].keys() >= {"ebs_optimized", "core_count", "enclave",
                                           "bandwidth_weighting", "hostname_type"}  # fmt: skip
    assert "EBS optimization on" in item["explanation"]


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("chosen", [True, False])
def test_usual_cpus_are_told_from_chosen_ones(known, chosen, fab, world, sandbox):
    """Types such as t2 refuse CpuOptions, even those that their instances have."""
    of = launch(world, **SETTINGS) if chosen else launch(world, InstanceType="t2.micro")
    back_up(fab, sandbox)
    if not known:
        sandbox.fault("DescribeInstanceTypes", "error", code="UnauthorizedOperation", count=None)
    planned = fab("restore_instance", "--instance-id", of, "--dry-run").out
    assert ("CPU cores 1" in planned) == (chosen or not known)
    ended = fab("restore_instance", "--instance-id", of, "--json")
    assert ended.code == 0, ended
    lost = "threads_per_core" in ended.document["items"][0]["not_restored"]
    assert lost == (chosen and not known)


def test_what_an_older_version_took_says_so_in_a_line(fab, world, sandbox):
    of = launch(world, **SETTINGS)
    back_up(fab, sandbox)
    for snapshot in world.snapshots():
        told = our_tags.read_long(our_tags.RESTORE, world.tags(snapshot))
        old = {key: value for key, value in told.items() if key not in ("options", "unrestorable")}
        keys = [{"Key": k} for k in world.tags(snapshot) if k.startswith(our_tags.RESTORE)]
        world.ec2().delete_tags(Resources=[snapshot["SnapshotId"]], Tags=keys)
        tags = [
            {"Key": key, "Value": value}
            for key, value in our_tags.write_long(our_tags.RESTORE, old).items()
        ]
        world.ec2().create_tags(Resources=[snapshot["SnapshotId"]], Tags=tags)
    ended = fab("restore_instance", "--instance-id", of, "--json")
    assert ended.code == 0, ended
    (item,) = ended.document["items"]
    assert item["not_restored"] == {"settings": None}
    assert "not restored: not recorded: metadata options and other settings" in item["explanation"]


def test_forged_settings_never_weaken_the_accounts_defaults(fab, world, sandbox):
    of = launch(world)
    back_up(fab, sandbox)
    forged = {"http_tokens": "optional", "http_endpoint": "enabled", "tenancy": "$(id)",
              "http_put_response_hop_limit": 65, "core_count": True, "x\x1b[2J": [{}],
              "monitoring": "yes"}  # fmt: skip
    say_in_tags(world, options=forged)
    world.ec2().modify_instance_metadata_defaults(HttpTokens="required", HttpPutResponseHopLimit=1)
    sandbox.clear_calls()
    ended = fab("restore_instance", "--instance-id", of, "--json")
    assert ended.code == 0, ended
    made = restored_to(world, ended)
    assert made["MetadataOptions"]["HttpTokens"] == "required"
    (call,) = sandbox.calls("RunInstances")
    assert not [name for name in call.parameters if name.startswith(("Metadata", "Placement"))]
    lost = ended.document["items"][0]["not_restored"]
    assert lost["other_settings"].split() == sorted(forged.keys() - {"x\x1b[2J"})
    assert lost["http_tokens"] == "HttpTokens optional, but required by the account's default"


def test_without_a_metadata_endpoint_there_is_none(fab, world, sandbox):
    of = launch(world, MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 9})
    world.ec2().modify_instance_metadata_options(InstanceId=of, HttpEndpoint="disabled")
    back_up(fab, sandbox)
    ended = fab("restore_instance", "--instance-id", of, "--json")
    assert ended.code == 0, ended
    made = restored_to(world, ended)["MetadataOptions"]
    assert (made["HttpEndpoint"], made["HttpTokens"]) == ("disabled", "required")
    lost = ended.document["items"][0]["not_restored"]
    assert lost == {"http_put_response_hop_limit": "HttpPutResponseHopLimit 9", **UNRECORDED}
    sandbox.clear_calls()
    sandbox.fault("DescribeInstanceStatus", "error", code="InvalidAction")
    fab("restore_instance", "--instance-id", of, "--drill")
    (call,) = sandbox.calls("RunInstances")
    options = {k: v for k, v in call.parameters.items() if k.startswith("MetadataOptions")}
    assert options == {
        "MetadataOptions.HttpTokens": "required",
        "MetadataOptions.HttpPutResponseHopLimit": "1",
    }


def test_an_instance_whose_check_stays_on_is_taken_down(fab, world, sandbox):
    of = launch(world)
    unchecked = {"InstanceId": of, "SourceDestCheck": {"Value": False}}
    world.ec2().modify_instance_attribute(**unchecked)
    back_up(fab, sandbox)
    before = everything(world)
    sandbox.fault("ModifyInstanceAttribute", "error", code="UnauthorizedOperation")
    ended = fab("restore_instance", "--instance-id", of)
    assert ended.code == 1, ended
    assert everything(world) == before


def test_an_ami_requires_imdsv2_where_the_original_did(fab, world, sandbox):
    of = launch(world, MetadataOptions={"HttpTokens": "required"})
    back_up(fab, sandbox)
    assert fab("create_ami", "--instance-id", of).code == 0
    (image,) = images(world)
    assert image["ImdsSupport"] == "v2.0"
    assert fab("restore_instance", "--instance-id", of, "--json").code == 0
    (call,) = sandbox.calls("RunInstances")
    assert call.parameters["MetadataOptions.HttpPutResponseHopLimit"] == "1"


def test_settings_go_along_into_another_region(fab, world, sandbox, configure):
    launch(world, **SETTINGS)
    back_up(fab, sandbox)
    replicate(fab)
    configure(**into(world))
    sandbox.fault("*", "error", region=EAST, code="UnauthorizedOperation", count=None)
    ended = fab("restore_instances_by_tag", WEST, "--json")
    assert ended.code == 0, ended
    made = restored_to(world, ended, WEST)
    assert made["MetadataOptions"] == {"State": "applied", "HttpEndpoint": "enabled", **METADATA}
    assert "hostname_type" in ended.document["items"][0]["not_restored"]
