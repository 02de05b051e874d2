"""What can be had of volumes that other instances may write to."""

from __future__ import annotations

from snapback.core.backup.freeze_plan import plan_freeze
from snapback.core.disks.devices import BlockDevice, FileSystem, Layout
from snapback.core.model import Consistency
from tests.unit.builders import vol


def layout(letter: str, *systems: FileSystem) -> Layout:
    device = BlockDevice(kname=letter, path=f"/dev/{letter}", maj_min=letter)
    return Layout(
        volume_id=vol(letter),
        device_name=f"/dev/sd{letter}",
        block_device=device,
        file_systems=systems,
    )


def system(maj_min: str, fs_type: str, path: str) -> FileSystem:
    return FileSystem(maj_min=maj_min, source=path, fs_type=fs_type, mount_points=(path,))


def test_a_file_system_that_is_partly_on_a_shared_volume_is_no_better() -> None:
    both, own = system("0:40", "btrfs", "/both"), system("259:1", "ext4", "/own")
    layouts = {vol(x): layout(x, *s) for x, s in {"a": [both], "b": [both], "c": [own]}.items()}
    plan = plan_freeze(layouts, freeze_root=True, shared={vol("a"): "i-b may write to it"})
    assert plan.shortcomings == [
        f"{vol('a')}: i-b may write to it",
        f"{vol('b')}: /both is also on {vol('a')}: i-b may write to it",
    ]
    assert {volume: plan.verdict(volume, held=True, application=True) for volume in layouts} == {
        vol("a"): Consistency.CRASH,
        vol("b"): Consistency.CRASH,
        vol("c"): Consistency.APPLICATION,
    }
