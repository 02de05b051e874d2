"""One self-contained page of HTML: a row a volume, with its picture. It needs no network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files

from snapback.report.files import write_whole
from snapback.report.markup import markup
from snapback.report.picture import Lane, Scale, axis, grid, picture, scale_for, shape

STATES = ("critical", "unknown", "warning", "former", "trim", "ok", "gone")
MANY = 500
_FILTER_WORDS = {"trim": "some would go"}
_FRESH = '<li><i class="fresh"></i>where the last one has to be</li>'
_LEGEND = (
    ("kept", "kept"),
    ("better", "kept, and more than crash-consistent"),
    ("going", "the next trim deletes it"),
    ("pending", "pending"),
    ("broken", "in error"),
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A volume on the page.

    :ivar state: one of :data:`STATES`, worst first.
    :ivar word: what people call the state.
    :ivar why: what is to be said of it.
    :ivar last_s: the age of the last snapshot, for sorting; ``None``: there is none.
    """

    state: str
    word: str
    name: str
    instance_id: str
    device: str
    volume_id: str
    region: str
    size_gib: int
    last: str = ""
    last_s: int | None = None
    last_more: str = ""
    kept: int = 0
    kept_more: str = ""
    why: str = ""
    lanes: tuple[Lane, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page: what is said at its head, and its rows.

    :ivar numbers: (number, what it counts, state): the state gives the colour, and may be ``""``.
    :ivar notes: lines below the numbers.
    """

    title: str
    verdict: str
    state: str
    read_at: datetime
    numbers: Sequence[tuple[str, str, str]]
    rows: Sequence[Row]
    notes: Sequence[str] = ()


def write_page(name: str, page: Page) -> None:
    """Write the page into a file.

    :raises UsageError: it can't be written.
    """
    write_whole(name, html(page))


def html(page: Page) -> str:
    """Answer the page."""
    scale = scale_for(lane for row in page.rows for lane in row.lanes)
    is_large = len(page.rows) > MANY
    rows = "\n".join(_row(row, number, scale) for number, row in enumerate(page.rows))
    return _asset("page.html").format(
        style=_asset("page.css") + grid(scale),
        script=_asset("page.js"),
        title=markup(page.title),
        verdict=markup(page.verdict),
        state=page.state,
        read_at=f"{page.read_at:%Y-%m-%d %H:%M} UTC",
        read_at_iso=page.read_at.isoformat(timespec="seconds"),
        numbers="".join(map(_number, page.numbers)),
        notes="".join(f"<li>{markup(note)}</li>" for note in page.notes),
        many=" many" if is_large else "",
        map="".join(
            _square(row, number, is_stop=not is_large or row.state not in ("ok", "gone"))
            for number, row in enumerate(page.rows)
        ),
        filters="".join(_filter(state, page.rows) for state in STATES),
        legend="".join(map(_legend, _LEGEND)) + (_FRESH if any(_limited(page)) else ""),
        axis=axis(scale),
        count=len(page.rows),
        rows=rows,
    )


def _limited(page: Page) -> Iterator[bool]:
    """Answer of each lane whether its newest snapshot has to be new."""
    return (lane.fresh is not None for row in page.rows for lane in row.lanes)


def _asset(name: str) -> str:
    return files("snapback.report").joinpath("assets", name).read_text(encoding="utf-8")


def _number(number: tuple[str, str, str]) -> str:
    value, about, state = number
    return f'<div class="number {state}"><dt>{markup(about)}</dt><dd>{markup(value)}</dd></div>'


def _square(row: Row, number: int, *, is_stop: bool) -> str:
    """Answer a volume's square in the map.

    :param is_stop: whether the key Tab stops there: in a large fleet where something is amiss only.
    """
    about = markup(f"{row.name or row.instance_id} {row.device}: {row.word}")
    stop = "" if is_stop else ' tabindex="-1"'
    return (
        f'<a class="{row.state}" href="#v{number}" title="{about}" aria-label="{about}"{stop}></a>'
    )


def _filter(state: str, rows: Sequence[Row]) -> str:
    here = [row for row in rows if row.state == state]
    if not here:
        return ""
    word = _FILTER_WORDS.get(state, here[0].word)
    return (
        f'<label class="{state}"><input type="checkbox" value="{state}" checked> '
        f"{markup(word)} <span>{len(here)}</span></label>"
    )


def _legend(entry: tuple[str, str]) -> str:
    kind, about = entry
    return (
        f'<li><svg width="16" height="20" aria-hidden="true">{shape(kind, "8")}</svg>'
        f"{markup(about)}</li>"
    )


def _row(row: Row, number: int, scale: Scale) -> str:
    sought = " ".join(
        (row.name, row.instance_id, row.device, row.volume_id, row.region, row.word, row.why)
    ).lower()
    keys = {
        "state": f"{STATES.index(row.state):02d}",
        "name": f"{row.name or row.instance_id} {row.device}".lower(),
        "volume": f"{row.device} {row.volume_id}",
        "size": f"{row.size_gib:09d}",
        "last": f"{10**11 - 1 if row.last_s is None else row.last_s:011d}",
        "kept": f"{row.kept:09d}",
        "region": f"{row.region} {row.name}".lower(),
    }
    data = "".join(f' data-{key}="{markup(value)}"' for key, value in keys.items())
    lanes = "".join(
        f'<span class="where">{markup(lane.label)}</span>{picture(lane, scale)}'
        for lane in row.lanes
    )
    why = f'<p class="why">{markup(row.why)}</p>' if row.why else ""
    return (
        f'<tr id="v{number}" class="{row.state}"{data} data-sought="{markup(sought)}">'
        f'<td class="state"><span class="badge">{markup(row.word)}</span></td>'
        f'<th scope="row">{markup(row.name or "–")}<small>{markup(row.instance_id)}</small></th>'
        f'<td class="volume">{markup(row.device or "–")}<small>{markup(row.volume_id)}</small></td>'
        f'<td class="n" data-label="GiB">{row.size_gib}</td>'
        f'<td class="n" data-label="last">{markup(row.last or "none")}'
        f"<small>{markup(row.last_more)}</small></td>"
        f'<td class="n" data-label="kept">{row.kept}<small>{markup(row.kept_more)}</small></td>'
        f'<td class="pictures"><div class="lanes" style="--lanes:{len(row.lanes)}">{lanes}</div>'
        f"{why}</td></tr>"
    )
