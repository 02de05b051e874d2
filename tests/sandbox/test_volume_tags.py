"""update_volumes_tags, through the real fab and from Python."""

from __future__ import annotations

import pytest

import snapback
from snapback.errors import ItemsFailed
from snapback.run import use
from tests.sandbox.conftest import changing_calls, instance

pytestmark = pytest.mark.usefixtures("sandbox")

PROD = {"Earmarking": "production", "Environment": 'it\'s "prod" $(x)\né'}


def tags_of(world, volume_id, region="us-east-1"):
    (volume,) = world.ec2(region).describe_volumes(VolumeIds=[volume_id])["Volumes"]
    return {tag["Key"]: tag["Value"] for tag in volume.get("Tags", ())}


def test_it_tags_in_one_call_each_distinct_set_and_then_has_nothing_to_do(
    sandbox, load, fab, world
):
    names = [f"web-{number}" for number in range(5)]
    ids = load(*(instance(name, 8, 8, tags=PROD) for name in names), instance("other", 8, tags={}))
    ended = fab("update_volumes_tags", "--json")
    assert ended.code == 0
    assert len(sandbox.calls("CreateTags")) == 5
    assert {item["outcome"] for item in ended.document["items"]} == {"done"}
    for name in names:
        for volume_id in ids[name]["volumes"].values():
            assert tags_of(world, volume_id) == {**PROD, "Name": name}
    assert tags_of(world, ids["other"]["volumes"]["/dev/sda1"]) == {}
    sandbox.clear_calls()
    again = fab("update_volumes_tags")
    assert again.code == 0
    assert "0 of 10 volumes tagged, 10 ok" in again.out
    assert sandbox.calls("CreateTags") == []


def test_instances_alike_share_a_call(sandbox, load, fab, world):
    alike = {**PROD, "Name": "web"}
    load(*(instance(f"web-{number}", 8, tags=alike) for number in range(30)))
    volumes = world.ec2().describe_volumes()["Volumes"]
    world.ec2().create_tags(
        Resources=[one["InstanceId"] for r in world.ec2().describe_instances()["Reservations"]
                   for one in r["Instances"]],
        Tags=[{"Key": "Name", "Value": "web"}],
    )  # fmt: skip
    sandbox.clear_calls()
    assert fab("update_volumes_tags").code == 0
    (call,) = sandbox.calls("CreateTags")
    assert len([key for key in call.parameters if key.startswith("ResourceId.")]) == 30
    assert all(tags_of(world, volume["VolumeId"]) == alike for volume in volumes)


def test_a_dry_run_says_it_and_changes_nothing(sandbox, load, fab, world):
    data = {"device": "/dev/sda1", "size": 8, "tags": {"Name": "data", "Own": "x"}}
    ids = load(instance("web", volumes=[data], tags=PROD))
    ended = fab("update_volumes_tags", "--dry-run", "--json")
    assert (ended.code, changing_calls(sandbox)) == (0, [])
    item = ended.item(ids["web"]["volumes"]["/dev/sda1"])
    assert item["outcome"] == "would do"
    assert item["instead_of"] == {"Name": "data"}
    assert item["tags"]["Environment"] == PROD["Environment"]
    shown = fab("update_volumes_tags", "--dry-run").out
    assert "Name=web instead of data" in shown
    assert "1 of 1 volumes to be tagged" in shown


def test_what_finds_no_room_is_told_with_exit_code_3(load, fab, world):
    many = {f"key-{number:02}": "x" for number in range(40)}
    own = {f"own-{number:02}": "x" for number in range(30)}
    data = {"device": "/dev/sda1", "size": 8, "tags": own}
    ids = load(instance("web", volumes=[data], tags={**many, "Earmarking": "production"}))
    ended = fab("update_volumes_tags")
    assert ended.code == 3
    assert "partial" in ended.err
    assert "no room among its 50 tags for key-18" in ended.err
    tags = tags_of(world, ids["web"]["volumes"]["/dev/sda1"])
    assert len(tags) == 50
    assert tags["Earmarking"] == "production"


def test_one_region_that_fails_stops_no_other(sandbox, load, fab, world):
    both = {"instances": [instance("web", 8, tags=PROD)]}
    ids = load(**{"us-east-1": both, "eu-west-1": both})
    sandbox.fault("CreateTags", "error", region="us-east-1", code="UnauthorizedOperation",
                  count=None)  # fmt: skip
    ended = fab("update_volumes_tags")
    assert ended.code == 1
    assert "not allowed to call ec2:CreateTags in us-east-1" in ended.err
    there = ids["eu-west-1"]["web"]["volumes"]["/dev/sda1"]
    assert tags_of(world, there, "eu-west-1")["Name"] == "web"


def test_a_volume_that_has_gone_meanwhile_keeps_no_other_from_its_tags(sandbox, load, world, begin):
    alike = {**PROD, "Name": "web"}
    ids = load(instance("web", 8, 8, tags=alike))
    gone = ids["web"]["volumes"]["/dev/sdf"]
    sandbox.fault("CreateTags", "error", code="InvalidVolume.NotFound", count=7)
    with use(begin()):
        outcomes = snapback.update_volumes_tags()
    assert [outcome.word.text for outcome in outcomes] == ["done", "done"]
    assert tags_of(world, gone) == alike


def test_all_instances_or_those_with_another_tag(sandbox, load, fab, world):
    ids = load(instance("web", 8, tags={"Team": "a"}), instance("db", 8, tags={"Team": "b"}))
    none = fab("update_volumes_tags")
    assert none.code == 1
    assert "no instance in " in none.err
    assert "the tag Earmarking=production and an EBS volume" in none.err
    assert fab("update_volumes_tags", "--tag-name", "Team", "--tag-value", "a").code == 0
    assert tags_of(world, ids["web"]["volumes"]["/dev/sda1"]) == {"Team": "a", "Name": "web"}
    assert tags_of(world, ids["db"]["volumes"]["/dev/sda1"]) == {}
    assert fab("update_volumes_tags", "--all-instances").code == 0
    assert tags_of(world, ids["db"]["volumes"]["/dev/sda1"]) == {"Team": "b", "Name": "db"}
    refused = fab("update_volumes_tags", "--all-instances", "--tag-name", "Team")
    assert refused.code == 2
    assert "give one of them" in refused.err


def test_the_helper_answers_or_raises(sandbox, load, begin):
    load(instance("web", 8, tags=PROD))
    with use(begin()):
        (outcome,) = snapback.update_volumes_tags("us-e", dry_run=True)
        assert outcome.word.text == "would do"
        sandbox.fault("CreateTags", "error", code="Nope", status=400, message="why", count=None)
        with pytest.raises(ItemsFailed, match="why"):
            snapback.update_volumes_tags("us-e")
