"""The script that reads all of a disk or a folder for its digest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from snapback.core.model.digest import read_digest
from snapback.ssh import walk_script


def test_the_digest_of_a_folder_tells_all_but_times(tmp_path: Path) -> None:
    def told() -> tuple[str, str]:
        return walk_script.of_folder(os.fsencode(tmp_path))

    odd = tmp_path / "$(touch ran)\n'\" \udcff"
    odd.mkdir()
    file = odd / "-n"
    file.write_bytes(b"x" * 3000)
    (odd / "link").symlink_to("nowhere")
    first = told()
    os.utime(file, (1, 1))
    assert told() == first
    file.chmod(0o600)
    assert (told()[0] != first[0], told()[1]) == (True, first[1])
    second = told()
    file.write_bytes(b"x" * 2999 + b"y")
    assert (told()[0], told()[1] != first[1]) == (second[0], True)
    (odd / "link").unlink()
    (odd / "link").symlink_to("elsewhere")
    assert told()[0] != second[0]


def test_what_cannot_be_read_is_told_apart_from_what_is_not_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert (
        walk_script.main("digest", b"/proc/self/mem") == walk_script.UNREADABLE
    )  # an input/output error
    assert capsys.readouterr().err == "Input/output error: b'/proc/self/mem'\n"
    assert walk_script.main("digest", os.fsencode(tmp_path / "none")) == 1
    (tmp_path / "a").write_bytes(b"x" * 9)
    assert walk_script.main("digest", os.fsencode(tmp_path)) == 0
    assert read_digest(capsys.readouterr().out.strip().replace(" ", "."))
