"""The core knows nothing of the outside: it imports itself, and harmless modules of Python."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import snapback

HOME = Path(snapback.__file__).parent
CORE = [HOME / "errors.py", HOME / "words.py", *sorted((HOME / "core").rglob("*.py"))]
HARMLESS = {
    "__future__",
    "base64",
    "binascii",
    "bisect",
    "collections",
    "contextlib",
    "contextvars",
    "dataclasses",
    "datetime",
    "enum",
    "functools",
    "hashlib",
    "html",
    "itertools",
    "json",
    "re",
    "secrets",
    "shlex",
    "struct",
    "threading",
    "types",
    "typing",
    "urllib.parse",
    "uuid",
    "zlib",
}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            yield node.module or ""


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.relative_to(HOME).as_posix())
def test_the_core_imports_nothing_of_the_outside(path: Path) -> None:
    ours = ("snapback.core", "snapback.errors", "snapback.words")
    others = {name for name in imported(path) if not name.startswith(ours)}
    of_python = {name if name in HARMLESS else name.partition(".")[0] for name in others}
    assert of_python <= HARMLESS
