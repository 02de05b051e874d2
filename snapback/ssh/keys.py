"""Keys for a moment: made here, in memory, never written to a disk of this machine."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from snapback.core.secrets import keep


@dataclass(frozen=True)
class Key:
    """An ed25519 key.

    :ivar private: as OpenSSH writes it into a file.
    :ivar public: as a line of ``authorized_keys``, without a comment.
    """

    private: str
    public: str

    def __repr__(self) -> str:
        return f"Key({self.public})"


def new_key() -> Key:
    """Answer a new ed25519 key."""
    made = Ed25519PrivateKey.generate()
    private = made.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = made.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    keep(*private.decode().splitlines()[1:-1])
    return Key(private.decode(), public.decode())
