"""Fleets: what a YAML file says there is, laid out in the sandbox's world.

:mod:`.read` reads and checks a file, :mod:`.spec` is what it says, :mod:`.values` reads its
values, :mod:`.build` makes the resources and :mod:`.history` their past snapshots.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ec2_sandbox.fleet.read import read_fleet

if TYPE_CHECKING:
    from ec2_sandbox.world import World


def lay_out(world: World, content: Mapping[str, Any]) -> dict[str, Any]:
    """Lays a fleet out in a world, in addition to what is there.

    :param content: what the fleet's file says
    :return: region to instance name to ``{"instance_id": ..., "volumes": {device: id}}``
    :raises SandboxError: every problem with its path; nothing is laid out then
    """
    from ec2_sandbox.fleet.build import Builder

    layout = Builder(world, read_fleet(content)).build()
    if world.hosts is not None:
        world.hosts.wait_until_ready(
            [each["instance_id"] for region in layout.values() for each in region.values()]
        )
    return layout


__all__ = ["lay_out", "read_fleet"]
