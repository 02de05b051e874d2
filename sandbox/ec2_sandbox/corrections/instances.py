"""Instances: found by an index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ec2_sandbox.corrections.backend_part import BackendPart
from ec2_sandbox.errors import ApiError


class StrictInstances(BackendPart):
    """Of the backend: instances are found by an index, not by a walk through all of them."""

    def init_instances(self) -> None:
        """Starts with an empty index and no remembered client tokens."""
        self._index: dict[str, Any] = {}
        self._indexed: set[str] = set()
        self.metadata_defaults: dict[str, Any] = {}
        self.instance_tokens: dict[str, tuple[str, Any]] = {}

    def index(self) -> dict[str, Any]:
        """Answers all instances by their ids; takes in what moto has launched meanwhile."""
        if len(self._indexed) != len(self.reservations):
            for reservation in self.reservations.values():
                if reservation.id not in self._indexed:
                    self.take_in(reservation)
        return self._index

    def take_in(self, reservation: Any) -> None:
        """Puts a reservation and its instances into the world and its index."""
        self.reservations[reservation.id] = reservation
        for instance in reservation.instances:
            instance.reservation_id = reservation.id
            instance.sequence = self.world.next_sequence()
            self._index[instance.id] = instance
        self._indexed.add(reservation.id)

    def drop_half_launched(self) -> None:
        """Takes back what moto made for a launch that then failed."""
        for reservation_id in [each for each in self.reservations if each not in self._indexed]:
            for instance in self.reservations.pop(reservation_id).instances:
                for block in instance.block_device_mapping.values():
                    self.volumes.pop(block.volume_id, None)
                    if self.world.hosts is not None:
                        self.world.hosts.deleted(block.volume_id)
                for interface in instance.nics.values():
                    self.enis.pop(interface.id, None)

    def get_instance(self, instance_id: str) -> Any:
        """Answers an instance by its id.

        :raises ApiError: ``InvalidInstanceID.NotFound``
        """
        instance = self.get_instance_by_id(instance_id)
        if instance is None:
            raise ApiError(
                "InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist"
            )
        return instance

    def get_instance_by_id(self, instance_id: str) -> Any:
        """Answers an instance by its id, or None; looks into a launch still under way, too."""
        found = self._index.get(instance_id)
        if found is not None:
            return found
        for reservation_id in reversed(self.reservations):
            if reservation_id in self._indexed:
                break
            for instance in self.reservations[reservation_id].instances:
                if instance.id == instance_id:
                    return instance
        return None

    def get_multi_instances_by_id(
        self, instance_ids: Sequence[str], filters: Any = None
    ) -> list[Any]:
        """Answers several instances by their ids."""
        found = [self.get_instance(each) for each in instance_ids]
        return [each for each in found if each.applies(filters)]
