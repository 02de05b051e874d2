"""The errors that the sandbox answers or raises.

::

    Exception
    |-- ApiError        an EC2 error: code, message, HTTP status
    |-- DropConnection  the connection is to be closed without an answer
    `-- SandboxError    the sandbox itself was misused: one clear line
"""

from __future__ import annotations

STATUS_OF_CODE = {
    "AuthFailure": 401,
    "DryRunOperation": 412,
    "InternalError": 500,
    "InternalFailure": 500,
    "OptInRequired": 403,
    "RequestLimitExceeded": 503,
    "ServiceUnavailable": 503,
    "Unavailable": 503,
    "UnauthorizedOperation": 403,
}


class ApiError(Exception):
    """An error as EC2 answers it."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status or STATUS_OF_CODE.get(code, 400)


class DropConnection(Exception):
    """Tells the server to close the connection without an answer."""


class SandboxError(Exception):
    """The sandbox was misused or could not start; the message is one clear line."""


def invalid(message: str) -> ApiError:
    """Makes the error that EC2 answers most: ``InvalidParameterValue``."""
    return ApiError("InvalidParameterValue", message)
