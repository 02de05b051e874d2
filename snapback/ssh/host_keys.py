"""Whom we trust, and why.

A host shows its key when one connects. It is trusted if it is in a known_hosts file; or in the
console output of the instance, which no one but AWS hands out; or if we gave it to the instance.
Source: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"; GetConsoleOutput.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import hmac
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from snapback.errors import HostKeyError, SnapbackError
from snapback.ssh.whom import Whom

_BLOCK = re.compile(
    r"-----BEGIN SSH HOST KEY KEYS-----(.*?)-----END SSH HOST KEY KEYS-----", re.DOTALL
)
_KEY = re.compile(r"\b((?:ssh|ecdsa|sk)-[a-z0-9@.-]+) ([A-Za-z0-9+/]{32,}={0,2})")


@dataclass(frozen=True)
class HostKey:
    """A public host key: its kind (``ssh-ed25519``) and the bytes of it."""

    kind: str
    blob: bytes

    @classmethod
    def read(cls, kind: str, encoded: str) -> HostKey | None:
        """Answer the key that two words of a file tell; ``None`` where they don't tell one."""
        try:
            blob = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            return None
        name = kind.encode()
        return cls(kind, blob) if blob[4 : 4 + len(name)] == name else None

    @property
    def fingerprint(self) -> str:
        """As ssh-keygen -l tells it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")
        return f"SHA256:{digest}"

    def line(self, name: str) -> str:
        """Answer the line of a known_hosts file that makes it that of a host."""
        return f"{name} {self.kind} {base64.b64encode(self.blob).decode()}"


def in_console(text: str) -> tuple[HostKey, ...]:
    """Answer the host keys that an instance printed last, as cloud-init does when it boots."""
    blocks = _BLOCK.findall(text)
    found = [HostKey.read(*words) for words in _KEY.findall(blocks[-1])] if blocks else []
    return tuple(key for key in found if key)


@dataclass(frozen=True)
class Known:
    """A line of a known_hosts file."""

    number: int
    key: HostKey
    revoked: bool


def known_in(text: str, name: str) -> list[Known]:
    """Answer what a known_hosts file says of a host, called ``name`` or ``[name]:port``."""
    return [known for patterns, known in _lines(text) if _means(patterns, name.lower())]


def _lines(text: str) -> Iterator[tuple[str, Known]]:
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) < 3 or words[0].startswith("#") or marker not in {"", "@revoked"}:
            continue
        key = HostKey.read(words[1], words[2])
        if key:
            yield words[0], Known(number, key, revoked=bool(marker))


def _means(patterns: str, name: str) -> bool:
    if patterns.startswith("|1|"):
        return _hashed(patterns, name)
    means = False
    for pattern in patterns.lower().split(","):
        if _like(pattern.removeprefix("!"), name):
            if pattern.startswith("!"):
                return False
            means = True
    return means


def _hashed(pattern: str, name: str) -> bool:
    try:
        _, _, salt, told = pattern.split("|")
        digest = hmac.digest(base64.b64decode(salt), name.encode(), "sha1")
        return hmac.compare_digest(digest, base64.b64decode(told))
    except ValueError:
        return False


def _like(pattern: str, name: str) -> bool:
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return bool(re.fullmatch("".join(parts), name))


class Trust(Protocol):
    """Decides whether a host that shows a key is the one that is meant."""

    def kinds(self) -> Sequence[str]:
        """Answer the kinds of the keys that are known, which are to be asked for first."""

    def admit(self, shown: HostKey) -> None:
        """Return if the key is trusted.

        :raises HostKeyError: it isn't.
        """


@dataclass(frozen=True)
class Pinned:
    """Trusts the keys that we gave to the host ourselves."""

    whom: Whom
    keys: tuple[HostKey, ...]

    def kinds(self) -> Sequence[str]:
        """Answer the kinds of the keys that are known."""
        return [key.kind for key in self.keys]

    def admit(self, shown: HostKey) -> None:
        """Return if the key is one of those given."""
        if shown not in self.keys:
            raise _refused(
                self.whom,
                f"its host key {shown.fingerprint} is not the one it was given",
                "another machine answers at its address",
            )


@dataclass(frozen=True)
class KnownHosts:
    """Trusts what is in a known_hosts file.

    :ivar name: the host's name there, ``name`` or ``[name]:port``.
    :ivar accept_new: take in the key of a host that isn't there at all.
    """

    whom: Whom
    path: Path
    name: str
    accept_new: bool = False

    def kinds(self) -> Sequence[str]:
        """Answer the kinds of the keys that are known."""
        return [known.key.kind for known in self._known() if not known.revoked]

    def admit(self, shown: HostKey) -> None:
        """Return if the key is in the file."""
        known = self._known()
        if not known and self.accept_new:
            with _locked(self.whom, self.path) as (text, append):
                known = known_in(text, self.name)  # another thread or run may have been faster
                if not known:
                    append([shown.line(self.name)])
                    return
        check(self.whom, known, shown, self.path, self.name)

    def _known(self) -> list[Known]:
        return known_in(_read(self.whom, self.path), self.name)


@dataclass(frozen=True)
class Console:
    """Trusts the keys in the console output of an instance, and remembers them by its id.

    By its id, since addresses are recycled: another instance may have this one's tomorrow.

    :ivar path: the file where they are remembered, a known_hosts file with ids for names.
    :ivar console: answers the console output.
    """

    whom: Whom
    instance_id: str
    path: Path
    console: Callable[[], str]

    def kinds(self) -> Sequence[str]:
        """Answer the kinds of the keys that are known."""
        known = known_in(_read(self.whom, self.path), self.instance_id)
        return [one.key.kind for one in known if not one.revoked]

    def admit(self, shown: HostKey) -> None:
        """Return if the key is remembered, or in the console output."""
        known = known_in(_read(self.whom, self.path), self.instance_id)
        if not known:
            known = self._learn(shown)
        check(self.whom, known, shown, self.path, self.instance_id)

    def _learn(self, shown: HostKey) -> list[Known]:
        """Answer what the console output says, having remembered it if it has the key shown."""
        try:
            keys = in_console(self.console())
        except SnapbackError as error:
            raise _refused(
                self.whom,
                f"its console output can't be read ({error})",
                "allow it, or use another of `host_keys`",
            ) from error
        if not keys:
            unseen = _refused(
                self.whom,
                "its console output shows no host keys (yet)",
                f"wait until it has booted; or check the key {shown.fingerprint}, and add this "
                f"line to {self.path}: {shown.line(self.instance_id)}",
            )
            unseen.may_pass = True
            raise unseen
        if shown not in keys:
            raise _refused(
                self.whom,
                f"its host key {shown.fingerprint} is not in its console output",
                "another machine answers at its address, or its keys were made anew: reboot it, "
                f"or check the key and add this line to {self.path}: "
                f"{shown.line(self.instance_id)}",
            )
        with _locked(self.whom, self.path) as (text, append):
            known = known_in(text, self.instance_id)
            if not known:
                append([key.line(self.instance_id) for key in keys])
        return known or [Known(0, key, revoked=False) for key in keys]


def check(whom: Whom, known: Sequence[Known], shown: HostKey, path: Path, name: str) -> None:
    """Return if a key is among those known of a host.

    :raises HostKeyError: it is revoked, or unknown, or others are known.
    """
    same = [one for one in known if one.key == shown]
    if any(one.revoked for one in same):
        raise _refused(
            whom,
            f"its host key {shown.fingerprint} is revoked ({path}, line {same[0].number})",
            "somebody else may have it: give the host a new one",
        )
    valid = [one for one in known if not one.revoked]
    if same:
        return
    if valid:
        raise _refused(
            whom,
            f"its host key has CHANGED: it shows {shown.fingerprint} ({shown.kind}), but "
            f"{path}, line {valid[0].number}, has {valid[0].key.fingerprint}",
            "another machine answers at its address; if it is the right one after all, remove that "
            f"line and add: {shown.line(name)}",
        )
    raise _refused(
        whom,
        f"its host key {shown.fingerprint} is unknown",
        f"if it is the right one, add this line to {path}: {shown.line(name)}",
    )


def _refused(whom: Whom, reason: str, advice: str) -> HostKeyError:
    return whom.error(reason, advice, HostKeyError)


def _read(whom: Whom, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise _refused(
            whom, f"{path} can't be read ({error.strerror})", "see whose file it is"
        ) from error


@contextmanager
def _locked(whom: Whom, path: Path) -> Iterator[tuple[str, Callable[[Sequence[str]], None]]]:
    """Hold a file of keys: answer what is in it, and how to append lines.

    :raises HostKeyError: it can't be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "r+", encoding="utf-8", errors="replace") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            text = file.read()
            file.seek(0, os.SEEK_END)

            def append(lines: Sequence[str]) -> None:
                start = "" if not text or text.endswith("\n") else "\n"
                file.write(start + "".join(f"{line}\n" for line in lines))
                file.flush()

            yield text, append
    except OSError as error:
        raise _refused(
            whom,
            f"its host key can't be written to {path} ({error.strerror})",
            "make it writable, or name another file",
        ) from error
