"""The script that reads all of a disk or a folder for its digest."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from snapback.core.disks.survey import read_survey
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


def test_holes_count_as_zeros_and_are_not_read(tmp_path: Path) -> None:
    def content_of(name: str) -> str:
        folder = tmp_path / name
        folder.mkdir()
        with (folder / "file").open("wb") as file:
            if name == "larger":
                file.truncate(1 << 43)  # would take an hour to be read
                file.seek(1 << 42)
            elif name == "written":
                file.write(bytes(5_000_000))
            else:
                file.seek(5_000_000)
            file.write(b"data")
            file.truncate(5_000_004 if name != "longer" else 5_000_005)
            if name == "larger":
                file.truncate(1 << 43)
        return walk_script.of_folder(os.fsencode(folder))[1]

    assert content_of("written") == content_of("sparse") != content_of("longer")
    content_of("larger")


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A folder with 3000 others, one in another: too deep for Python to be removed by it."""
    top = tmp_path / "deep"
    top.mkdir()
    folder = os.open(top, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=folder)
        below = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.mkfifo("pipe", dir_fd=folder)
    os.symlink("/", "link", dir_fd=folder)
    os.close(folder)
    yield top
    subprocess.run(["rm", "-rf", top], check=True)


def test_a_hierarchy_of_any_depth_is_walked(capsys: pytest.CaptureFixture[str], deep: Path) -> None:
    assert walk_script.main("survey", os.fsencode(deep)) == 0
    survey = read_survey(capsys.readouterr().out)
    assert survey
    assert (survey.marks, survey.longest, survey.apparent) == (0, 6005, 0)
    first = walk_script.of_folder(os.fsencode(deep))
    assert walk_script.of_folder(os.fsencode(deep)) == first


def test_the_size_of_files_counts_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    (tmp_path / "linked").hardlink_to(tmp_path / "sparse")
    (tmp_path / "small").write_bytes(b"x")
    assert walk_script.main("survey", os.fsencode(tmp_path)) == 0
    survey = read_survey(capsys.readouterr().out)
    assert survey
    assert (survey.apparent, survey.holes) == ((1 << 30) + 1, 1 << 30)


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
