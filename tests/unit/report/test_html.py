"""The HTML report."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vidal.evaluate.intervals import Interval
from vidal.evaluate.reliability import reliability
from vidal.report.figures import CORRECT, FALSE_ALARM, MISS
from vidal.report.round import page
from vidal.report.write import write_outputs
from vidal.selection.forecast import Forecast
from vidal.types import SkippedClip

EVIL = '<script>alert("é")</script>'


def legend(page) -> list[str | None]:
    return [attrs["data-kind"] for _, attrs in page.tags if "data-kind" in attrs]


def test_the_report_draws_each_kind_of_box_in_its_own_style(build, video, tmp_path):
    write_outputs(build.result(video), tmp_path)
    text = (tmp_path / "report.html").read_text()
    shapes = [name for name in build.Page(text).classes("g") if name.startswith("mark")]
    assert shapes == ["mark correct", "mark alarm", "mark miss"]
    assert legend(build.Page(text)) == ["correct", "alarm", "miss"]
    for style in (CORRECT, FALSE_ALARM, MISS):
        rule = re.search(rf"\.box\.{style.key} {{ stroke: (#\w+);([^}}]*)}}", text)
        assert rule is not None
        assert rule[1] == style.colour
        dashes = rule[2].strip().removeprefix("stroke-dasharray:").removesuffix(";").strip()
        assert dashes == style.dash


def test_the_report_says_what_was_selected_and_why(build, video, tmp_path):
    write_outputs(build.result(video), tmp_path)
    words = " ".join(build.page(tmp_path).text.split())
    for part in (
        "2 of 20 frames (10 %) from 1 clip",
        "Budget: 10% of 20 frames of 1 clip: 3 asked for, 2 selected.",
        "1 likely false alarm (car), 1 likely miss (pedestrian)",
        "frame 4",
        "0.40 s",
        "no video stream",
        "Few links.",
        "nested.gap",
        "1 class without any detection",
    ):
        assert part in words


def test_the_report_needs_nothing_from_outside(build, video, tmp_path):
    write_outputs(build.result(video), tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert not re.search(r"https?://|@import|url\(", text)
    for tag, attrs in build.Page(text).tags:
        assert tag not in ("link", "iframe", "object", "embed")
        for name in ("src", "srcset", "poster", "data", "action"):
            assert (attrs.get(name) or "data:").startswith("data:")
        if tag == "a" and attrs.get("href"):
            assert re.match(
                r"#|frames/|query\.(csv|json)$|preannotations\.coco\.json$", attrs["href"]
            )


def test_names_of_clips_and_classes_cannot_inject_markup(build, video, tmp_path):
    result = build.result(
        video,
        clip=EVIL,
        notes=(EVIL,),
        settings={EVIL: EVIL},
        skipped=(SkippedClip(Path(EVIL), EVIL),),
        budget_base=EVIL,
    )
    table = replace(build.table(20), labels=[2, 2, 2, 2])
    loaded = replace(result.load(EVIL), detections=table)
    write_outputs(replace(result, load=lambda name: loaded), tmp_path)
    clean = tmp_path / "clean"
    write_outputs(build.result(video), clean)
    seen, expected = build.page(tmp_path), build.page(clean)
    assert seen.classes("script") == expected.classes("script") == [""]
    assert "b" in {tag for tag, _ in seen.tags}
    assert EVIL in seen.text
    assert "<b>odd</b>" in seen.text
    assert "<b>odd" not in (tmp_path / "report.html").read_text()
    assert any(attrs.get("data-clip") == EVIL for _, attrs in seen.tags)


def test_a_strategy_without_detector_shows_picks_and_no_boxes(build, video, tmp_path):
    write_outputs(build.random(video), tmp_path)
    seen = build.page(tmp_path)
    assert len([tag for tag, _ in seen.tags if tag == "img"]) == 2
    assert not [name for name in seen.classes("g") if name.startswith("mark")]
    assert "classes" not in seen.classes("table")
    assert seen.classes("a").count("pick") == 2
    assert "area" not in seen.classes("path")
    assert json.loads((tmp_path / "preannotations.coco.json").read_text())["annotations"] == []


def test_a_detector_without_estimates_gives_boxes_without_verdict(build, video, tmp_path):
    result = build.result(video)
    loaded = replace(result.load("drive-0a"), estimate=None, judged=None)
    write_outputs(replace(result, load=lambda name: loaded), tmp_path)
    shapes = [name for name in build.page(tmp_path).classes("g") if name.startswith("mark")]
    assert shapes == ["mark detection", "mark detection"]
    assert legend(build.page(tmp_path)) == ["detection"]
    annotations = json.loads((tmp_path / "preannotations.coco.json").read_text())["annotations"]
    assert [item["attributes"] for item in annotations] == [{}, {}]


def test_pictures_in_the_report_are_capped_and_the_rest_is_stated(
    build, video, tmp_path, monkeypatch
):
    monkeypatch.setattr(page, "MOST_CARDS", 1)
    write_outputs(build.result(video), tmp_path)
    seen = build.page(tmp_path)
    assert len([tag for tag, _ in seen.tags if tag == "img"]) == 1
    assert "the other one is in frames/" in " ".join(seen.text.split())
    assert len(list((tmp_path / "frames").iterdir())) == 2


@pytest.mark.parametrize(
    ("text", "base", "asked", "words"),
    [
        ("10%", "20 frames of 1 clip", 2, "Budget: 10% of 20 frames of 1 clip: 2 frames."),
        ("2", "20 frames of 1 clip", 2, "Budget: 2 of 20 frames of 1 clip."),
        ("5", "20 frames of 1 clip", 5, "Budget: 5 of 20 frames of 1 clip: 5 asked for, 2 sel"),
    ],
)
def test_the_report_states_the_budget_and_its_base(
    build, video, tmp_path, text, base, asked, words
):
    result = build.result(video, budget_text=text, budget_base=base)
    result = replace(result, query=replace(result.query, budget=asked))
    write_outputs(result, tmp_path)
    assert words in " ".join(build.page(tmp_path).text.split())


def test_the_report_says_why_frames_could_not_be_selected(build, video, tmp_path):
    result = build.result(video)
    selectable = np.ones(20, bool)
    selectable[[0, 1, 5]] = False
    loaded = replace(result.load("drive-0a"), selectable=selectable)
    write_outputs(replace(result, load=lambda name: loaded), tmp_path)
    words = " ".join(build.page(tmp_path).text.split())
    assert "2 of 20 frames (10 %)" in words
    assert "17 frames could be selected; the others were labelled before or do not decode." in words


def test_expected_and_found_errors_are_told_and_drawn(build, video, tmp_path):
    told = Forecast(
        3,
        reliability(np.array([0.25, 0.75]), np.array([False, True]), found=1),
        reliability(np.zeros(0), np.zeros(0, bool), found=2),
    )
    write_outputs(build.result(video, forecast=told), tmp_path / "with")
    shown = build.page(tmp_path / "with")
    assert (
        "Round 3: 1 error expected (1 false alarm, 0 misses); the annotators found 3" in shown.text
    )
    assert "said 25%, found 0% of 1 row" in shown.text
    assert sum(tag == "circle" for tag, _ in shown.tags) == 2
    query = json.loads((tmp_path / "with" / "query.json").read_text())
    assert query["forecast"]["false_positives"]["bins"][1]["found"] == 1.0
    counts = tuple(Interval(value, value / 2, 2 * value, 1) for value in (1.0, 4.0, 5.0))
    write_outputs(
        build.result(video, forecast=replace(told, expected=counts)), tmp_path / "counted"
    )
    shown = build.page(tmp_path / "counted").text
    assert (
        "5 errors expected (1 false alarm, 4 misses, most likely 2 to 10); the annotators" in shown
    )
    assert "Misses: 4 (2 to 8) said, 2 found" in " ".join(shown.split())
    query = json.loads((tmp_path / "counted" / "query.json").read_text())
    assert query["forecast"]["expected"]["errors"] == {"value": 5.0, "low": 2.5, "high": 10.0}
    write_outputs(build.result(video), tmp_path / "without")
    assert "Expected and found" not in build.page(tmp_path / "without").text
