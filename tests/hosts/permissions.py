"""What tasks call that take real hosts, in all their ways: see tests/sandbox/permissions.py."""

from __future__ import annotations

from collections.abc import Callable

from tests.sandbox.permissions import Kit

WAYS_ON_HOSTS: dict[str, Callable[[Kit], None]] = {}
