"""Which tags volumes get from their instances, in how few calls."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from snapback.core.backup.volume_tags import VolumeTags, plan_volume_tags, settings_for
from snapback.core.model import Instance, Volume
from tests.unit.builders import an_instance, vol, volume

KEYS = st.sampled_from(
    [*"abcdef", "aws:x", "dlm:managed", "snapback:set", "preserve_snapshot", "NoBackup", "Name"]
)
TAGS = st.dictionaries(KEYS, st.sampled_from("xyz"))


def plan(*instances: Instance, volumes: Mapping[str, Mapping[str, str]]) -> dict[str, VolumeTags]:
    """Answer the plans by the letters of the volumes."""
    found: dict[str, Volume] = {vol(x): volume(x, tags) for x, tags in volumes.items()}
    plans = plan_volume_tags(
        instances, found, first=("Earmarking", "Retention"), exclude_tag="NoBackup"
    )
    return {each.volume.volume_id[-1]: each for each in plans}


def test_the_instances_value_goes_first_and_the_volumes_own_stay() -> None:
    web = an_instance("web", "a", tags={"Name": "web", "Env": "prod"})
    found = plan(web, volumes={"a": {"Name": "data", "Own": "1"}})
    assert found["a"].tags == {"Env": "prod", "Name": "web"}
    assert found["a"].shortcomings == ""


def test_what_is_so_already_is_left_alone() -> None:
    web = an_instance("web", "a", tags={"Name": "web"})
    found = plan(web, volumes={"a": {"Name": "web", "Own": "1"}})
    assert found["a"].tags == {}
    assert settings_for(found.values()) == []


def test_tags_of_others_and_ours_are_never_cloned() -> None:
    never = ["aws:x", "dlm:managed", "snapback:set", "preserve_snapshot", "NoBackup"]
    web = an_instance("web", "a", tags={**dict.fromkeys(never, "x"), "Env": "prod"})
    assert plan(web, volumes={"a": {}})["a"].tags == {"Env": "prod"}


def test_what_finds_no_room_is_told_and_the_earmark_goes_first() -> None:
    tags = {**{f"key-{n:02}": "x" for n in range(20)}, "Retention": "short", "own-00": "new"}
    web = an_instance("web", "a", tags=tags)
    full = {**{f"own-{n:02}": "x" for n in range(40)}, "aws:x": "y"}
    found = plan(web, volumes={"a": full})["a"]
    assert set(found.tags) == {"own-00", "Retention", *(f"key-{n:02}" for n in range(9))}
    assert found.no_room == tuple(f"key-{n:02}" for n in range(9, 20))
    assert "no room among its 50 tags for key-09, key-10" in found.shortcomings


def test_instances_that_share_a_volume_have_to_agree() -> None:
    one = an_instance("one", "a", tags={"Env": "prod", "Name": "one"})
    two = an_instance("two", "a", tags={"Env": "prod", "Name": "two", "More": "x"})
    found = plan(one, two, volumes={"a": {}})["a"]
    assert found.tags == {"Env": "prod", "More": "x"}
    assert found.shortcomings == "i-one, i-two don't agree on Name"


def test_a_volume_that_can_not_be_seen_is_left_alone() -> None:
    assert list(plan(an_instance("web", "a", "b"), volumes={"b": {}})) == ["b"]


def test_there_is_one_call_for_each_distinct_set_of_tags() -> None:
    web = an_instance("web", "a", "b", tags={"Env": "prod"})
    db = an_instance("db", "c", "d", tags={"Env": "prod"})
    dev = an_instance("dev", "e", tags={"Env": "dev"})
    volumes = {"a": {}, "b": {"Own": "x"}, "c": {}, "d": {"Env": "prod"}, "e": {}}
    calls = settings_for(plan(web, db, dev, volumes=volumes).values())
    assert [(call.volume_ids, call.tags) for call in calls] == [
        ((vol("a"), vol("b"), vol("c")), {"Env": "prod"}),
        ((vol("e"),), {"Env": "dev"}),
    ]


def test_a_call_takes_a_thousand_volumes() -> None:
    web = an_instance("web", tags={"Env": "prod"})
    many = (Volume(place=web.place, volume_id=f"vol-{number}") for number in range(2001))
    plans = [VolumeTags(volume=one, instances=(web,), tags={"a": "b"}) for one in many]
    assert [len(call.volume_ids) for call in settings_for(plans)] == [1000, 1000, 1]


@given(TAGS, TAGS, TAGS)
def test_done_once_nothing_is_left_to_do(
    first: dict[str, str], second: dict[str, str], own: dict[str, str]
) -> None:
    instances = an_instance("one", "a", tags=first), an_instance("two", "a", tags=second)
    found = plan(*instances, volumes={"a": own})["a"]
    after = {**own, **found.tags}
    assert own.keys() <= after.keys()
    assert plan(*instances, volumes={"a": after})["a"].tags == {}
    changed = {key for key in found.tags if own.get(key) != found.tags[key]}
    assert changed == found.tags.keys() <= {*"abcdef", "Name"}
