"""What tasks are allowed to do, tried by dry runs, each place for itself. Changes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any

from snapback.config import Settings
from snapback.core.doctor.checkup import Line, not_examined
from snapback.core.doctor.permission_probes import Things, Trial, Untried, trials_of
from snapback.core.doctor.permissions import CALLS_NOTHING, EXTRAS_OF, Need, needs_in
from snapback.core.doctor.probe_results import (
    NO_DRY_RUNS,
    NOTHING_READ,
    State,
    Tried,
    Verdict,
    judge_task,
)
from snapback.ec2.checkup import honours_dry_runs, try_it
from snapback.run import Run, fanout

OPTIONAL = {
    "instance_profile": "for an instance profile",
    "own_instances": "with --src-inst and --dst-inst",
    "synchronously": "with --synchronously",
}


def policy(name: str) -> list[Need]:
    """Answer what a policy of ours allows."""
    file = files("snapback") / "policies" / f"{name}.json"
    return needs_in(name, file.read_text(encoding="utf-8"))


def extras(task: str, settings: Settings) -> list[str]:
    """Answer the extras that a task needs with these settings, or may do without."""
    by_rsync = settings.replication.engine == "rsync" or not task.startswith("rsync_")
    leave_out = {
        "copy_engine": by_rsync,
        "console": settings.ssh.host_keys != "console",
        "own_instances": not by_rsync,
        "rsync_engine": not by_rsync,
        "temporary_instances": not by_rsync,
    }
    return [one for one in EXTRAS_OF.get(task, ()) if not leave_out.get(one, False)]


def try_tasks(
    run: Run, places: Sequence[Things], tasks: Sequence[str]
) -> tuple[list[Line], list[Need]]:
    """Answer a line for each task, and what is to be allowed besides.

    :param places: what there is to try permissions on, at each place.

    Source: dry runs of what the tasks call.
    """
    legacy = any(things.untagged_id for things in places)
    wanted = [one for one in tasks if one not in CALLS_NOTHING]
    policies = {
        task: [
            task,
            *(x for x in extras(task, run.settings) if legacy or x != "django_fabfile"),
        ]
        for task in wanted
    }
    needed = {name: policy(name) for names in policies.values() for name in names}
    results = fanout.each(
        places,
        lambda things: _try_all(run, _with_a_source(things, places), needed),
        stop=run.stop,
    )
    tried: dict[str, list[Tried]] = {name: [] for name in needed}
    for result in results:
        for name, found in (result.value or {}).items():
            tried[name] += found
    lines, lacking = [], []
    for task, names in policies.items():
        line, missing = judge_task(
            task,
            [one for name in names if name not in OPTIONAL for one in tried[name]],
            {OPTIONAL[name]: tried[name] for name in names if name in OPTIONAL},
        )
        lines.append(line)
        lacking += missing
    unread = [
        not_examined("permissions", str(place := result.item.place), result.error, place)
        for result in results
        if result.error
    ]
    return [*lines, *unread], lacking


def _with_a_source(things: Things, all_of_them: Sequence[Things]) -> Things:
    for other in all_of_them:
        if (
            other.snapshot_id
            and other.place.region != things.place.region
            and (other.place.account == things.place.account)
        ):
            return replace(things, source=(other.place.region, other.snapshot_id))
    return things


def _try(conn: Any, trial: Trial, honoured: bool | None) -> Verdict:
    if honoured is False:
        return Verdict(State.UNTRIED, NO_DRY_RUNS)
    if honoured is None and not trial.only_reads:
        return Verdict(State.UNTRIED, NOTHING_READ)
    return try_it(conn, trial)


def _try_all(
    run: Run, things: Things, needed: Mapping[str, Sequence[Need]]
) -> dict[str, list[Tried]]:
    """Try all needs at a place, each call once."""
    conn = run.conn(things.place)
    honoured = honours_dry_runs(conn)
    known: dict[str, Verdict] = {}

    def verdict(need: Need) -> Verdict:
        trials = trials_of(need, things)
        if isinstance(trials, Untried):
            return Verdict(State.UNTRIED, trials.why, trials.later)
        found = []
        for trial in trials:
            key = json.dumps([trial.action, trial.parameters, trial.tagged])
            if key not in known:
                known[key] = _try(conn, trial, honoured)
            found.append(known[key])
        worst = {State.MISSING: 0, State.UNTRIED: 1, State.ALLOWED: 2}
        return min(found, key=lambda one: worst[one.state])

    return {
        name: [Tried(things.place, need, verdict(need)) for need in needs]
        for name, needs in needed.items()
    }
