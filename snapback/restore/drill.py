"""A drill: an instance is restored, seen to work, and taken down again. How long did it take?"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from snapback.core.leases.cloud_config import drill_config
from snapback.core.leases.lease import Kind
from snapback.core.model import Instance
from snapback.core.model.outcome import Outcome
from snapback.core.restore.options_plan import of_drill
from snapback.core.restore.restore_plan import InstancePlan
from snapback.ec2.instances import console_output
from snapback.ec2.launching import wait_until_running
from snapback.ec2.restoring import run_instance, status_checks
from snapback.ec2.temporary import Lender
from snapback.errors import LeftBehind, SnapbackError
from snapback.restore.common import word_for
from snapback.restore.instances import image_of, outcome_of
from snapback.run import Run
from snapback.run.waiting import looks
from snapback.ssh.checking import MOST_SAID
from snapback.ssh.host_keys import HostKey
from snapback.ssh.keys import Key, new_key
from snapback.words import Word
from snapback.workers.sweep import lender_at

MARGIN_MINUTES = 30
LONGEST_CONSOLE = 300


@dataclass
class Times:
    """When what was reached, in seconds since the drill began."""

    clock: Callable[[], float]
    reached: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._begun = self.clock()

    def note(self, what: str) -> None:
        """Take note that something is reached."""
        self.reached[what] = round(self.clock() - self._begun, 1)

    def __str__(self) -> str:
        return ", ".join(f"{what} after {seconds:g} s" for what, seconds in self.reached.items())


def drill(run: Run, plan: InstancePlan, check_command: str) -> Outcome:
    """Restore an instance for a moment, see that it works, and answer how long that took.

    :param check_command: a command line that sh runs on it as root, and that has to end with 0.
    """
    times, problem = Times(run.clock), None
    try:
        with lender_at(run, plan.source.place, _lease(run)) as lends:
            try:
                _restore(run, lends, plan, check_command, times)
            except SnapbackError as error:
                problem = error  # told below, once all is taken down
    except LeftBehind as error:
        why = f"{problem}; and {error}" if problem else str(error)
        return _outcome(plan, Word.LEFT_BEHIND, why, times)
    if problem:
        so_far = f" ({times})" if times.reached else ""
        return _outcome(plan, word_for(problem), f"{problem}{so_far}", times)
    return _outcome(plan, Word.DONE, f"taken down again; {times}", times)


def _outcome(plan: InstancePlan, word: Word, explanation: str, times: Times) -> Outcome:
    outcome = outcome_of(plan, word, explanation)
    outcome.facts["drill"] = {
        f"{what.replace(' ', '_')}_s": seconds for what, seconds in times.reached.items()
    }
    return outcome


def _lease(run: Run) -> timedelta:
    return timedelta(minutes=2 * run.settings.restore.drill_minutes + MARGIN_MINUTES)


def _restore(run: Run, lends: Lender, plan: InstancePlan, check_command: str, times: Times) -> None:
    place, host_key = plan.source.place, new_key()
    conn = run.conn(place)
    options = of_drill(plan.settings.options)
    user_data = drill_config(
        host_key.private, host_key.public, int(_lease(run).total_seconds() // 60)
    )
    with (
        image_of(run, lends, plan) as image_id,
        lends.until_kept(
            Kind.INSTANCE,
            f"drill of {plan.source.instance_id}",
            lambda token, marks: run_instance(
                conn, plan, image_id, token, marks, marks, options, user_data=user_data
            ),
        ) as instance_id,
    ):
        instance = wait_until_running(conn, place, instance_id, run.pause)
        times.note("running")
        _wait_for_checks(run, conn, instance)
        times.note("status checks ok")
        _log_in(run, plan, instance, host_key, check_command)
        times.note("check command ok")


def _wait_for_checks(run: Run, conn: Any, instance: Instance) -> None:
    """Wait until EC2's checks of an instance are well.

    :raises SnapbackError: they aren't in time, or fail.
    """
    minutes = run.settings.restore.drill_minutes
    attempts = looks(run, minutes)
    while True:
        late = next(attempts)
        system, itself = status_checks(conn, instance.instance_id)
        if system == itself == "ok":
            return
        if late or "impaired" in (system, itself):
            state = f"system {system or 'unknown'}, instance {itself or 'unknown'}"
            raise SnapbackError(
                f"EC2's status checks of the restored instance {instance.instance_id}: {state}"
                f"{f' after {minutes} minutes' if late else ''}; its console ends with: "
                f"{_console(conn, instance)}"
            )


def _console(conn: Any, instance: Instance) -> str:
    """Answer the end of what an instance printed: it is soon gone, and nobody can look then."""
    with suppress(SnapbackError):
        if said := " / ".join(console_output(conn, instance.instance_id).split("\n")).strip(" /"):
            return said[-LONGEST_CONSOLE:]
    return "nothing"


def _log_in(
    run: Run, plan: InstancePlan, instance: Instance, host_key: Key, check_command: str
) -> None:
    """Log in as to the original, and run the check command.

    :raises HostError: it doesn't work.
    """
    known = HostKey.read(*host_key.public.split()[:2])
    assert known is not None  # we have just made it
    login = run.settings.for_host(plan.source.place.region, plan.tags)
    with run.host(instance, login=login, host_keys=[known], booting=True) as host:
        host.sudo(
            ["sh", "-c", check_command],
            timeout_s=60.0 * run.settings.restore.drill_minutes,
            most_held=MOST_SAID,
        )
