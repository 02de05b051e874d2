"""Which settings a restored instance gets, and what is told of the others; decided without EC2."""

from __future__ import annotations

import json
from typing import Any

import pytest

from snapback.core.model import original
from snapback.core.model.launch_options import UNREADABLE
from snapback.core.model.original import Original
from snapback.core.restore.options_plan import (
    Cores,
    OptionsPlan,
    lost_in,
    of_drill,
    plan_options,
    told_not_restored,
    told_options,
)
from tests.unit.builders import instance

UNRECORDED = {"termination_protection": None, "stop_protection": None}


def planned(options: dict[str, Any], cores: Cores | None = None, **more: Any) -> OptionsPlan:
    told = Original(told=True, options=options)
    where = {"same_type": True, "same_subnet": True, **more}
    return plan_options(told, "m5.large", cores, **where)


def test_settings_are_written_and_read_again() -> None:
    options = {"http_tokens": "required", "source_dest_check": False, "core_count": 2}
    lost = {"elastic_ip": "203.0.113.7"}
    written = original.write(instance(options=options, unrestorable=lost), {}, [])
    told = original.read(written)
    assert (told.options, told.unrestorable) == (options, lost)
    assert original.read(original.write(instance(), {}, [])).options == {}
    assert original.read({"snapback:restore": "{}"}).options is None


@pytest.mark.parametrize(
    ("said", "good", "unreadable"),
    [
        ({"options": []}, None, None),
        ({"options": {"http_tokens": "optional"}}, {}, "http_tokens"),
        ({"options": {"tenancy": "host", "monitoring": True}}, {"monitoring": True}, "tenancy"),
        ({"options": {"monitoring": 1, "core_count": True}}, {}, "core_count monitoring"),
        ({"options": {"http_put_response_hop_limit": 65}}, {}, "http_put_response_hop_limit"),
        ({"options": {"of_the_future": "x"}}, {}, "of_the_future"),
        ({"options": {"\x1b[2J": 1}}, {}, "damaged"),
        ({"options": {}, "unrestorable": {"elastic_ip": "\n"}}, {}, "elastic_ip"),
        ({"options": {}, "unrestorable": {"elastic_ip": {}}}, {}, "elastic_ip"),
        ({"options": {}, "unrestorable": 3}, {}, None),
    ],
)
def test_what_is_damaged_is_not_known_and_told(said: Any, good: Any, unreadable: Any) -> None:
    told = original.read({"snapback:restore": json.dumps(said)})
    assert (told.options, told.unrestorable.get(UNREADABLE)) == (good, unreadable)


def test_huge_texts_are_cut() -> None:
    said = {"options": {"x" * 500: 1}, "unrestorable": {"elastic_ip": "y" * 500}}
    told = original.read({"snapback:restore": json.dumps(said)})
    assert all(len(text) <= 100 for text in told.unrestorable.values())


def test_imdsv2_is_never_sent_without_its_hop_limit() -> None:
    required = {"http_tokens": "required"}
    assert planned(required).options == required | {"http_put_response_hop_limit": 1}
    three = required | {"http_put_response_hop_limit": 3}
    assert planned(three).options == three


def test_beside_a_disabled_endpoint_nothing_is_sent() -> None:
    plan = planned({"http_endpoint": "disabled", "http_tokens": "required"})
    assert plan.options == {"http_endpoint": "disabled"}
    assert plan.not_restored == {"http_tokens": "HttpTokens required", **UNRECORDED}


@pytest.mark.parametrize(
    ("cores", "sent", "lost"),
    [
        (Cores(2, 2), set(), set()),
        (Cores(4, 2), {"core_count", "threads_per_core"}, set()),
        (None, set(), {"core_count", "threads_per_core"}),
    ],
)
def test_cpus_are_sent_if_they_were_chosen(cores: Any, sent: Any, lost: Any) -> None:
    plan = planned({"core_count": 2, "threads_per_core": 2}, cores)
    assert plan.options.keys() == sent
    assert plan.not_restored.keys() - UNRECORDED.keys() == lost
    half = planned({"core_count": 2}, cores)
    assert half.options == {}


def test_what_another_type_or_subnet_may_refuse_is_listed() -> None:
    of_type = {"ebs_optimized": True, "enclave": True, "bandwidth_weighting": "ebs-1"}
    of_subnet = {"hostname_type": "resource-name"}
    others = {"monitoring": True, "tenancy": "dedicated"}
    every = of_type | of_subnet | others
    assert planned(every).options == every
    assert planned(every, same_type=False).options == of_subnet | others
    assert planned(every, same_subnet=False).options == of_type | others


def test_credits_are_of_burstable_types_only() -> None:
    told = Original(told=True, options={})
    for kind, burstable in {"t3.small": True, "t2.nano": True, "trn1.2xlarge": False}.items():
        plan = plan_options(told, kind, None, same_type=True, same_subnet=True)
        assert ("cpu_credits" in plan.not_restored) == burstable


def test_a_drill_boots_with_what_it_needs_and_costs_nothing_more() -> None:
    assert of_drill({"monitoring": True, "tenancy": "dedicated", "source_dest_check": False}) == {}
    kept = {"http_tokens": "required", "http_put_response_hop_limit": 3, "enclave": True}
    assert of_drill(kept) == kept
    assert of_drill({"http_endpoint": "disabled"}) == {
        "http_tokens": "required",
        "http_put_response_hop_limit": 1,
    }


def test_what_is_lost_is_seen_by_what_was_made() -> None:
    plan = planned({"core_count": 2, "threads_per_core": 1, "http_tokens": "required"})
    made = {"core_count": 2, "threads_per_core": 2, "http_tokens": "required"}
    lost = {"threads_per_core": "threads per core 1", **UNRECORDED}
    assert lost_in(plan, made) == lost
    weaker = {"core_count": 2, "threads_per_core": 1, "http_put_response_hop_limit": 2}
    assert lost_in(plan, weaker).keys() - lost.keys() == {
        "http_tokens",
        "http_put_response_hop_limit",
    }
    unknown = plan_options(Original(), "t3.small", None, same_type=True, same_subnet=True)
    assert lost_in(unknown, {"http_tokens": "required"}) == {"settings": None}


def test_it_is_told_in_one_line() -> None:
    plan = OptionsPlan(
        {"http_tokens": "required", "source_dest_check": False},
        {"elastic_ip": "203.0.113.7", "enclave": "Nitro Enclaves on", "cpu_credits": None},
    )
    assert list(map(str, told_options(plan.options))) == [
        "HttpTokens required, source/destination check off, as the original"
    ]
    assert list(map(str, told_not_restored(plan.not_restored))) == [
        "not restored: Elastic IP 203.0.113.7, Nitro Enclaves on; not recorded: CPU credits"
    ]
    assert told_options({}) == told_not_restored({}) == []
