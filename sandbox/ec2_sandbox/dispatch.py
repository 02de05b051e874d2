"""The way of one call: latency, faults, region, throttle, then moto and its corrections."""

from __future__ import annotations

import json
import logging
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING

from ec2_sandbox import wire
from ec2_sandbox.corrections.regions import check_enabled
from ec2_sandbox.errors import ApiError, DropConnection
from ec2_sandbox.log import Call
from ec2_sandbox.permits import check_permitted, refused_by_policies, unauthorized
from ec2_sandbox.wire import JSON, Request, Response

if TYPE_CHECKING:
    from ec2_sandbox.faults import Fault
    from ec2_sandbox.world import World

logger = logging.getLogger(__name__)
_UNTOLD = ("Action", "Version")


def serve(world: World, request: Request) -> Response:
    """Serves one call and writes it into the log.

    :raises DropConnection: by a fault's rule
    """
    began, moment, over = time.monotonic(), world.clock.now(), world.over
    outcome = "dropped"
    try:
        with world.log.counting():
            outcome, response = _serve(world, request, over)
        return response
    finally:
        if not over.is_set():
            _write_down(world, request, moment, outcome, time.monotonic() - began)


def _write_down(
    world: World, request: Request, moment: datetime, outcome: str, seconds: float
) -> None:
    kept = {key: value for key, value in request.flat.items() if key not in _UNTOLD}
    world.log.add(
        Call(
            region=request.region,
            action=request.action,
            time=moment,
            outcome=outcome,
            seconds=seconds,
            parameters=kept,
            service=request.service,
            access_key=request.access_key,
        )
    )


def _serve(world: World, request: Request, over: threading.Event) -> tuple[str, Response]:
    if world.settings.latency_ms:
        over.wait(world.settings.latency_ms / 1000)
        _check_world(over)
    for late in world.faults.due(world.clock.now()):
        _take_effect(world, late, over)
    fault = world.faults.next(request.action, request.region, request.flat)
    try:
        _strike_before(fault, world, request)
        if request.service == "ec2":
            body = _ec2(world, request, over)
            response = Response(200, body.encode())
        else:
            from ec2_sandbox.other_services import answer

            response = answer(world, request)
        _strike_after(fault)
    except ApiError as error:
        return error.code, _error_response(request.service, error)
    if response.status >= 400:
        return f"HTTP {response.status}", response
    return "ok", response


def _take_effect(world: World, request: Request, over: threading.Event) -> None:
    """Does what a call asked for whose client was told nothing, and writes it down as ``late``."""
    began, moment, outcome = time.monotonic(), world.clock.now(), "late"
    try:
        _ec2(world, request, over)
    except ApiError as error:
        outcome = error.code
    _write_down(world, request, moment, outcome, time.monotonic() - began)


def _strike_before(fault: Fault | None, world: World, request: Request) -> None:
    if fault is None:
        return
    if fault.effect == "error":
        raise fault.error()
    if fault.effect == "late":
        world.faults.put_off(request, fault, world.clock.now())
    if fault.effect in ("drop_before", "late"):
        raise DropConnection
    if fault.effect == "hang":
        world.faults.hang(fault)


def _strike_after(fault: Fault | None) -> None:
    if fault is None:
        return
    if fault.effect == "error_after":
        raise fault.error()
    if fault.effect == "drop_after":
        raise DropConnection


def _check_world(over: threading.Event) -> None:
    """Drops a call that waited until after a reset: the world that it was meant for is gone."""
    if over.is_set():
        raise DropConnection


def _ec2(world: World, request: Request, over: threading.Event) -> str:
    from ec2_sandbox.corrections.response import StrictResponse

    account = world.roles.account(request.access_key, world.clock.now())
    check_enabled(request.region, world.enabled_regions())
    at = f"{account}/{request.region}"
    world.buckets.take(world.settings, at, request.action, request.flat)
    call = StrictResponse(request.action, request.region, request.flat, account)
    caller = world.roles.caller_arn(request.access_key, world.clock.now())
    check_permitted(world.settings.denied, request.region, request.action, request.flat, caller)
    with world.lock:
        _check_world(over)
        if refused := refused_by_policies(world, request, account):
            raise unauthorized(caller, refused.action, request.region, refused)
        world.settle(request.region, account)
        try:
            answer = call.answer()
        except (ApiError, DropConnection):
            raise
        except Exception as error:
            logger.exception("%s failed within moto", request.action)
            message = f"The sandbox failed to serve {request.action}: {error!r}"
            raise ApiError("InternalError", message) from error
    if isinstance(answer, str):
        return answer
    return wire.write_answer(request.action, answer.values)


def _error_response(service: str, error: ApiError) -> Response:
    if service == "ec2":
        return Response(error.status, wire.write_error(error).encode())
    if service in ("kms", "rbin", "ssm"):
        body = json.dumps({"__type": error.code, "message": error.message}).encode()
        return Response(error.status, body, JSON)
    return Response(error.status, wire.write_query_error(error).encode())
