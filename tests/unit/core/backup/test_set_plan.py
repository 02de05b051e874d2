"""What belongs to a set, where volumes come and go between the plan and the call."""

from __future__ import annotations

from snapback.core.backup.set_plan import Earmark, Membership, SetPlan, membership, plan_set
from snapback.core.model import Instance
from tests.unit.builders import instance, vol, volume

SDA, SDF, SDG = "/dev/sda1", "/dev/sdf", "/dev/sdg"
A, B, C = vol("a"), vol("b"), vol("c")


def web(**devices: str) -> Instance:
    return instance(root_device_name=SDA, devices={f"/dev/{d}": v for d, v in devices.items()})


def plan(before: Instance) -> SetPlan:
    volumes = {v: volume(v[-1]) for v in before.devices.values()}
    return plan_set(before, volumes, Earmark("snapback:exclude", ()), "run-1")


WHOLE = plan(web(sda1=A, sdf=B))


def test_all_as_planned() -> None:
    assert membership(WHOLE, [A, B], None) == Membership({SDA: A, SDF: B})


def test_only_what_ec2_says_is_detached_is_no_longer_missing() -> None:
    assert membership(WHOLE, [A], web(sda1=A)) == Membership({SDA: A}, detached=(B,))
    still = membership(WHOLE, [A], web(sda1=A, sdf=B))
    assert still == Membership({SDA: A, SDF: B}, missing=(B,))
    unknown = membership(WHOLE, [A], None)
    assert unknown == Membership({SDA: A, SDF: B}, missing=(B,))


def test_what_has_a_snapshot_stays_although_it_is_detached_after_the_call() -> None:
    assert membership(WHOLE, [A, B], web(sda1=A)) == Membership({SDA: A, SDF: B})


def test_what_was_attached_belongs_to_it() -> None:
    found = membership(WHOLE, [A, B, C], web(sda1=A, sdf=B, sdg=C))
    assert found == Membership({SDA: A, SDF: B, SDG: C}, attached=(C,))
    again = membership(WHOLE, [A, C], web(sda1=A, sdf=C))
    assert again == Membership({SDA: A, SDF: C}, detached=(B,), attached=(C,))
    gone = membership(WHOLE, [A, B, C], web(sda1=A, sdf=B))
    assert gone == Membership({SDA: A, SDF: B}, attached=(C,), unknown=(C,))


def test_a_volume_has_one_device() -> None:
    assert membership(WHOLE, [A, B], web(sda1=A, sdg=B)).devices == {SDA: A, SDG: B}


def test_a_set_without_a_root_volume_is_never_whole() -> None:
    assert membership(WHOLE, [B], web(sdf=B)) == Membership({SDA: A, SDF: B}, missing=(A,))
    replaced = membership(WHOLE, [C, B], web(sda1=C, sdf=B))
    assert replaced == Membership({SDA: C, SDF: B}, detached=(A,), attached=(C,))


def test_what_is_excluded_or_shared_is_not_missing() -> None:
    before = web(sda1=A, sdf=B, sdg=C)
    volumes = {A: volume("a"), B: volume("b", {"snapback:exclude": ""}), C: volume("c")}
    shared = plan_set(
        before, volumes, Earmark("snapback:exclude", ()), "run-1", shared={C: "i-" + "1" * 17}
    )
    assert membership(shared, [A], before) == Membership({SDA: A})
