"""The report of a round, in a real browser."""

from __future__ import annotations

import shutil
import sys
from itertools import combinations
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from crowded import crowd

from vidal.report.write import write_outputs

SHOWN = """[...document.querySelectorAll('#rank-1 .mark.miss')]
  .filter(mark => getComputedStyle(mark).display !== 'none').length"""
OVERLAP = """selector => {
  const boxes = [...document.querySelectorAll(selector)].map(e => e.getBoundingClientRect());
  return boxes.filter(b => b.width).map(b => [b.left, b.top, b.right, b.bottom]);
}"""


@pytest.fixture(scope="module")
def report(street, tmp_path_factory) -> Path:
    """Six ranks of two clips."""
    out = tmp_path_factory.mktemp("report")
    write_outputs(crowd(street, [5, 0, 39], clips=2), out)
    return out / "report.html"


@pytest.fixture(scope="module")
def alone(report, tmp_path_factory) -> Path:
    """The page without anything beside it, as in a mail."""
    return Path(shutil.copy(report, tmp_path_factory.mktemp("mail") / "report.html"))


def overlapping(page, selector):
    found = page.evaluate(OVERLAP, selector)
    pairs = [
        (a, b)
        for a, b in combinations(found, 2)
        if min(a[2], b[2]) - max(a[0], b[0]) > 0.5 and min(a[3], b[3]) - max(a[1], b[1]) > 0.5
    ]
    return found, pairs


@pytest.mark.parametrize("width", [1300, 390])
def test_no_two_labels_of_boxes_cover_each_other(opened, alone, width):
    page = opened(alone, viewport={"width": width, "height": 850})
    for rank in (1, 2):
        page.locator(f"#rank-{rank}").scroll_into_view_if_needed()
        page.wait_for_selector(f"#rank-{rank} .tags")
        found, pairs = overlapping(page, f"#rank-{rank} .plate")
        assert len(found) >= 3
        assert pairs == []
    page.click("#rank-1 .picture")
    page.wait_for_selector("#stage .tags .plate")
    found, pairs = overlapping(page, "#stage .plate")
    marks = page.locator("#stage .mark").count()
    note = page.text_content("#stage .hidden-labels")
    assert pairs == []
    assert len(found) == marks or note.startswith(f"{marks - len(found)} label")


def test_labels_stay_apart_when_the_window_changes(opened, alone):
    page = opened(alone, "#rank-1")
    page.wait_for_selector("#stage .plate")
    page.set_viewport_size({"width": 700, "height": 600})
    page.wait_for_timeout(150)
    found, pairs = overlapping(page, "#stage .plate")
    assert found
    assert pairs == []


def test_an_address_opens_its_frame(opened, alone, street):
    page = opened(alone, "#rank-3")
    assert page.text_content("#large-rank") == "3"
    clip = page.get_attribute("#rank-4", "data-clip")
    page = opened(alone, f"#{clip}@0".replace("<", "%3C").replace(" ", "%20"))
    assert page.text_content("#large-title") == f"{clip} @ 0"
    assert page.text_content("#large-rank") == "4"
    page.keyboard.press("Escape")
    page.wait_for_selector("#large", state="hidden")
    page.wait_for_function("location.hash === ''")
    page.evaluate("location.hash = '#rank-2'")
    page.wait_for_function("document.getElementById('large').open")
    assert page.text_content("#large-rank") == "2"


def test_an_address_of_nothing_opens_nothing(opened, alone):
    for text in ("#rank-99", "#nobody@3", "#%E0%A4%A", "#frames"):
        page = opened(alone, text)
        assert not page.evaluate("document.getElementById('large').open")


def test_everything_goes_by_keys(opened, alone):
    page = opened(alone)
    page.keyboard.press("?")
    assert page.is_visible("#help")
    page.keyboard.press("Escape")
    page.wait_for_selector("#help", state="hidden")
    page.keyboard.press("Enter")
    assert page.text_content("#large-rank") == "1"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("j")
    assert page.text_content("#large-rank") == "3"
    page.keyboard.press("ArrowLeft")
    assert page.text_content("#large-rank") == "2"
    page.keyboard.press("End")
    assert page.text_content("#large-rank") == "6"
    assert page.text_content("#large-place") == "6 / 6"
    page.keyboard.press("ArrowRight")  # round the end
    assert page.text_content("#large-rank") == "1"
    page.keyboard.press("b")
    assert page.evaluate("getComputedStyle(document.querySelector('#stage .mark')).visibility") == (
        "hidden"
    )
    page.keyboard.press("b")
    page.keyboard.press("l")
    assert page.locator("#stage .plate").count() == 0
    page.keyboard.press("Escape")
    page.wait_for_selector("#large", state="hidden")
    page.keyboard.press("s")
    assert page.input_value("#sort") == "score"
    before = page.evaluate(SHOWN)
    number = page.evaluate(
        "[...document.querySelectorAll('[data-kind]')].findIndex(e => e.dataset.kind === 'miss')"
    )
    page.keyboard.press(str(number + 1))
    assert before
    assert page.evaluate(SHOWN) == 0


