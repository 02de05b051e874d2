"""The script that looks for a path beneath a folder, whatever links there are in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from snapback.ssh import beneath_script

LINKS = {
    "absolute": "/etc",
    "climbing": "../../../../../../../../../../etc",
    "sub/up": "../etc/./hostname",
    "chain": "sub/up",
    "top": "/",
    "outside": "/root",
    "dangling": "nowhere",
    "loop": "loop",
    "odd": "$(touch ran)\n'\" \udcff",
}


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A folder beneath which there are links, beside files that they must not lead to."""
    made = tmp_path / "top"
    for name in ("etc", "sub", "root"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "secret").write_text("the host's")
        if name != "root":
            (made / name).mkdir(parents=True)
    (made / "etc" / "hostname").write_text("the snapshot's")
    (made / LINKS["odd"]).mkdir()
    os.mkfifo(made / "sub" / "pipe")
    for name, target in LINKS.items():
        (made / ("to-odd" if name == "odd" else name)).symlink_to(target)
    return made


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("etc/hostname", "-/etc/hostname"),
        ("/absolute/hostname", "-/etc/hostname"),
        ("/climbing/hostname", "-/etc/hostname"),
        ("../../etc/hostname", "-/etc/hostname"),
        ("chain", "-/etc/hostname"),
        ("//top/./top/absolute/", "d/etc"),
        ("/absolute/..", "d"),
        ("/", "d"),
        ("top", "d"),
        ("sub/pipe", "p/sub/pipe"),
        ("to-odd", f"d/{LINKS['odd']}"),
    ],
)
def test_links_are_followed_beneath_the_top(
    top: Path, path: str, found: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert beneath_script.main(os.fsencode(top), os.fsencode(path)) == 0
    assert capfdbinary.readouterr().out == os.fsencode(found)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("outside/secret", "/root: No such file or directory"),
        ("climbing/secret", "/etc/secret: No such file or directory"),
        ("../root/secret", "/root: No such file or directory"),
        ("dangling", "/nowhere: No such file or directory"),
        ("loop", "/loop: Too many levels of symbolic links"),
        ("etc/hostname/", "/etc/hostname/: Not a directory"),
        ("etc/hostname/..", "/etc/hostname/..: Not a directory"),
        ("chain/x", "/etc/hostname/x: Not a directory"),
        ("x" * 300, f"/{'x' * 300}: File name too long"),
    ],
)
def test_what_is_not_beneath_the_top_is_not_found(top: Path, path: str, why: str) -> None:
    argv = [sys.executable, "-I", beneath_script.__file__, str(top), path]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", why)
