"""Which configuration is in force: the one that was named, or the first that is there."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from snapback import config
from snapback.config import Choice, Loaded, Settings, find
from snapback.errors import ConfigError
from tests.unit.config.test_config import nobody_elses, written

__all__ = ["nobody_elses"]  # a fixture that every test uses


def test_without_a_file_all_is_by_the_defaults(tmp_path: Path) -> None:
    source = find(tmp_path / "fabfiles")
    assert (source.choice, source.path) == (Choice.NOT_FOUND, None)
    assert source.places == (
        tmp_path / "fabfiles/snapback.yaml",
        tmp_path / "here/snapback.yaml",
        tmp_path / "home/.config/snapback/config.yaml",
        Path("/etc/snapback/config.yaml"),
    )
    assert config.load(source).settings == Settings()


def test_the_first_file_there_is_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fabfiles = tmp_path / "fabfiles"
    places = {
        tmp_path / "home/.config/snapback/config.yaml": Choice.FOUND,
        tmp_path / "here/snapback.yaml": Choice.FOUND_HERE,
        fabfiles / "snapback.yaml": Choice.FOUND,
    }
    for place, choice in places.items():
        source = find(fabfiles) if written(place) else None
        assert source
        assert (source.path, source.choice) == (place, choice)
    monkeypatch.setenv("SNAPBACK_CONFIG", str(written(tmp_path / "named.yaml")))
    source = find(fabfiles)
    assert (source.path, source.choice) == (tmp_path / "named.yaml", Choice.NAMED)
    assert str(source) == f"{tmp_path}/named.yaml, named by SNAPBACK_CONFIG"
    source = find(fabfiles, str(written(tmp_path / "option.yaml")))
    assert str(source) == f"{tmp_path}/option.yaml, named by --config"


def test_a_file_beside_the_fabfile_in_the_current_folder_is_found_here(tmp_path: Path) -> None:
    written(tmp_path / "here/snapback.yaml")
    source = find(tmp_path / "here")
    assert source.choice is Choice.FOUND_HERE
    assert source.places.count(tmp_path / "here/snapback.yaml") == 1


def test_a_relative_name_is_one_of_the_current_folder(tmp_path: Path) -> None:
    path = written(tmp_path / "here/other.yaml")
    assert find(named="other.yaml").path == path
    path = written(tmp_path / "home/mine.yaml")
    assert find(named="~/mine.yaml").path == path


@pytest.mark.parametrize("by", ["SNAPBACK_CONFIG", "--config"])
@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("/no/such.yaml", "there is no such file"),
        ("~nobody-is-called-so/c.yaml", "there is no such home"),
        ("here", "there is no such file"),
        ("/", "that is a folder"),
        ("/dev/null", "that isn't a regular file"),
        ("link", "a link to a file that isn't there"),
    ],
)
def test_a_name_of_no_file_is_refused(
    monkeypatch: pytest.MonkeyPatch, by: str, name: str, problem: str
) -> None:
    Path("link").symlink_to("nowhere")
    named = name if by == "--config" else None
    if named is None:
        monkeypatch.setenv("SNAPBACK_CONFIG", name)
    said = f"--config {name}: " if named else f"SNAPBACK_CONFIG={name}: "
    with pytest.raises(ConfigError, match=re.escape(said + problem) + "; name it with .*`none`"):
        find(named=named)


def test_a_name_that_is_no_path_or_empty_is_refused() -> None:
    with pytest.raises(ConfigError, match="that is no path"):
        find(named="a\0b")
    with pytest.raises(ConfigError, match="--config: the name of the file is empty"):
        find(named="")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_named_file_that_can_not_be_read_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "c.yaml")
    path.chmod(0)
    with pytest.raises(ConfigError, match=f"--config {path}: can't be read: Permission denied"):
        find(named=str(path))


def test_an_empty_variable_names_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "here/snapback.yaml")
    monkeypatch.setenv("SNAPBACK_CONFIG", "")
    assert find().path == path


def test_none_means_the_defaults_though_a_file_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "here/snapback.yaml", "workers: 7")
    named = written(tmp_path / "here/none", "workers: 8")
    monkeypatch.setenv("SNAPBACK_CONFIG", "none")
    source = find()
    assert (source.choice, source.path) == (Choice.NONE, None)
    assert str(source) == "the defaults, on purpose: SNAPBACK_CONFIG is none"
    assert config.load(source).settings == Settings()
    assert find(named="./none").path == named


def test_what_can_not_be_seen_or_read_is_refused_rather_than_passed_over(tmp_path: Path) -> None:
    loop = tmp_path / "home/.config"
    loop.parent.mkdir()
    loop.symlink_to(loop)
    with pytest.raises(ConfigError, match="can't be looked for"):
        find()
    loop.unlink()
    written(tmp_path / "home/.config/snapback/config.yaml")
    Path("snapback.yaml").symlink_to("moved-away.yaml")
    with pytest.raises(ConfigError, match=r"here/snapback.yaml: a link to a file that isn't there"):
        find()
    Path("snapback.yaml").unlink()
    Path("snapback.yaml").mkdir()
    with pytest.raises(ConfigError, match=r"here/snapback.yaml: that is a folder"):
        find()


def test_a_home_that_is_not_there_is_no_place_for_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "~nobody-is-called-so/.config")
    assert find().choice is Choice.NOT_FOUND


def test_a_current_folder_that_was_removed_is_no_place_for_a_file(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    assert find().choice is Choice.NOT_FOUND


# What deletes.


def test_what_deletes_needs_a_file_or_that_none_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError) as raised:
        find().refuse_to_delete()
    said = str(raised.value)
    assert "nothing was deleted" in said
    assert all(str(place) in said for place in find().places)
    assert "SNAPBACK_CONFIG=FILE" in said
    assert "`none`" in said
    monkeypatch.setenv("SNAPBACK_CONFIG", "none")
    find().refuse_to_delete()
    monkeypatch.delenv("SNAPBACK_CONFIG")
    written(tmp_path / "here/snapback.yaml")
    find().refuse_to_delete()
    Loaded(settings=Settings()).source.refuse_to_delete()
    with pytest.raises(ConfigError):
        config.Source(choice=Choice.REFUSED).refuse_to_delete()


# Who may have written it.


def test_a_found_file_that_others_may_have_written_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "here/snapback.yaml")
    path.chmod(0o646)
    with pytest.raises(ConfigError, match=r"everybody may write to it.*SNAPBACK_CONFIG="):
        find()
    with pytest.raises(ConfigError, match="everybody may write to it"):
        find(tmp_path / "here")
    path.chmod(0o644)
    assert find().doubts == ()


def test_a_named_file_is_vouched_for_and_only_doubted(tmp_path: Path) -> None:
    path = written(tmp_path / "here/snapback.yaml")
    path.chmod(0o646)
    source = find(named=str(path))
    assert (source.path, source.doubts) == (path, ("everybody may write to it",))


def test_a_file_at_home_or_in_etc_is_only_doubted(tmp_path: Path) -> None:
    path = written(tmp_path / "home/.config/snapback/config.yaml")
    path.chmod(0o646)
    assert find().doubts == ("everybody may write to it",)
