"""The strict response: reads a request, calls moto or its corrections, writes the answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.core.utils import camelcase_to_underscores
from moto.ec2.responses import EC2Response
from werkzeug.exceptions import HTTPException

from ec2_sandbox import wire
from ec2_sandbox.corrections import dry_runs
from ec2_sandbox.corrections.answer import Answer
from ec2_sandbox.corrections.encryption import EncryptionCalls
from ec2_sandbox.corrections.ids import check_ids
from ec2_sandbox.corrections.image_calls import ImageCalls
from ec2_sandbox.corrections.instance_calls import InstanceCalls
from ec2_sandbox.corrections.key_pairs import KeyPairCalls
from ec2_sandbox.corrections.locks import LockCalls
from ec2_sandbox.corrections.paging import check_page_size
from ec2_sandbox.corrections.recycle_bin_calls import RecycleBinCalls
from ec2_sandbox.corrections.regions import RegionCalls
from ec2_sandbox.corrections.snapshot_calls import SnapshotCalls
from ec2_sandbox.corrections.status_calls import StatusCalls
from ec2_sandbox.corrections.tag_calls import TagCalls
from ec2_sandbox.corrections.tiers import TierCalls
from ec2_sandbox.corrections.volume_calls import VolumeCalls
from ec2_sandbox.errors import ApiError, invalid


class StrictResponse(
    TagCalls,
    SnapshotCalls,
    TierCalls,
    LockCalls,
    RecycleBinCalls,
    KeyPairCalls,
    VolumeCalls,
    ImageCalls,
    InstanceCalls,
    StatusCalls,
    RegionCalls,
    EncryptionCalls,
    EC2Response,  # type: ignore[misc]
):
    """One call."""

    def __init__(self, action: str, region: str, flat: Mapping[str, str], account: str) -> None:
        super().__init__()
        self.action = action
        self.flat = flat
        self.region = region
        self.current_account = account
        self.partition = "aws"
        self.params: Any = wire.read_parameters(action, flat)
        self.querystring = {key: [value] for key, value in flat.items()}
        self.data = self.querystring
        self.body = ""
        self.method = "POST"
        self.uri_match: dict[str, Any] = {}
        self.headers: Any = {"Content-Type": "application/x-www-form-urlencoded"}
        self.response_headers: dict[str, str] = {}

    def answer(self) -> Answer | str:
        """Serves the call; answers what is to be written, or moto's XML.

        :raises ApiError: whatever EC2 would answer as an error
        """
        check_ids(self.flat)
        check_page_size(self.action, self.params.get("MaxResults"))
        name = camelcase_to_underscores(self.action)
        method = getattr(self, name, None)
        if method is None:
            raise _not_served(self.action)
        dry = bool(self.params.get("DryRun"))
        if dry and not method.__func__.__module__.startswith(__package__):
            dry_runs.check(self.action, self.params, self.ec2_backend)
            raise dry_runs.would_succeed()
        try:
            result = method()
            if dry:  # it only reads: what changes something has raised by now
                raise dry_runs.would_succeed()
            if isinstance(result, Answer | str):
                return result
            if isinstance(result, ActionResult):
                _, _, body = self.serialized(result)
                return str(body)
            return str(result)
        except ServiceException as error:
            raise ApiError(error.code, error.message) from None
        except HTTPException as error:
            raise _of_http(error) from None
        except NotImplementedError as error:
            raise _not_implemented(self.action, str(error)) from None


def _not_served(action: str) -> ApiError:
    message = f"The action {action} is not valid for this web service. (Not in the sandbox.)"
    return ApiError("InvalidAction", message)


def _not_implemented(action: str, message: str) -> ApiError:
    if "filter" in message.lower():
        named = re.search(r"['\"]([\w.:-]+)['\"]", message)
        return invalid(f"The filter '{named[1] if named else message}' is invalid")
    return _not_served(action)


def _of_http(error: HTTPException) -> ApiError:
    code = getattr(error, "error_type", "InvalidRequest")
    return ApiError(code, getattr(error, "message", str(error)), error.code)
