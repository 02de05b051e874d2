"""The call about EC2's own checks of instances: DescribeInstanceStatus."""

from __future__ import annotations

from typing import Any

from ec2_sandbox.corrections.answer import Answer
from ec2_sandbox.corrections.filters import apply_filters
from ec2_sandbox.corrections.paging import page
from ec2_sandbox.corrections.response_part import ResponsePart

_REACHABILITY = {"ok": "passed", "impaired": "failed", "initializing": "initializing"}
_FILTERS = {
    "availability-zone": lambda each: each.availability_zone,
    "instance-state-code": lambda each: each.state_code,
    "instance-state-name": lambda each: each.state,
    "instance-status.status": lambda each: _health(each),
    "system-status.status": lambda each: _system(each),
}


class StatusCalls(ResponsePart):
    """Of the response: DescribeInstanceStatus."""

    def describe_instance_status(self) -> Any:
        """Shows how EC2's checks stand, where hosts are real; of running ones unless asked for all.

        Source: DescribeInstanceStatus.
        """
        if self.ec2_backend.world.hosts is None:
            return super().describe_instance_status()
        self.error_on_dryrun()
        backend = self.ec2_backend
        ids = self.params.get("InstanceIds")
        found = [backend.get_instance(each) for each in ids or backend.index()]
        if not self.params.get("IncludeAllInstances"):
            found = [each for each in found if each.state == "running"]
        found = apply_filters(
            found,
            self._filters_from_querystring(),
            _FILTERS,
            lambda each: backend.tags_of(each.id),
        )
        chosen, token = page(
            found, lambda each: each.sequence, self.flat, backend.world.epoch, ids="InstanceId"
        )
        return Answer({"InstanceStatuses": [_view(each) for each in chosen], "NextToken": token})


def _health(instance: Any) -> str:
    """Answers what the check of the instance itself says."""
    if instance.state != "running":
        return "not-applicable"
    return str(instance.ec2_backend.world.hosts.health(instance.id))


def _system(instance: Any) -> str:
    """Answers what the check of the machine below it says: that is always well."""
    return "ok" if instance.state == "running" else "not-applicable"


def _view(instance: Any) -> dict[str, Any]:
    return {
        "InstanceId": instance.id,
        "AvailabilityZone": instance.availability_zone,
        "InstanceState": {"Code": instance.state_code, "Name": instance.state},
        "InstanceStatus": _check(_health(instance)),
        "SystemStatus": _check(_system(instance)),
    }


def _check(status: str) -> dict[str, Any]:
    reachability = _REACHABILITY.get(status)
    details = [{"Name": "reachability", "Status": reachability}] if reachability else []
    return {"Status": status, "Details": details}
