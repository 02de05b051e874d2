"""One embedded EC2 with real hosts for all tests of a worker: sshd, file systems, block devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ec2_sandbox import Sandbox, launch
from ec2_sandbox.hosts.needs import why_not

from snapback import config
from snapback.run import Run, use
from tests.hosts.replicas import FILL, SETTINGS, Fleet, everything
from tests.sandbox.conftest import (
    REGIONS,
    begin,
    configure,
    fab,
    load,
    run,
    sandbox,
    warm_fab,
    world,
)

__all__ = ["begin", "configure", "fab", "load", "run", "sandbox", "warm_fab", "world"]


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Sandbox]:
    """The sandbox that ``sandbox`` empties for each test."""
    if reason := why_not():
        pytest.skip(reason)
    settings = {"snapshot_seconds": 0.3, "seconds_between_snapshots": 0}
    with launch(hosts=True, regions=list(REGIONS), **settings) as running:
        yield running


@pytest.fixture
def reachable(sandbox: Sandbox, configure: Callable[..., Path]) -> Callable[..., Path]:
    """Writes a configuration with which snapback gets into the sandbox's hosts."""

    def write(*, ssh: dict[str, Any] | None = None, **settings: Any) -> Path:
        login = {
            "username": "ubuntu",
            "key_filename": sandbox.hosts.key_file,
            "host_keys": "console",
        }
        return configure(ssh={**login, **(ssh or {})}, **settings)

    return write


@pytest.fixture
def real_run(reachable: Callable[..., Any]) -> Iterator[Run]:
    """A run whose time is the machine's, since hosts take their time to boot."""
    path = reachable(temporary={"source_cidr": "203.0.113.7/32", "lease_minutes": 20})
    with use(Run(config.load(config.named_file(path)))) as found:
        yield found


@pytest.fixture
def lay_out(sandbox, world, fab, load, reachable):
    """Lays out a fleet whose data volumes have data, with a configuration that lets in."""

    def make(*, settings: dict[str, Any] | None = None, **regions: Any) -> Fleet:
        reachable(**{**SETTINGS, **(settings or {})})
        placed = load(**{r.replace("_", "-"): {"instances": found} for r, found in regions.items()})
        fleet = Fleet(sandbox, world, fab, placed, everything(world))
        for names in placed.values():
            for name in names:
                fleet.shell(FILL, name)
        return fleet

    return make
