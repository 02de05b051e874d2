"""Errors go from one process to another, and say the same there."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from snapback import errors
from snapback.core.leases.lease import Kind, Lent
from snapback.core.model import Place
from snapback.core.model.outcome import Outcome
from snapback.words import Word
from tests.unit.builders import snapshot, volume

HERE = Place("us-east-1", "prod")
LENT = Lent(place=HERE, kind=Kind.VOLUME, resource_id="vol-1")
ONE = snapshot(progress="40%")
ARGUMENTS = {
    errors.ApiError: ("CreateSnapshots", "us-east-1", "Nope", "no"),
    errors.NetworkError: ("CreateSnapshots", "us-east-1", "Nope", "no"),
    errors.LostAnswer: ("CreateSnapshots", "us-east-1", "Nope", "no"),
    errors.VolumesBusy: ([volume()], {"vol-1": ONE}),
    errors.CommandFailed: ("i-1", "us-east-1", ["lsblk", "a b"], "lsblk 'a b'", 1, "it said"),
    errors.LeftBehind: ([(LENT, "why")], "run-1", errors.SnapbackError("before")),
    errors.ItemsFailed: ([Outcome(subject="x", word=Word.FAILED, explanation="why")],),
    errors.HostError: ("i-1", "us-east-1", "why", "what to do"),
    errors.SnapbackError: ("what went wrong",),
}


def every_error() -> list[type[errors.SnapbackError]]:
    found = [errors.SnapbackError]
    for error in found:
        found += [one for one in error.__subclasses__() if one.__module__ == errors.__name__]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.__name__)
def test_every_error_survives_the_way_to_another_process(error: type[errors.SnapbackError]) -> None:
    raised = error(*next(ARGUMENTS[kind] for kind in error.__mro__ if kind in ARGUMENTS))
    arrived = pickle.loads(pickle.dumps(raised))
    assert type(arrived) is error
    assert str(arrived) == str(raised)
    assert arrived.exit_code == raised.exit_code
    assert {name for name in vars(arrived) if name != "error"} == {
        name for name in vars(raised) if name != "error"
    }


def test_the_settings_do_too(tmp_path: Path) -> None:
    from snapback import config

    loaded = config.load(
        config.named_file(Path(__file__).resolve().parents[2] / "config.example.yaml")
    )
    assert pickle.loads(pickle.dumps(loaded)) == loaded
