"""A command as one line that every login shell reads alike.

sshd hands the line to the user's login shell: sh, bash, fish, csh. They differ in how they read
``\\``, ``!`` and newlines between single quotes, so these go as octal numbers, and ``sh`` puts them
together again. What the shell's start-up files print comes before a mark, and is dropped.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

_PLAIN = re.compile(rb"[ -~]")
_DIFFERENT = b"'\\!"
_CHUNK = 400  # BSD's csh knows no longer words than 1024 characters

_BEGIN = (
    'printf "snapback-%s\\n" "$1"; printf "snapback-%s\\n" "$1" >&2; shift; '
    "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin; LC_ALL=C; export PATH LC_ALL; "
    'exec "$@"'
)
_AS_ROOT = f'[ "$(id -u)" = 0 ] || exec sudo -n -- sh -c {shlex.quote(_BEGIN)} sh "$@"; '


def mark(token: str) -> bytes:
    """Answer what stands before a command's own output, on stdout and on stderr."""
    return f"snapback-{token}\n".encode()


def command_line(argv: Sequence[str], token: str, *, as_root: bool = False) -> str:
    """Answer the line that runs a program, with its output behind the mark.

    The program replaces the shells, so that it gets the signals, and no start-up file has a last
    word. It is found also in the folders of the administrator, and speaks English.

    :param argv: the program, no shell's built-in, and its arguments: any text without a NUL.
    :param token: names the mark; must not occur in what start-up files print.
    :param as_root: with ``sudo -n``, unless the user is root.
    """
    words = shlex.join([token, *argv])
    return one_line(f"set -- {words}; {_AS_ROOT if as_root else ''}{_BEGIN}")


def one_line(script: str) -> str:
    """Return the line by which a login shell runs a script of ``sh``, in its place."""
    chunks = " ".join(f"'{chunk}'" for chunk in _chunks(script))
    return f'exec sh -c \'eval "$(printf %b "$@")"\' sh {chunks}'


def _chunks(script: str) -> list[str]:
    """Answer a script in pieces that mean the same in all shells, for ``printf %b``."""
    pieces, room = [""], _CHUNK
    for number in script.encode("utf-8", "surrogateescape"):
        character = bytes([number])
        plain = _PLAIN.match(character) and character not in _DIFFERENT
        text = character.decode() if plain else f"\\0{number:03o}"
        if len(text) > room:
            pieces.append("")
            room = _CHUNK
        pieces[-1] += text
        room -= len(text)
    return pieces
