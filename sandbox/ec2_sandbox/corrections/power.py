"""Starting, stopping and ending instances that have real bodies; others are moto's to switch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from ec2_sandbox.corrections.backend_part import BackendPart
from ec2_sandbox.errors import ApiError

Changed = list[tuple[Any, Any]]


class StrictPower(BackendPart):
    """Of the backend: what changes an instance's state."""

    def start_instances(self, instance_ids: Sequence[str]) -> Changed:
        """Boots stopped instances; running ones stay as they are."""
        hosts = self.world.hosts
        if hosts is None:
            return super().start_instances(instance_ids)
        found = self._of(instance_ids, ("stopped", "running", "pending"), "started")
        return [
            _changed(each, hosts.start if each.state == "stopped" else _nothing) for each in found
        ]

    def stop_instances(self, instance_ids: Sequence[str], *, force: bool = False) -> Changed:
        """Shuts instances down, or cuts their power."""
        hosts = self.world.hosts
        if hosts is None:
            return super().stop_instances(instance_ids)
        found = self._of(instance_ids, ("stopped", "running", "pending", "stopping"), "stopped")
        for each in found:
            if each.disable_api_stop:
                raise ApiError(
                    "OperationNotPermitted",
                    f"The instance '{each.id}' may not be stopped. Modify its 'disableApiStop' "
                    "instance attribute and try again.",
                )
        return [
            _changed(
                each, lambda it: None if it.state == "stopped" else hosts.stop(it, force=force)
            )
            for each in found
        ]

    def reboot_instances(self, instance_ids: Sequence[str]) -> list[Any]:
        """Shuts running instances down and boots them."""
        hosts = self.world.hosts
        if hosts is None:
            return super().reboot_instances(instance_ids)
        found = self._of(instance_ids, ("running", "pending"), "rebooted")
        for each in found:
            hosts.reboot(each)
        return found

    def terminate_instances(self, instance_ids: Sequence[str]) -> Changed:
        """Ends instances."""
        hosts = self.world.hosts
        if hosts is None:
            return super().terminate_instances(instance_ids)
        found = self._of(instance_ids, None, "terminated")
        for each in found:
            if each.disable_api_termination:
                raise ApiError(
                    "OperationNotPermitted",
                    f"The instance '{each.id}' may not be terminated. Modify its "
                    "'disableApiTermination' instance attribute and try again.",
                )
        ended = ("terminated", "shutting-down")
        return [
            _changed(each, _nothing if each.state in ended else hosts.terminate) for each in found
        ]

    def _of(
        self, instance_ids: Sequence[str], states: Sequence[str] | None, verb: str
    ) -> list[Any]:
        """Answers instances that are in a state to be changed, all or none."""
        found: list[Any] = self.get_multi_instances_by_id(instance_ids)
        for each in found:
            if states is not None and each.state not in states:
                raise ApiError(
                    "IncorrectInstanceState",
                    f"The instance '{each.id}' is not in a state from which it can be {verb}.",
                )
        return found


def _changed(instance: Any, change: Callable[[Any], None]) -> tuple[Any, Any]:
    """Changes an instance; answers it and the state that it was in."""
    before = copy.copy(instance.instance_state)
    change(instance)
    return instance, before


def _nothing(_instance: Any) -> None:
    return None
