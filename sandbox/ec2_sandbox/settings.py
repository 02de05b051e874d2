"""What can be set about a sandbox, at its start or while it runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ec2_sandbox.corrections import ACCOUNT_ID
from ec2_sandbox.errors import SandboxError
from ec2_sandbox.policies import Statements, read_policies
from ec2_sandbox.recycle_bin import read_rules


@dataclass(frozen=True)
class Settings:
    """All settings with their defaults. Times are seconds of the sandbox's clock unless named ms.

    ``None`` means: for ``enabled_regions`` all that need no opt-in; for ``now`` the real time;
    for ``roles`` any; for ``policies``, ``boundary`` and ``service_control_policies`` no limit; for
    ``kms_keys`` any well-formed key of the region; for ``copy_seconds`` as for snapshots.
    """

    enabled_regions: tuple[str, ...] | None = None
    default_region: str = "us-east-1"
    now: datetime | None = None
    speed: float = 1.0
    snapshot_seconds: float = 2.0
    snapshot_seconds_per_gib: float = 0.0
    copy_seconds: float | None = None
    pending_per_volume: int = 5
    pending_per_hdd_volume: int = 1
    seconds_between_snapshots: float = 15.0
    copies_per_region: int = 20
    throttle: bool = False
    buckets: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    latency_ms: float = 0.0
    visibility_delay_s: float = 0.0
    kms_keys: tuple[str, ...] | None = None
    roles: Mapping[str, str] | None = None
    session_seconds: float = 3600.0
    denied: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    recycle_bin: Mapping[str, Any] = field(default_factory=dict)
    policies: Statements | None = None
    boundary: Statements | None = None
    service_control_policies: Statements | None = None
    principal: str = f"arn:aws:iam::{ACCOUNT_ID}:user/moto"

    def changed(self, values: Mapping[str, Any]) -> Settings:
        """Answers these settings with some changed.

        :param values: name of a setting to its new value; ``regions`` is short for
            ``enabled_regions``
        :raises SandboxError: an unknown name or a bad value, all of them in one line
        """
        clean: dict[str, Any] = {}
        problems = []
        for name, value in values.items():
            name = "enabled_regions" if name == "regions" else name
            reader = _READERS.get(name)
            if reader is None:
                problems.append(f"unknown setting {name!r}")
                continue
            try:
                clean[name] = reader(value)
            except (TypeError, ValueError) as error:
                problems.append(f"{name}: {error}")
        if problems:
            raise SandboxError("; ".join(problems))
        return dataclasses.replace(self, **clean)


def read_time(value: Any) -> datetime | None:
    """Reads a time: a datetime or ISO 8601; one without a zone is UTC."""
    if value is None:
        return None
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        raise ValueError(f"{value!r} is no time; write it as 2024-05-01T12:00:00Z")
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ValueError(f"{value!r} is no number from 0 upwards")
    return float(value)


def _optional_number(value: Any) -> float | None:
    return None if value is None else _number(value)


def _whole(value: Any) -> int:
    if _number(value) != int(value):
        raise ValueError(f"{value!r} is no whole number")
    return int(value)


def _yes_or_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is no text")
    return value


def _texts(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str) or not isinstance(value, list | tuple | set):
        raise ValueError(f"{value!r} is no list")
    return tuple(_text(each) for each in value)


def _buckets(value: Any) -> dict[str, tuple[float, float]]:
    if not isinstance(value, Mapping):
        raise ValueError("write {action: [capacity, refill per second]}")
    buckets = {}
    for action, pair in value.items():
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise ValueError(f"{action}: write [capacity, refill per second]")
        buckets[str(action)] = (_number(pair[0]), _number(pair[1]))
    return buckets


def _roles(value: Any) -> dict[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ValueError("write {ARN of a role: external id, or an empty text}")
    return {str(arn): str(external_id) for arn, external_id in value.items()}


def _denied(value: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, Mapping):
        raise ValueError("write {region, or *: [actions]}")
    return {
        str(region): tuple(
            action if ":" in action else f"ec2:{action}" for action in _texts(actions) or ()
        )
        for region, actions in value.items()
    }


_READERS: dict[str, Any] = {
    "enabled_regions": _texts,
    "default_region": _text,
    "now": read_time,
    "speed": _number,
    "snapshot_seconds": _number,
    "snapshot_seconds_per_gib": _number,
    "copy_seconds": _optional_number,
    "pending_per_volume": _whole,
    "pending_per_hdd_volume": _whole,
    "seconds_between_snapshots": _number,
    "copies_per_region": _whole,
    "throttle": _yes_or_no,
    "buckets": _buckets,
    "latency_ms": _number,
    "visibility_delay_s": _number,
    "kms_keys": _texts,
    "roles": _roles,
    "session_seconds": _number,
    "denied": _denied,
    "recycle_bin": read_rules,
    "policies": read_policies,
    "boundary": read_policies,
    "service_control_policies": read_policies,
    "principal": _text,
}
NAMES = tuple(_READERS)
