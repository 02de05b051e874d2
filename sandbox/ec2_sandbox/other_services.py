"""STS, SSM, IAM, KMS and the Recycle Bin at the same endpoint; most of it is answered by moto."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ec2_sandbox import kms, recycle_bin
from ec2_sandbox.corrections import ACCOUNT_ID
from ec2_sandbox.corrections.parameters import answer_parameters
from ec2_sandbox.errors import ApiError
from ec2_sandbox.permits import is_denied, refusal, refused_by_policies
from ec2_sandbox.wire import JSON, Request, Response

if TYPE_CHECKING:
    from ec2_sandbox.world import World


def answer(world: World, request: Request) -> Response:
    """Answers a call to a service other than EC2.

    :raises ApiError: no such service here
    """
    _check_permitted(world, request)
    if request.service == "rbin":
        rules = world.settings.recycle_bin
        told = recycle_bin.answer(rules, request.region, request.path, request.body)
        return Response(200, json.dumps(told).encode(), JSON)
    if request.service == "kms":
        account = world.roles.account(request.access_key, world.clock.now())
        keys = world.settings.kms_keys
        told = kms.answer(request.action, request.body, request.region, account, keys)
        return Response(200, json.dumps(told).encode(), JSON)
    if request.service == "ssm":
        asked = json.loads(request.body or b"{}")
        found = answer_parameters(request.region, request.action, asked)
        if found is not None:
            return Response(400 if "__type" in found else 200, json.dumps(found).encode(), JSON)
    if request.service == "sts":
        session = world.roles.session(request.access_key, world.clock.now())
        if request.action == "AssumeRole":
            xml = world.roles.assume(world.settings, world.clock.now(), request.flat)
            return Response(200, xml.encode())
        if session and request.action == "GetCallerIdentity":
            return Response(200, world.roles.caller(session).encode())
    response_class = _response_class(world, request.service)
    from moto.core.request import Request as MotoRequest

    url = f"https://{request.service}.{request.region}.amazonaws.com{request.path}"
    moto_request = MotoRequest.from_primitives("POST", url, dict(request.headers), request.body)
    with world.lock:
        try:
            status, headers, body = response_class.dispatch(moto_request, url, moto_request.headers)
        except NotImplementedError:
            raise ApiError("InvalidAction", f"{request.action} is not in the sandbox.") from None
    content_type = headers.get("Content-Type") or headers.get("content-type") or "text/xml"
    return Response(status, body if isinstance(body, bytes) else body.encode(), content_type)


def _check_permitted(world: World, request: Request) -> None:
    name = f"{request.service}:{request.action}"
    refused = None if request.service == "sts" else refused_by_policies(world, request, ACCOUNT_ID)
    if refused or is_denied(world.settings.denied, request.region, name):
        caller = world.roles.caller_arn(request.access_key, world.clock.now())
        code = "AccessDenied" if request.service in ("iam", "sts") else "AccessDeniedException"
        raise ApiError(code, refusal(caller, name, refused), 403)


def _response_class(world: World, service: str) -> Any:
    if service == "sts":
        from moto.sts.responses import TokenResponse as Chosen
    elif service == "ssm":
        from moto.ssm.responses import SimpleSystemManagerResponse as Chosen
    elif service == "iam":
        from moto.iam.responses import IamResponse as Chosen
    else:
        raise ApiError("UnrecognizedClientException", f"The sandbox has no {service}.")
    from ec2_sandbox.corrections import use_clock

    use_clock(world.clock.now)
    return Chosen
