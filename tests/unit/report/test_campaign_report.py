"""The report of a campaign: what it says, and what it leaves on disk."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from vidal.errors import OutputError
from vidal.evaluate.intervals import Interval
from vidal.evaluate.outlook import Outlook, outlook
from vidal.evaluate.reliability import reliability
from vidal.query.cost import Cost, Spent
from vidal.report.campaign import FILES, CampaignStory, Point, RoundStory, write_campaign_report
from vidal.report.campaign.curve import curve_chart
from vidal.selection.forecast import Forecast
from vidal.types import SkippedClip

EVIL = '<script>alert("é")</script>\udce9'
N = (20, 40, 60, 80, 100)
AP = (0.31, 0.42, 0.475, 0.51, 0.531)


def story(**changes) -> CampaignStory:
    rounds = tuple(
        RoundStory(
            number=k,
            strategy="random" if k == 0 else "expected-errors",
            state="trained",
            asked=20,
            labelled=20,
            waiting=0,
            skipped=0,
            objects={"car": 80 + 10 * k, "pedestrian": 9, "": 2},
            expected=None if k == 0 else Spent(20, 95.0, 0.0, Cost()),
            real=Spent(20, 89.0 + 10 * k, 2.0, Cost()),
            report=f"queries/round-{k:03d}/report.html",
        )
        for k in range(5)
    )
    curve = tuple(
        Point(k, n, Interval(ap, ap - 0.04, ap + 0.05, 1000))
        for k, (n, ap) in enumerate(zip(N, AP, strict=True))
    )
    told = outlook(0.6, np.array(N, float), np.array(AP), None, np.random.default_rng(0))
    values = {
        "name": "night drives",
        "classes": ("car", "pedestrian", "cyclist"),
        "clips": {"train": 12, "validation": 0, "test": 6},
        "frames": {"all": 4000, "labelled": 100, "waiting": 0, "skipped": 1, "unlabelled": 3899},
        "rounds": rounds,
        "cost": Cost(),
        "curve": curve,
        "test": "6 test clips, 900 labelled frames",
        "outlook": told,
        "next": ("vidal select --campaign work", "choose the frames of the next round"),
        "settings": {"seed": 7, "selection": {"gap": "0.5s"}},
        "versions": {"vidal": "0.1.0"},
    }
    return CampaignStory(**(values | changes))


def text_of(build, told, out):
    write_campaign_report(told, out)
    return " ".join(build.page(out).text.split())


def test_all_rounds_are_told_on_one_page_with_links_to_their_own(build, tmp_path):
    words = text_of(build, story(), tmp_path)
    page = build.page(tmp_path)
    for part in (
        "100 labelled frames in 5 rounds",
        "12 training clips, 0 for validation, 6 for testing; 3 classes: car, pedestrian, cyclist.",
        "2.5 %of 4,000 frames labelled",
        "0.531AP50 after round 4",
        "AP50 on 6 test clips, 900 labelled frames",
        "vidal select --campaign work",
        "unknown objects",
    ):
        assert part in words
    links = [a.get("href") for tag, a in page.tags if tag == "a"]
    assert links.count("queries/round-003/report.html") == 1
    points = [a for tag, a in page.tags if tag == "circle"]
    assert len(points) == 5
    assert "round 1: 40 labelled frames, AP50 0.420 (95 % interval 0.380 to 0.470)" in words


def test_the_forecast_is_a_range_in_frames_and_in_time(build, tmp_path):
    told = story()
    assert not told.outlook.refused
    words = text_of(build, told, tmp_path)
    low = math.ceil(told.outlook.low) - 100
    high = math.ceil(told.outlook.high) - 100
    assert 0 < low < high
    assert f"AP50 0.6 may take {low:,} to {high:,} further labelled frames (" in words
    assert "An 80 % range" in words


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"low": math.nan, "high": math.nan, "refused": "there is 1"}, "no forecast; there is 1."),
        ({"low": 300.0, "high": math.inf, "never": 0.25}, "in 25% of the draws it takes more than"),
        ({"low": 5000.0, "high": 9000.0}, "3,899 unlabelled frames left: that is not enough"),
    ],
)
def test_what_a_forecast_cannot_tell_is_said_in_words(build, tmp_path, changes, words):
    told = replace(Outlook(0.9, 200.0, 400.0, 0.0), **changes)
    assert words in text_of(build, story(outlook=told), tmp_path)


def test_without_models_there_is_no_curve_and_the_note_says_why(build, tmp_path):
    told = story(curve=(), outlook=None, test="", notes=("No learning curve: no test clips.",))
    words = text_of(build, told, tmp_path)
    assert "No learning curve: no test clips." in words
    assert "labelled frames that each model" not in words
    assert "AP50" not in words.replace("AP50_", "")


def test_a_single_model_without_interval_is_drawn_as_a_point(build, tmp_path):
    one = Point(0, 20, Interval(0.4, -math.inf, math.inf, 0))
    refused = outlook(0.5, np.array([20.0]), np.array([0.4]), None, np.random.default_rng(0))
    words = text_of(build, story(curve=(one,), outlook=refused), tmp_path)
    assert "needs models of 4 rounds with more labels each; there is 1" in words
    nothing = Point(0, 20, Interval(math.nan, -math.inf, math.inf, 0))
    assert "learning curve" not in text_of(
        build, story(curve=(nothing,), outlook=None), tmp_path
    ).lower().replace("(--quick): it has no learning curve", "")


@pytest.mark.parametrize("rounds", [2, 5, 24])
def test_labels_of_the_curve_never_cover_each_other(build, tmp_path, rounds):
    curve = [Point(None if k == 0 else k, 5 * k, Interval(0.3 + 0.02 * k, -math.inf, math.inf, 0))
             for k in range(rounds)]  # fmt: skip
    far = Outlook(0.9, 800.0, 4000.0, 0.0)  # leaves the curve a corner of the drawing
    told = story(curve=tuple(curve), outlook=far)
    points = curve_chart(told)["points"]
    named = [each for each in points if each["label"]]
    assert points[-1]["label"] == f"round {rounds - 1}"
    boxes = []
    for each in named:
        shift, rise, anchor = each["side"]
        left = float(each["x"]) + shift - (56 if anchor == "end" else 0)
        boxes.append((left, float(each["y"]) + rise - 12, left + 56, float(each["y"]) + rise + 2))
    dots = [(float(each["x"]), float(each["y"])) for each in points]
    for at, (x1, y1, x2, y2) in enumerate(boxes):
        assert all(x1 >= c or x2 <= a or y1 >= d or y2 <= b for a, b, c, d in boxes[:at])
        assert not any(x1 < x < x2 and y1 < y < y2 for x, y in dots)
    assert len(points) == rounds
    write_campaign_report(told, tmp_path)
    circles = [a for tag, a in build.page(tmp_path).tags if tag == "circle"]
    assert len(circles) == rounds


def test_a_model_of_before_any_training_is_called_so(build, tmp_path):
    first = Point(None, 0, Interval(0.4, -math.inf, math.inf, 0))
    words = text_of(build, story(curve=(first,), outlook=None), tmp_path)
    assert "0.400AP50 before any training" in words
    assert "None" not in words


def test_what_was_expected_is_judged_in_words(build, tmp_path):
    wrong = Forecast(
        2,
        reliability(np.array([0.9, 0.9, 0.1]), np.array([False, False, True]), found=1),
        reliability(np.array([0.9, 0.1]), np.array([True, False]), found=3),
    )
    words = text_of(build, story(forecasts=(wrong,)), tmp_path)
    assert "Round 2: 3 errors expected (2 false alarms, 1 miss); the annotators found 4" in words
    assert "False alarms: worse than guessing" in words
    assert "Misses: better than guessing" in words


def test_numbers_are_in_json_and_csv_too(tmp_path):
    files = write_campaign_report(story(), tmp_path)
    assert set(files) == set(FILES)
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["curve"][4] == {
        "round": 4,
        "labelled": 100,
        "ap50": 0.531,
        "low": pytest.approx(0.491),
        "high": pytest.approx(0.581),
    }
    assert content["rounds"][1]["unknown_objects"] == 2
    with (tmp_path / "report.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["ap50"] for row in rows] == [f"{ap:.4f}" for ap in AP]
    assert rows[0]["expected_hours"] == ""
    none = story(outlook=Outlook(0.9, 200.0, math.inf, 0.5))
    write_campaign_report(none, tmp_path)
    assert json.loads((tmp_path / "report.json").read_text())["outlook"]["high"] is None


def test_names_cannot_inject_markup_and_nothing_comes_from_outside(build, tmp_path):
    told = story(
        name=EVIL,
        classes=(EVIL, "car"),
        notes=(EVIL,),
        skipped=(SkippedClip(tmp_path / "a.mp4", EVIL),),
        settings={EVIL: EVIL},
        next=(EVIL, EVIL),
        rounds=(replace(story().rounds[0], strategy=EVIL, objects={EVIL: 3}, report=EVIL),),
    )
    write_campaign_report(told, tmp_path)
    text = (tmp_path / "report.html").read_text("utf-8")
    page = build.Page(text)
    assert page.classes("script") == []
    assert "https://" not in text.replace("alert", "")
    assert 'alert("é")' in page.text
    for tag, attrs in page.tags:
        assert tag not in ("link", "iframe", "img")
        assert not any(name.startswith("on") for name in attrs)


def test_a_file_of_somebody_else_is_not_replaced(tmp_path):
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(OutputError, match="vidal did not write it"):
        write_campaign_report(story(), tmp_path)
    assert (tmp_path / "report.html").read_text() == "mine"
    (tmp_path / "report.html").unlink()
    write_campaign_report(story(), tmp_path)
    write_campaign_report(story(), tmp_path)


def test_a_campaign_of_thousands_of_rounds_keeps_a_small_page_and_says_so(build, tmp_path):
    one = story().rounds[1]
    rounds = tuple(replace(one, number=k) for k in range(3000))
    curve = tuple(Point(k, 20 * k, Interval(0.5, 0.4, 0.6, 1000)) for k in range(3000))
    gone = tuple(SkippedClip(tmp_path / f"{n}.mp4", "gone") for n in range(1000))
    words = text_of(build, story(rounds=rounds, curve=curve, skipped=gone, outlook=None), tmp_path)
    assert "The newest 200 of 3,000 rounds are told here; report.csv has all." in words
    assert "round 2999" in words
    assert "And 800 more; report.json has all." in words
    assert (tmp_path / "report.html").stat().st_size < 500_000
    assert len((tmp_path / "report.csv").read_text().splitlines()) == 3001
    assert len(json.loads((tmp_path / "report.json").read_text())["rounds"]) == 3000
    chart = curve_chart(story(rounds=rounds, curve=curve, outlook=None))
    ends = [chart["points"][at]["detail"].split(":")[0] for at in (0, -1)]
    assert ends == ["round 0", "round 2999"]
    assert len(chart["points"]) == 100
