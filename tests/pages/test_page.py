"""The page as a person meets it: sorted, filtered, by keys, light and dark, printed, off line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from snapback.core.model import Consistency, Place
from snapback.core.trim.brake import Brake
from snapback.core.trim.retention import Protection
from snapback.core.trim.trim_plan import plan_trim
from snapback.report.page import html
from snapback.report.pages import page_of_status, page_of_trimming
from snapback.status import Status
from tests.pages.browser import Browser, browser, why_not
from tests.unit.builders import (
    REGION,
    an_instance,
    at,
    policy,
    record,
    seen,
    snapshot,
    status_of,
)

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

NOW = at("2026-11-24T12:00")
OTHER = "eu-west-1"
NASTY = "<script>document.title='caught'</script><b>\"'&"
DAYS = [f"2026-11-{day:02d}T03:00" for day in range(1, 25)]


def fleet() -> Status:
    """Answer a fleet with a bit of everything; it is judged, and the next trim is planned."""
    web = an_instance("web", "a")
    nasty = an_instance("nasty", "b", tags={"Name": NASTY, "Earmarking": "production"})
    snapshots = [
        *(snapshot(day, name=f"snap-{day[8:10]}") for day in DAYS),
        snapshot("2026-11-20T03:00", volume="b", consistency=Consistency.FILESYSTEM),
        snapshot("2026-11-24T11:00", volume="b", state="pending", progress="7%"),
        snapshot("2026-11-24T10:00", volume="b", state="error", state_message=NASTY),
        snapshot("2023-01-01T03:00", volume="d", size_gib=70),
    ]
    replica = snapshot(
        "2026-11-24T03:00", place=Place(OTHER), record=record(), region=OTHER, name="snap-replica"
    )
    here = seen([web, nasty, an_instance("new", "c")], snapshots)
    status = status_of(
        here, seen(region=OTHER, snapshots=[replica]), destinations={REGION: [OTHER]}
    )
    plan = plan_trim(
        here.place, snapshots, lambda _: policy(daily=7), NOW, Protection(), Brake(percent=100)
    )
    return Status(
        places=status.places, survey=status.survey, judged=status.judged, trim_plans=(plan,)
    )


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def page(window: Browser, tmp_path: Path) -> Browser:
    """The page of the fleet, opened."""
    return show(window, tmp_path, html(page_of_status(fleet(), NOW)))


def show(window: Browser, folder: Path, text: str) -> Browser:
    target = folder / "page.html"
    target.write_text(text)
    window.media()
    window.size(1400, 900)
    window.log("browser")
    window.log("performance")
    window.open(target)
    return window


def names(window: Browser) -> list[str]:
    """Answer the names of the rows that are to be seen, in their order."""
    found: list[str] = window.run(
        "return [...document.querySelectorAll('tbody tr')].filter(r => r.offsetParent !== null)"
        ".map(r => r.querySelector('th').firstChild.textContent)"
    )
    return found


def tip(window: Browser) -> str | None:
    """Answer what the tip says, where one is to be seen."""
    found: str | None = window.run("return tip.hidden ? null : tip.textContent")
    return found


def test_it_asks_nothing_of_the_network_and_has_no_errors(page: Browser) -> None:
    events = [json.loads(entry["message"])["message"] for entry in page.log("performance")]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert len(asked) == 1
    assert asked[0].startswith("file://")
    assert page.log("browser") == []


def test_the_worst_is_said_first_and_names_are_only_text(page: Browser) -> None:
    assert page.run("return document.querySelector('h1').textContent") == (
        "2 of 3 volumes need attention"
    )
    assert names(page) == ["new", "–", NASTY, "web"]
    assert page.run("return document.querySelectorAll('tbody b, tbody script').length") == 0
    assert not page.run("return document.title").startswith("caught")


def test_heads_sort_by_mouse_and_by_key(page: Browser) -> None:
    button = "document.querySelector('button[data-by=%s]')"
    page.run(f"{button % 'size'}.click()")
    assert names(page)[-1] == "–"
    page.run(f"{button % 'name'}.focus()")
    page.press("Enter")
    assert names(page)[-1] == "web"
    first = names(page)
    page.press("Enter")
    assert names(page) == first[::-1]
    sorted_by = "return [...document.querySelectorAll('th[aria-sort]')].map(t => t.ariaSort)"
    assert page.run(sorted_by).count("descending") == 1


def test_the_filter_takes_words_and_states_and_says_how_many(page: Browser) -> None:
    page.press("/")
    page.press(*"us-east web")
    assert names(page) == ["web"]
    count = "return document.getElementById('count').textContent"
    assert page.run(count) == "1 of 4 volumes"
    page.press("Escape")
    assert len(names(page)) == 4
    page.run("document.querySelector('input[value=critical]').click()")
    assert set(names(page)) == {"–", "web"}
    page.press("/", *"zzz")
    assert names(page) == []
    assert page.run("return document.querySelector('.nothing').offsetParent !== null")


def test_a_mark_says_what_it_is_when_pointed_at(page: Browser) -> None:
    where: dict[str, float] = page.run(
        "const m = document.querySelector('tbody circle.going');"
        "m.scrollIntoView({block: 'center'});"
        "return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {"
        "  const r = m.getBoundingClientRect();"
        "  done({x: r.x + r.width / 2, y: r.y + r.height / 2});"
        "})))"
    )
    page.point_at(where["x"], where["y"])
    said = tip(page)
    assert said
    assert "the next trim deletes it: older than day " in said
    assert "crash-consistent" in said
    page.point_at(5, 5)
    assert tip(page) is None


def test_the_keys_walk_from_mark_to_mark(page: Browser) -> None:
    page.run("document.querySelector('tr[data-sought*=web] svg.lane').focus()")
    page.press("Left")
    assert tip(page) == (
        "2026-11-24 03:00 UTC, 9 h ago\nsnap-24, crash-consistent\nkept: newest, day 2026-11-24"
    )
    page.press("Left")
    assert "snap-23" in (tip(page) or "")
    page.press("Right", "Right")
    assert "snap-24" in (tip(page) or "")
    page.press("Escape")
    assert tip(page) is None


def test_each_kind_of_mark_has_its_shape_and_place(page: Browser) -> None:
    kinds: list[str] = page.run(
        "return [...document.querySelectorAll('tbody svg.lane > :is(circle, use)')]"
        ".map(mark => mark.getAttribute('class'))"
    )
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "kept": 9, "going": 17, "better": 1, "pending": 1, "broken": 1,
    }  # fmt: skip
    places: list[float] = page.run(
        "return [...document.querySelectorAll('tr[data-sought*=web] svg.lane')[0]"
        ".querySelectorAll('circle')].map(u => u.getBoundingClientRect().x)"
    )
    assert places == sorted(places)
    gaps = [later - earlier for earlier, later in pairwise(places)]
    assert gaps == sorted(gaps), "a day is the longer the nearer it is"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_in_light_and_dark(page: Browser, scheme: str) -> None:
    page.media(scheme=scheme)
    for element in (
        "h1",
        "tbody th",
        "tbody small",
        ".why",
        ".badge",
        "thead button",
        ".legend li",
    ):
        for one in colours(page, element):
            assert contrast(one["ink"], one["ground"]) >= 4.5, (scheme, element, one)
    ground = colours(page, "body")[0]["ground"]
    assert (luminance(ground) > 0.5) == (scheme == "light")


@pytest.mark.parametrize("width", [360, 700, 1024, 1130, 1900])
def test_it_needs_no_sideways_scrolling_and_labels_have_room(page: Browser, width: int) -> None:
    page.size(width, 800)
    assert page.run("return document.documentElement.scrollWidth") <= width
    assert labels_overlap(page) == []


def labels_overlap(page: Browser) -> list[float]:
    """Answer by how much labels of the axis overlap, where they do."""
    found: list[list[float]] = page.run(
        "return [...document.querySelectorAll('svg.axis text')].map(t => t.getBoundingClientRect())"
        ".filter(r => r.width).map(r => [r.left, r.right])"
    )
    assert len(found) > 2
    return [one[1] - other[0] for one, other in pairwise(sorted(found)) if one[1] > other[0]]


def test_it_prints_on_white_without_what_paper_has_no_use_for(page: Browser) -> None:
    page.media("print", scheme="dark")
    assert colours(page, "body")[0]["ground"] == [255, 255, 255]
    assert not page.run("return document.querySelector('form').offsetParent")
    page.size(1032, 700)  # A4, landscape, less its margins
    assert page.run("return getComputedStyle(document.querySelector('tbody tr')).display") == (
        "table-row"
    )
    assert labels_overlap(page) == []
    printed = page.ask("POST", "/print", background=True)
    assert len(printed) > 10_000


def test_everything_has_a_name_for_those_who_listen(page: Browser) -> None:
    page.cdp("Accessibility.enable")
    nodes: list[dict[str, Any]] = page.cdp("Accessibility.getFullAXTree")["nodes"]
    wanted = {"button", "checkbox", "searchbox", "link", "image", "table"}
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node.get("ignored") and node["role"]["value"] in wanted
    ]
    assert {role for role, _ in named} == wanted
    assert all(name for _, name in named)
    assert ("image", "us-east-1: 7 kept, 17 to be trimmed") in named


def test_the_dry_run_of_a_trimming_has_the_same_picture(window: Browser, tmp_path: Path) -> None:
    page = show(window, tmp_path, html(page_of_trimming(fleet().trim_plans, NOW)))
    assert page.run("return document.querySelector('h1').textContent") == (
        "17 snapshots would go, 10 would stay"
    )
    assert page.run("return document.querySelectorAll('tbody circle.going').length") == 17
    assert page.run("return document.querySelectorAll('tbody circle.kept').length") == 8
    assert page.log("browser") == []


def test_a_large_fleet_leaves_the_table_in_sight_and_the_tab_key_useful(
    window: Browser, tmp_path: Path
) -> None:
    some = page_of_status(fleet(), NOW).rows
    page = show(window, tmp_path, html(replace(page_of_status(fleet(), NOW), rows=some * 700)))
    assert page.run("return document.querySelector('thead').getBoundingClientRect().top") < 800
    assert page.run("return document.querySelectorAll('.map a').length") == 2800
    stops = "return new Set([...document.querySelectorAll('.map a')].filter(a => !a.hasAttribute("
    assert page.run(f"{stops}'tabindex')).map(a => a.className)).size") == 1


def test_an_empty_page_is_one_too(window: Browser, tmp_path: Path) -> None:
    page = show(window, tmp_path, html(page_of_status(status_of(seen()), NOW)))
    assert page.run("return document.querySelector('h1').textContent") == "nothing is backed up"
    assert names(page) == []
    assert page.log("browser") == []


def colours(window: Browser, selector: str) -> list[dict[str, list[int]]]:
    """Answer the ink and the ground of all that is selected, as red, green, blue."""
    found: list[dict[str, list[int]]] = window.run(
        """
        const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
        const ground = (e) => {
          for (; e; e = e.parentElement) {
            const c = rgb(getComputedStyle(e).backgroundColor);
            if (c.length === 3 || c[3] === 1) return c.slice(0, 3);
          }
          return [255, 255, 255];
        };
        return [...document.querySelectorAll(arguments[0])].map((e) => (
          {ink: rgb(getComputedStyle(e).color).slice(0, 3), ground: ground(e)}));
        """,
        selector,
    )
    assert found, selector
    return found


def luminance(colour: list[int]) -> float:
    """Answer how bright a colour is. Source: WCAG 2.2, relative luminance."""
    parts = [part / 255 for part in colour]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: list[int], other: list[int]) -> float:
    """Answer the contrast of two colours, from 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)
