"""Who may have written a configuration."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from snapback.config.ownership import doubts_about

OTHER = 12_345  # nobody's number
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    path = tmp_path / "snapback.yaml"
    path.write_text("")
    path.chmod(0o644)
    return path


def test_ones_own_file_in_ones_own_folder_is_fine(file: Path) -> None:
    assert doubts_about(file) == ()
    file.chmod(0o600)
    file.parent.chmod(0o700)
    assert doubts_about(file) == ()


@pytest.mark.parametrize("mode", [0o646, 0o666, 0o602])
def test_a_file_that_everybody_may_write_is_doubted(file: Path, mode: int) -> None:
    file.chmod(mode)
    assert doubts_about(file) == ("everybody may write to it",)


@pytest.mark.parametrize("mode", [0o757, 0o777, 0o1777])
def test_a_folder_that_everybody_may_write_is_doubted_sticky_or_not(file: Path, mode: int) -> None:
    file.parent.chmod(mode)
    assert doubts_about(file) == (f"everybody may write to its folder {file.parent}",)


def test_the_folder_that_a_link_leads_to_is_looked_at(file: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    target = file.rename(elsewhere / "real.yaml")
    file.symlink_to(target)
    assert doubts_about(file) == ()
    elsewhere.chmod(0o777)
    assert doubts_about(file) == (f"everybody may write to its folder {elsewhere}",)


@needs_root
@pytest.mark.parametrize(
    ("gave_away", "doubt"),
    [("file", "it belongs to"), ("folder", "its folder {folder} belongs to")],
)
def test_what_belongs_to_somebody_else_is_doubted(file: Path, gave_away: str, doubt: str) -> None:
    os.chown(file if gave_away == "file" else file.parent, OTHER, -1)
    expected = f"{doubt.format(folder=file.parent)} the user {OTHER}"
    assert doubts_about(file) == (expected,)


@needs_root
def test_somebody_elses_link_to_ones_own_file_is_doubted(file: Path, tmp_path: Path) -> None:
    target = file.rename(tmp_path / "real.yaml")
    file.symlink_to(target)
    os.chown(file, OTHER, -1, follow_symlinks=False)
    assert doubts_about(file) == (f"the link belongs to the user {OTHER}",)


@needs_root
def test_a_group_that_others_are_in_is_doubted(file: Path) -> None:
    for path in (file, file.parent):
        path.chmod(0o775)
        os.chown(path, -1, OTHER)
    assert doubts_about(file) == (
        f"the group {OTHER} may write to it",
        f"the group {OTHER} may write to its folder {file.parent}",
    )


@needs_root
def test_a_group_of_the_caller_alone_may_write(file: Path) -> None:
    os.chown(file, 0, 0)
    file.chmod(0o664)
    file.parent.chmod(0o775)
    members = set(grp.getgrgid(0).gr_mem) | {u.pw_name for u in pwd.getpwall() if u.pw_gid == 0}
    assert (doubts_about(file) == ()) == (members <= {"root"})


@needs_root
def test_a_private_group_of_a_user_is_told_from_a_shared_one() -> None:
    user = a_user_with_a_group_of_its_own()
    shared = next(one.gr_gid for one in grp.getgrall() if one.gr_gid not in (0, user.pw_gid))
    with TemporaryDirectory() as folder:  # pytest's own folders let nobody else in
        file = Path(folder, "snapback.yaml")
        file.write_text("")
        for path in (file, file.parent):
            path.chmod(0o775)
            os.chown(path, user.pw_uid, user.pw_gid)
        assert doubts_of(user, file) == "()"
        os.chown(file, -1, shared)
        assert "may write to it" in doubts_of(user, file)


def a_user_with_a_group_of_its_own() -> pwd.struct_passwd:
    users = pwd.getpwall()
    for user in users:
        group = grp.getgrgid(user.pw_gid)
        alone = sum(one.pw_gid == user.pw_gid for one in users) == 1 and not group.gr_mem
        if user.pw_uid and alone and group.gr_name == user.pw_name:
            return user
    pytest.skip("no user here has a group of its own")


def doubts_of(user: pwd.struct_passwd, path: Path) -> str:
    """Return what another user doubts about a file."""
    probe = (
        "import os, sys; from pathlib import Path\n"
        "from snapback.config.ownership import doubts_about\n"
        "os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[1]))\n"
        "print(doubts_about(Path(sys.argv[3])))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", probe, str(user.pw_uid), str(user.pw_gid), path],
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout.strip()
