"""The state of all backups for Prometheus: node_exporter's textfile collector reads it.

Source: https://prometheus.io/docs/practices/naming/ and
https://prometheus.io/docs/instrumenting/exposition_formats/.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from snapback.core.model import taken_at
from snapback.core.status.health import Severity
from snapback.core.status.history import History, Standing
from snapback.report.statuses import NAGIOS
from snapback.status import Judged, Status

GIB = 1 << 30


@dataclass(frozen=True)
class Metric:
    """A gauge, and its samples: (labels, value)."""

    name: str
    about: str
    samples: tuple[tuple[dict[str, str], float], ...]

    def lines(self) -> Iterator[str]:
        """Answer it in the text format."""
        yield f"# HELP {self.name} {self.about}"
        yield f"# TYPE {self.name} gauge"
        for labels, value in self.samples:
            inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
            yield f"{self.name}{{{inside}}} {value:.17g}" if inside else f"{self.name} {value:.17g}"


def metrics_text(status: Status, now_s: float) -> str:
    """Answer all metrics in Prometheus's text format.

    :param now_s: the time of the reading, seconds since 1970.
    """
    metrics = [*_of_volumes(status.earmarked), *_of_fleet(status, now_s)]
    return "".join(f"{line}\n" for metric in metrics for line in metric.lines())


def _of_volumes(judged: Iterable[Judged]) -> Iterator[Metric]:
    volumes = [(one, _labels(one.history)) for one in judged]
    yield Metric(
        "snapback_volume_info",
        "A volume that is to be backed up.",
        tuple((labels | _more(one.history), 1) for one, labels in volumes),
    )
    yield Metric(
        "snapback_volume_state",
        "How good its backups are: 0 ok, 1 warning, 2 critical, 3 unknown.",
        tuple((labels, NAGIOS[one.severity]) for one, labels in volumes),
    )
    yield Metric(
        "snapback_volume_size_bytes",
        "The volume's size.",
        tuple((labels, one.history.size_gib * GIB) for one, labels in volumes),
    )
    yield Metric(
        "snapback_last_snapshot_timestamp_seconds",
        "When its last completed snapshot that isn't archived was taken.",
        tuple(
            (labels, taken_at(one.history.last).timestamp())
            for one, labels in volumes
            if one.history.last
        ),
    )
    yield Metric(
        "snapback_last_snapshot_consistency",
        "How consistent that one is: 0 crash, 1 filesystem, 2 stopped, 3 application, as of old.",
        tuple(
            (labels, one.history.last.consistency) for one, labels in volumes if one.history.last
        ),
    )
    yield Metric(
        "snapback_oldest_snapshot_timestamp_seconds",
        "When the oldest snapshot that is kept was taken.",
        tuple(
            (labels, taken_at(one.history.completed[0]).timestamp())
            for one, labels in volumes
            if one.history.completed
        ),
    )
    yield Metric(
        "snapback_snapshots",
        "How many snapshots of the volume there are, by state.",
        tuple(
            (labels | {"state": state}, len(snapshots))
            for one, labels in volumes
            for state, snapshots in (
                ("completed", one.history.completed),
                ("pending", one.history.pending),
                ("error", one.history.broken),
            )
        ),
    )
    replicas = [
        (labels | {"destination": replicas.place.region}, replicas)
        for one, labels in volumes
        for replicas in one.history.replicas
    ]
    yield Metric(
        "snapback_last_replica_timestamp_seconds",
        "When the data of its last replica in a region that isn't archived were taken; 0 where one "
        "is wanted and there is none.",
        tuple(
            (labels, taken_at(replicas.last).timestamp() if replicas.last else 0)
            for labels, replicas in replicas
            if replicas.read and (replicas.last or replicas.wanted)
        ),
    )
    yield Metric(
        "snapback_replicas_pending",
        "How many replicas are being made.",
        tuple((labels, len(replicas.pending)) for labels, replicas in replicas),
    )
    yield Metric(
        "snapback_replicas_in_error",
        "How many replicas ended in error.",
        tuple((labels, len(replicas.broken)) for labels, replicas in replicas),
    )


def _of_fleet(status: Status, now_s: float) -> Iterator[Metric]:
    survey = status.survey
    read = [(place, place not in survey.unread) for place in status.places]
    yield Metric(
        "snapback_region_up",
        "Whether the region could be read.",
        tuple(({"account": p.account, "region": p.region}, int(up)) for p, up in read),
    )
    yield Metric(
        "snapback_orphan_volumes",
        "Volumes that are gone and of which there are snapshots.",
        tuple(
            (
                {"account": place.account, "region": place.region},
                sum(h.place == place for h in survey.of(Standing.ORPHAN)),
            )
            for place, up in read
            if up
        ),
    )
    yield Metric(
        "snapback_unproven_snapshots",
        "Snapshots of whose records EC2 says otherwise. They count as nobody's backups.",
        tuple(
            (
                {"account": place.account, "region": place.region},
                len(survey.unproven_at(place)),
            )
            for place, up in read
            if up
        ),
    )
    yield Metric(
        "snapback_temporary_resources",
        "What was lent for a moment, has expired, and is still there.",
        (({}, sum(one.has_expired for one in survey.temporary)),),
    )
    yield Metric(
        "snapback_state",
        "The worst there is: 0 ok, 1 warning, 2 critical, 3 unknown.",
        (({}, NAGIOS[status.severity]),),
    )
    yield Metric(
        "snapback_volumes_in_state",
        "How many volumes that are to be backed up are in a state.",
        tuple(
            (
                {"state": severity.name.lower()},
                sum(one.severity is severity for one in status.earmarked),
            )
            for severity in Severity
        ),
    )
    yield Metric(
        "snapback_last_reading_timestamp_seconds",
        "When all this was read.",
        (({}, now_s),),
    )


def _labels(history: History) -> dict[str, str]:
    return {
        "account": history.place.account,
        "region": history.place.region,
        "volume": history.volume_id,
    }


def _more(history: History) -> dict[str, str]:
    return {
        "instance": history.instance_id,
        "name": history.name,
        "device": history.device_name,
    }


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