def test_a_frame_shows_its_neighbours_with_the_boxes_that_are_linked(opened, alone):
    page = opened(alone, "#rank-1")  # frame 5
    seats = page.locator("#strip button")
    assert seats.count() == 7
    assert [seats.nth(n).inner_text() for n in (0, 3, 6)] == ["−3", "this frame", "+3"]
    assert page.locator("#strip button").nth(4).locator(".linked").count() >= 8
    page.keyboard.press(".")
    assert page.text_content("#stage .when") == "1 frame after"
    assert page.locator("#stage .mark.linked").count() >= 8
    page.keyboard.press(",")
    page.keyboard.press(",")
    assert page.text_content("#stage .when") == "1 frame before"
    text = page.inner_text("#panel")
    assert "seen in 2-4, 6-8" in text
    # At the end of a clip there are fewer.
    assert opened(alone, "#rank-3").locator("#strip button").count() == 4


def test_pointing_at_a_mark_in_the_list_lights_its_boxes(opened, alone):
    page = opened(alone, "#rank-1")
    item = page.locator(".marks button").last
    item.hover()
    assert page.locator("#stage .mark.lit").count() == 1
    assert page.locator("#strip .mark.lit").count() == 7
    item.focus()
    page.mouse.move(0, 0)


def test_pictures_are_sharp_where_they_were_made_so(opened, alone, report):
    for path in (alone, report):
        page = opened(path, "#rank-1")
        page.wait_for_function(
            "document.querySelector('#stage img').complete"
            " && document.querySelector('#stage img').naturalWidth === 640"
        )


def test_files_beside_the_page_are_linked_only_where_they_lie(opened, report, alone):
    page = opened(report)
    page.wait_for_selector("body.is-beside")
    assert page.is_visible("nav .beside a")
    assert page.is_visible("#rank-1 a.full")
    page = opened(alone)
    page.wait_for_timeout(200)
    assert not page.is_visible("nav .beside a")
    assert not page.is_visible("#rank-1 a.full")


def test_nothing_is_asked_of_any_network(opened, report):
    page = opened(report, "#rank-2")
    page.wait_for_selector("body.is-beside")
    page.mouse.wheel(0, 4000)
    page.wait_for_timeout(200)
    assert page.asked
    assert {url.split(":")[0] for url in page.asked} <= {"file", "data"}
    folder = report.parent.resolve().as_uri()
    assert all(url.startswith(folder) for url in page.asked if url.startswith("file:"))


def test_frames_are_sorted_and_filtered(opened, alone):
    page = opened(alone)

    def order():
        return page.evaluate(
            "[...document.querySelectorAll('.card:not([hidden])')].map(c => c.dataset.rank)"
        )

    assert order() == ["1", "2", "3", "4", "5", "6"]
    page.select_option("#sort", "clip")
    assert order() == ["3", "1", "5", "4", "2", "6"]
    page.select_option("#by-clip", index=2)
    assert order() == ["4", "2", "6"]
    assert page.text_content("#count") == "3 of 6 shown"
    page.click("#rank-2 .picture")
    assert page.text_content("#large-place") == "2 / 3"
    page.keyboard.press("Escape")
    page.wait_for_selector("#large", state="hidden")
    page.select_option("#by-class", "1")
    page.select_option("#by-kind", "miss")
    assert order() == ["4", "2", "6"]
    page.click("#reset")
    page.select_option("#sort", "rank")
    assert order() == ["1", "2", "3", "4", "5", "6"]


