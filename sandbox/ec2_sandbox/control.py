"""The control endpoints under ``/_sandbox/``: JSON in, JSON out. The handle talks to these."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ec2_sandbox.errors import SandboxError
from ec2_sandbox.faults import Fault
from ec2_sandbox.hosts.control import COMMANDS as HOST_COMMANDS
from ec2_sandbox.settings import read_time
from ec2_sandbox.states import Destiny
from ec2_sandbox.wire import Response

if TYPE_CHECKING:
    from ec2_sandbox.world import World


def control(world: World, name: str, body: bytes) -> Response:
    """Serves one control request."""
    command = _COMMANDS.get(name)
    try:
        if command is None:
            raise SandboxError(f"no control {name!r}; there are {', '.join(sorted(_COMMANDS))}")
        asked = json.loads(body or b"{}")
        if not isinstance(asked, dict):
            raise SandboxError("a control takes a JSON object")
        status, answer = 200, command(world, asked)
    except (SandboxError, ValueError, TypeError, KeyError) as error:
        text = str(error) if isinstance(error, SandboxError) else f"{name}: {error!r}"
        status, answer = 400, {"error": text}
    return Response(status, json.dumps(answer).encode(), "application/json")


def _ping(world: World, _asked: Mapping[str, Any]) -> Any:
    return {
        "now": world.clock.now().isoformat(),
        "default_region": world.default_region(),
        "regions": world.enabled_regions(),
        "under_way": world.log.under_way,
        "hanging": world.faults.hanging,
    }


def _reset(world: World, _asked: Mapping[str, Any]) -> Any:
    world.reset()
    return {}


def _fleet(world: World, asked: Mapping[str, Any]) -> Any:
    from ec2_sandbox.fleet import lay_out

    return lay_out(world, asked["fleet"])


def _configure(world: World, asked: Mapping[str, Any]) -> Any:
    world.configure(world.settings.changed(asked))
    return {}


def _clock(world: World, asked: Mapping[str, Any]) -> Any:
    with world.lock:
        if "advance" in asked:
            world.clock.advance(float(asked["advance"]))
        elif asked:
            speed = asked.get("speed")
            if speed is not None and speed < 0:
                raise SandboxError("the clock's speed can't be negative")
            world.clock.set(read_time(asked.get("now")), speed)
        now = world.clock.now()
        world.lifecycle.settle(now)
    return {"now": now.isoformat()}


def _fault(world: World, asked: Mapping[str, Any]) -> Any:
    world.faults.add(Fault(**asked))
    return {}


def _clear_faults(world: World, _asked: Mapping[str, Any]) -> Any:
    world.faults.clear()
    return {}


def _calls(world: World, asked: Mapping[str, Any]) -> Any:
    chosen = world.log.select(asked.get("action"), asked.get("region"))
    return {"calls": [call.as_json() for call in chosen]}


def _clear_calls(world: World, _asked: Mapping[str, Any]) -> Any:
    world.log.clear()
    return {}


def _fail_snapshot(world: World, asked: Mapping[str, Any]) -> Any:
    with world.lock:
        world.lifecycle.fail(world.snapshot(asked["snapshot_id"]), asked["message"])
    return {}


def _fail_next_snapshot(world: World, asked: Mapping[str, Any]) -> Any:
    with world.lock:
        world.lifecycle.fail_next(Destiny(**asked))
    return {}


def _complete_all(world: World, _asked: Mapping[str, Any]) -> Any:
    with world.lock:
        world.lifecycle.complete_all(world.clock.now())
    return {}


_COMMANDS: dict[str, Callable[[World, Mapping[str, Any]], Any]] = {
    **HOST_COMMANDS,
    "calls": _calls,
    "clear_calls": _clear_calls,
    "clear_faults": _clear_faults,
    "clock": _clock,
    "complete_all": _complete_all,
    "configure": _configure,
    "fail_next_snapshot": _fail_next_snapshot,
    "fail_snapshot": _fail_snapshot,
    "fault": _fault,
    "fleet": _fleet,
    "ping": _ping,
    "reset": _reset,
}
