"""The strict backend: moto's, with every noun's corrections before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.ec2.models import EC2Backend, ec2_backends

from ec2_sandbox.corrections import use_clock
from ec2_sandbox.corrections.images import StrictImages
from ec2_sandbox.corrections.instances import StrictInstances
from ec2_sandbox.corrections.power import StrictPower
from ec2_sandbox.corrections.recycle_bin import StrictRecycleBin
from ec2_sandbox.corrections.snapshots import StrictSnapshots
from ec2_sandbox.corrections.tags import StrictTags
from ec2_sandbox.corrections.volumes import StrictVolumes

if TYPE_CHECKING:
    from ec2_sandbox.world import World


class StrictBackend(
    StrictTags,
    StrictRecycleBin,
    StrictSnapshots,
    StrictVolumes,
    StrictPower,
    StrictInstances,
    StrictImages,
    EC2Backend,  # type: ignore[misc]
):
    """One region's EC2. The world is one a process, as moto's own store of backends is."""

    def __init__(self, region_name: str, account_id: str) -> None:
        self.init_recycle_bin()
        self.init_snapshots()
        self.init_volumes()
        self.init_instances()
        super().__init__(region_name, account_id)
        self.init_images()


def install(world: World) -> None:
    """Make moto use the strict backend, in this world and by its clock, in this process."""
    StrictBackend.world = world
    ec2_backends.backend = StrictBackend
    use_clock(world.clock.now)
