"""What the parts of the strict backend have in common: the world, moto's, and each other's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ec2_sandbox.corrections.snapshot import StrictSnapshot
    from ec2_sandbox.world import World


class BackendPart:
    """One noun's corrections; :class:`.backend.StrictBackend` puts all parts before moto's backend.

    The methods are declared for the type checker only: made here, they would hide moto's.
    """

    world: World
    region_name: str
    account_id: str
    amis: dict[str, Any]
    enis: dict[str, Any]
    reservations: dict[str, Any]
    snapshots: dict[str, StrictSnapshot]
    tags: dict[str, dict[str, str]]
    volumes: dict[str, Any]

    if TYPE_CHECKING:
        # Moto's, which some parts extend

        def get_zone_by_name(self, name: str) -> Any: ...

        def attach_volume(
            self,
            volume_id: str,
            instance_id: str,
            device_path: str,
            delete_on_termination: bool = False,
        ) -> Any: ...

        def detach_volume(self, volume_id: str, instance_id: str, device_path: str) -> Any: ...

        def start_instances(self, instance_ids: Sequence[str]) -> list[tuple[Any, Any]]: ...

        def stop_instances(self, instance_ids: Sequence[str]) -> list[tuple[Any, Any]]: ...

        def reboot_instances(self, instance_ids: Sequence[str]) -> list[Any]: ...

        def terminate_instances(self, instance_ids: Sequence[str]) -> list[tuple[Any, Any]]: ...

        # One part's, which others call

        def get_instance(self, instance_id: str) -> Any: ...

        def get_multi_instances_by_id(self, instance_ids: Sequence[str]) -> list[Any]: ...

        def forget(self, resource_id: str) -> None: ...

        def get_snapshot(self, snapshot_id: str) -> StrictSnapshot: ...

        def get_volume(self, volume_id: str) -> Any: ...

        def keep_deleted(self, resource: Any) -> bool: ...

        def set_tags(self, resource_id: str, tags: Mapping[str, str]) -> None: ...
