"""Which settings of an original its restored instance gets: decided here, with what it doesn't."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from snapback.core.model.launch_options import (
    CPUS,
    METADATA,
    OPTIONS,
    UNRESTORABLE,
    Options,
    in_words,
)
from snapback.core.model.original import Original
from snapback.core.model.reasons import Reason
from snapback.core.restore.reasons import RestoreTopic

NotRestored = Mapping[str, str | None]
"""What of an original isn't restored: key -> its value; ``None``: it isn't recorded."""

_SETTINGS = "settings"
_UNRECORDED = {
    _SETTINGS: "metadata options and other settings (an older version took it)",
    "termination_protection": "termination protection",
    "stop_protection": "stop protection",
    "cpu_credits": "CPU credits",
}
_CALLED = {
    **UNRESTORABLE,
    **{key: option.called for key, option in OPTIONS.items()},
    **_UNRECORDED,
}
_BURSTABLE = re.compile(r"t[0-9]")
_HARMFUL_IN_A_DRILL = {"http_endpoint", "source_dest_check", "monitoring", "tenancy"}


class Cores(NamedTuple):
    """The CPUs of an instance of a type that is launched without CpuOptions."""

    core_count: int
    threads_per_core: int


@dataclass(frozen=True)
class OptionsPlan:
    """The settings that a restored instance gets.

    :ivar options: those that are set: at the launch, or right after it.
    """

    options: Options = field(default_factory=dict)
    not_restored: NotRestored = field(default_factory=dict)


def plan_options(
    told: Original,
    instance_type: str,
    usual_cores: Cores | None,
    *,
    same_type: bool,
    same_subnet: bool,
) -> OptionsPlan:
    """Decide which of an original's settings are set.

    Of HttpTokens only ``required`` is ever sent, of HttpEndpoint only ``disabled``. So a tag that
    anybody wrote can't make them laxer than the account's default.

    :param instance_type: the type of the restored instance.
    :param usual_cores: those of the original's type; ``None``: not known.
    :param same_type: whether the restored instance is of the original's type.
    :param same_subnet: whether it is in the original's subnet.
    """
    if told.options is None:
        return OptionsPlan(not_restored={_SETTINGS: None})
    options = dict(told.options)
    if usual_cores == (options.get("core_count"), options.get("threads_per_core")):
        options = {key: value for key, value in options.items() if key not in CPUS}
    unfit = {
        key
        for key in options
        if (OPTIONS[key].needs_type and not same_type)
        or (OPTIONS[key].needs_subnet and not same_subnet)
        or (key in CPUS and (usual_cores is None or not options.keys() >= set(CPUS)))
        # EC2 refuses the other metadata options where HttpEndpoint is disabled.
        or (key in METADATA and "http_endpoint" in options and key != "http_endpoint")
    }
    good = {key: value for key, value in options.items() if key not in unfit}
    if "http_tokens" in good:
        good.setdefault("http_put_response_hop_limit", 1)  # ImdsSupport would make it 2
    unrecorded = ["termination_protection", "stop_protection"]
    if _BURSTABLE.match(instance_type):
        unrecorded.append("cpu_credits")
    return OptionsPlan(
        good,
        {
            **told.unrestorable,
            **{key: in_words({key: options[key]}) for key in options if key in unfit},
            **dict.fromkeys(unrecorded),
        },
    )


def of_drill(options: Options) -> Options:
    """Return the settings for an instance that is to boot, be looked at, and go.

    It needs the metadata service, which gives it its host key. Where the original had that
    switched off, its successor gets the strictest that works: IMDSv2.
    """
    kept = {key: value for key, value in options.items() if key not in _HARMFUL_IN_A_DRILL}
    if "http_endpoint" in options:
        kept |= {"http_tokens": "required", "http_put_response_hop_limit": 1}
    return kept


def lost_in(plan: OptionsPlan, made: Options) -> NotRestored:
    """Return what isn't restored, seen by the instance that was made.

    It may have by default what wasn't set, and a default of the account may say otherwise of the
    metadata options than EC2's.

    :param made: its settings that differ from EC2's default.
    """
    lost = {
        key: value
        for key, value in plan.not_restored.items()
        if key not in made or value != in_words({key: made[key]})
    }
    if _SETTINGS in plan.not_restored:
        return lost
    for key in METADATA:
        usual = OPTIONS[key].usual
        wanted, has = plan.options.get(key, usual), made.get(key, usual)
        if key not in plan.not_restored and wanted != has:
            lost[key] = f"{in_words({key: wanted})}, but {has} by the account's default"
    return lost


def told_options(options: Options) -> list[Reason[RestoreTopic]]:
    """Return in words which settings are set."""
    if not options:
        return []
    return [Reason(RestoreTopic.SETTINGS, f"{in_words(options)}, as the original")]


def told_not_restored(not_restored: NotRestored) -> list[Reason[RestoreTopic]]:
    """Return in words what isn't restored, and what isn't recorded."""
    lost = [
        value if key in OPTIONS else f"{_CALLED[key]} {value}"
        for key, value in not_restored.items()
        if value is not None
    ]
    unknown = [_CALLED[key] for key, value in not_restored.items() if value is None]
    told = [", ".join(lost)] if lost else []
    if unknown:
        told.append(f"not recorded: {', '.join(unknown)}")
    if not told:
        return []
    return [Reason(RestoreTopic.SETTINGS, f"not restored: {'; '.join(told)}")]