def test_a_timeline_tells_what_is_under_the_pointer_and_leads_to_the_frame(opened, alone):
    page = opened(alone)
    canvas = page.locator(".canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.55, box["y"] + 60)
    tip = page.inner_text("#tip")
    assert "frame 22, 2.20 s" in tip
    assert "2 unsure, 2 likely misses" in tip
    assert "false alarm" not in tip  # nothing here is called one
    assert "labelled before" in tip
    page.mouse.move(box["x"] + box["width"] * 5 / 40, box["y"] + 60)
    assert "rank 1: click to open" in page.inner_text("#tip")
    page.mouse.click(box["x"] + box["width"] * 0.2, box["y"] + 60)
    assert page.text_content("#large-rank") == "1"
    page.keyboard.press("Escape")
    page.wait_for_selector("#large", state="hidden")
    page.locator(".canvas").first.locator("a.pick").nth(1).focus()
    assert page.is_visible("#tip")


@pytest.mark.parametrize(
    "close",
    [
        "document.querySelector('#large [data-act=close]').click()",
        "document.getElementById('large').dispatchEvent(new MouseEvent('click'))",
    ],
)
def test_a_closed_large_view_leaves_the_focus_where_it_goes_next(opened, alone, close):
    page = opened(alone)
    page.click("#rank-2 .picture")
    last = "document.querySelectorAll('.canvas a.pick')[1]"
    page.evaluate(f"{close}; {last}.focus()")  # in one go: sooner than any person
    page.evaluate("new Promise(done => setTimeout(done, 200))")
    assert page.evaluate(f"document.activeElement === {last}")
    assert page.is_visible("#tip")


def test_a_closed_large_view_gives_the_focus_back_to_its_card(opened, alone):
    page = opened(alone)
    for close in ("Escape", None, "Escape"):
        page.click("#rank-2 .picture")
        page.keyboard.press("ArrowRight")
        assert page.text_content("#large-rank") == "3"
        if close:
            page.keyboard.press(close)
        else:
            page.click("#large [data-act=close]")
        page.wait_for_selector("#large", state="hidden")
        assert page.evaluate("document.activeElement.closest('.card').dataset.rank") == "3"
        assert page.evaluate("location.hash") == ""


def test_it_reads_in_dark_in_print_and_on_a_phone(opened, alone):
    light = opened(alone)
    dark = opened(alone, color_scheme="dark")
    colour = "getComputedStyle(document.body).backgroundColor"
    assert light.evaluate(colour) != dark.evaluate(colour)
    dark.emulate_media(media="print")
    assert dark.evaluate(colour) == "rgb(255, 255, 255)"
    assert not dark.is_visible(".filters")
    assert dark.is_visible("#rank-1 img")
    phone = opened(alone, viewport={"width": 360, "height": 740}, has_touch=True)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 360
    phone.tap("#rank-1 .picture")
    shot = phone.locator("#stage .shot").bounding_box()
    assert shot["width"] == pytest.approx(360, abs=2)
    assert shot["height"] > 150
    bar = "[...document.querySelectorAll('.bar-tools button')].map(b => b.offsetTop)"
    assert len(set(phone.evaluate(bar))) == 1  # one row
    strip, here = (
        phone.locator(at).bounding_box() for at in ("#strip", "#strip [aria-current=true]")
    )
    assert strip["x"] <= here["x"]
    assert here["x"] + here["width"] <= strip["x"] + strip["width"]


def test_it_is_usable_without_a_pointer_or_motion(opened, alone):
    page = opened(alone, reduced_motion="reduce")
    behaviour = "getComputedStyle(document.documentElement).scrollBehavior"
    assert page.evaluate(behaviour) == "auto"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    nameless = page.evaluate(
        """[...document.querySelectorAll('a, button, select, input')].filter(e =>
          !(e.textContent.trim() || e.getAttribute('aria-label') || e.title || e.labels?.length)
        ).map(e => e.outerHTML.slice(0, 80))"""
    )
    assert nameless == []
    page.keyboard.press("Enter")
    page.click("#rank-2 .picture")
    page.keyboard.press("Escape")
    page.wait_for_function("document.activeElement.closest('.card')?.id === 'rank-2'")


def test_names_are_text_in_every_part_of_the_page(opened, alone):
    page = opened(alone, "#rank-1")
    assert page.locator("i", has_text='"odd"').count() == 0
    assert '<i>"odd"</i>' in page.inner_text("#panel")
    assert page.locator("#stage text", has_text='<i>"odd"</i>').count()


@pytest.mark.slow
def test_a_thousand_frames_are_small_and_open_at_once(opened, street, tmp_path):
    result = crowd(street, list(range(0, 40)), boxes=10, clips=25)
    assert len(result.query) == 1000
    write_outputs(result, tmp_path / "big")
    path = Path(shutil.copy(tmp_path / "big" / "report.html", tmp_path / "report.html"))
    assert path.stat().st_size <= 3_000_000
    page = opened(path)
    loaded = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    page.click("#rank-2 .picture")
    page.wait_for_selector("#stage .plate")
    ready = page.evaluate("performance.now()")
    assert page.locator(".card").count() == 500
    assert loaded < 2000
    assert ready < 5000
    print(f"{path.stat().st_size:,} bytes, {loaded:.0f} ms to read, {ready:.0f} ms with a click")
