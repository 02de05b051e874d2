"""Roles of other accounts: STS AssumeRole, and whose account a call's credentials are for."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ec2_sandbox import wire
from ec2_sandbox.corrections import ACCOUNT_ID
from ec2_sandbox.errors import ApiError
from ec2_sandbox.settings import Settings

_ROLE = re.compile(r"arn:aws:iam::(?P<account>\d{12}):role/(?P<name>[\w+=,.@/-]+)\Z")
_SESSION_KEY = "ASIA"


@dataclass(frozen=True)
class Session:
    """A role that somebody has assumed, until a moment.

    :ivar arn: of the session, and...
    :ivar role_arn: ...of the role, which conditions on ``aws:PrincipalArn`` are about.
    """

    account: str
    arn: str
    role_arn: str
    until: datetime


class Roles:
    """Who has assumed what. Keys that no role gave belong to the sandbox's own account."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Ends all sessions."""
        with self._lock:
            self._sessions.clear()

    def assume(self, settings: Settings, now: datetime, flat: Mapping[str, str]) -> str:
        """Serve AssumeRole, and return its XML.

        :raises ApiError: no such role in the settings, or another external id
        """
        arn, name = flat.get("RoleArn", ""), flat.get("RoleSessionName", "")
        role = _ROLE.match(arn)
        if role is None or not _given_to(settings.roles, arn, flat.get("ExternalId", "")):
            raise ApiError(
                "AccessDenied", f"You are not authorized to perform sts:AssumeRole on {arn}", 403
            )
        until = now + timedelta(seconds=settings.session_seconds)
        key = _SESSION_KEY + secrets.token_hex(8).upper()
        held = f"arn:aws:sts::{role['account']}:assumed-role/{role['name']}/{name}"
        with self._lock:
            self._sessions[key] = Session(role["account"], held, arn, until)
        return wire.write_query_answer(
            "AssumeRole",
            {
                "Credentials": {
                    "AccessKeyId": key,
                    "SecretAccessKey": "sandbox",
                    "SessionToken": "sandbox",
                    "Expiration": wire.write_time(until),
                },
                "AssumedRoleUser": {"AssumedRoleId": f"AROASANDBOX:{name}", "Arn": held},
            },
        )

    def caller(self, session: Session) -> str:
        """Serves GetCallerIdentity for a session; answers its XML."""
        return wire.write_query_answer(
            "GetCallerIdentity",
            {"UserId": "AROASANDBOX", "Account": session.account, "Arn": session.arn},
        )

    def session(self, access_key: str, now: datetime) -> Session | None:
        """Answers the session that a key belongs to, or ``None`` for the sandbox's own account.

        :raises ApiError: there is none such, or it is over
        """
        if not access_key.startswith(_SESSION_KEY):
            return None
        with self._lock:
            session = self._sessions.get(access_key)
        if session is None:
            raise ApiError("AuthFailure", "AWS was not able to validate the credentials", 401)
        if session.until <= now:
            raise ApiError("RequestExpired", "Request has expired.")
        return session

    def caller_arn(self, access_key: str, now: datetime) -> str:
        """Answers who calls, as refusals name them."""
        session = self.session(access_key, now)
        return session.arn if session else f"arn:aws:sts::{ACCOUNT_ID}:user/moto"

    def account(self, access_key: str, now: datetime) -> str:
        """Answers the account that a call is for.

        :raises ApiError: its credentials are not valid, or no longer
        """
        session = self.session(access_key, now)
        return session.account if session else ACCOUNT_ID


def _given_to(roles: Mapping[str, str] | None, arn: str, external_id: str) -> bool:
    return roles is None or roles.get(arn) == external_id
