"""What one selection leaves on disk: the query files, pictures, COCO file and report."""

from __future__ import annotations

import csv
import json
import math
import re
from dataclasses import replace
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from vidal.campaign.result import ClipResult, SelectionResult
from vidal.errors import FormatError, OutputError, UnreadableClip
from vidal.report import evidence as evidence_module
from vidal.report import html
from vidal.report.evidence import gather
from vidal.report.figures import CORRECT, FALSE_ALARM, MISS
from vidal.report.frames import frame_names
from vidal.report.query_files import read_query
from vidal.report.write import check_writable, write_outputs
from vidal.types import (
    Clip,
    Detections,
    ErrorEstimate,
    Explanation,
    FrameRef,
    Query,
    SkippedClip,
)
from vidal.video import open_clip, read_frame, read_image, write_video

CLASSES = ("car", "pedestrian", "<b>odd</b>")
EVIL = '<script>alert("é")</script>'


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Clip:
    """20 frames of 64 x 48; brightness grows with the frame."""
    path = tmp_path_factory.mktemp("clips") / "drive.mp4"
    images = (np.full((48, 64, 3), 10 * index, np.uint8) for index in range(20))
    write_video(path, images, Fraction(10), quality=1)
    return open_clip(path)


def a_table(frames: int) -> Detections:
    """Frame 4: car 0.9, car 0.6 (false alarm), pedestrian 0.2 (below); frame 9: car 0.8."""
    return Detections(
        classes=CLASSES,
        scanned=np.ones(frames, bool),
        frame=[4, 4, 4, 9],
        boxes=[[2, 3, 12, 23], [30, 10, 80, 40], [5, 5, 9, 9], [0, 0, 20, 20]],
        scores=[0.9, 0.6, 0.2, 0.8],
        labels=[0, 0, 1, 0],
        probs=np.zeros((4, 4)),
        features=np.zeros((4, 0)),
        embedding=np.zeros((frames, 0)),
    )


def an_estimate() -> ErrorEstimate:
    """Row 1 is a false alarm; a pedestrian is missed on frame 4; a candidate is none on 9."""
    return ErrorEstimate(
        rows=[0, 1, 3],
        false_positive=[False, True, False],
        false_positive_confidence=[0.25, 0.75, 0.0],
        missed_frame=[4, 9],
        missed_boxes=[[-5, 20, 10, 40], [1, 1, 5, 5]],
        missed_label=[1, 0],
        missed=[True, False],
        missed_confidence=[0.875, 0.25],
        energy=1.5,
        link_share=1.0,
    )


def a_result(video: Clip, *, clip: str = "drive-0a", **changes) -> SelectionResult:
    """Frames 4 (score 2) and 17 (score NaN) of one clip, with detections and estimates."""
    named = replace(video, id=clip)
    scores = np.arange(named.frames, dtype=np.float64)
    scores[15:] = np.nan
    labelled = np.zeros(named.frames, bool)
    labelled[[0, 1]] = True
    loaded = ClipResult(
        named, a_table(named.frames), an_estimate(), scores, np.ones(named.frames, bool), labelled
    )
    query = Query(
        round=2,
        frames=(FrameRef(clip, 4), FrameRef(clip, 17)),
        scores=np.array([2.0, np.nan]),
        explanation=Explanation(
            ("1 likely false alarm (car), 1 likely miss (pedestrian)", "no score"),
            {"false_positives": np.array([1, 0]), "doubt": np.array([0.5, np.nan])},
        ),
        budget=3,
    )
    values = {
        "query": query,
        "clips": {clip: named},
        "skipped": (SkippedClip(video.path.parent / "broken.mp4", "no video stream"),),
        "load": {clip: loaded}.__getitem__,
        "strategy": "temporal-coherence",
        "classes": CLASSES,
        "threshold": 0.5,
        "budget_text": "10%",
        "budget_base": "20 frames of 1 clip",
        "settings": {"seed": 7, "nested": {"gap": np.int64(3), "limit": math.nan}},
        "versions": {"vidal": "0.1.0"},
        "notes": ("Few links.",),
    }
    return SelectionResult(**(values | changes))


def a_random_result(video: Clip) -> SelectionResult:
    """The same frames by a strategy without detector and scores."""
    result = a_result(video)
    old = result.load("drive-0a")
    loaded = replace(old, detections=None, estimate=None, scores=np.full(20, np.nan))
    query = replace(
        result.query,
        scores=np.full(2, np.nan),
        explanation=Explanation(("drawn at random", "drawn at random"), {}),
    )
    return replace(
        result, load=lambda name: loaded, classes=(), strategy="random", query=query, notes=()
    )


class Page(HTMLParser):
    """Collects tags with their attributes, and the visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def classes(self, tag: str) -> list[str]:
        return [attrs.get("class") or "" for name, attrs in self.tags if name == tag]


def page(out: Path) -> Page:
    return Page((out / "report.html").read_text(encoding="utf-8"))


def test_the_query_file_states_every_frame_and_no_nan(video, tmp_path):
    write_outputs(a_result(video), tmp_path)
    text = (tmp_path / "query.json").read_text()
    assert "NaN" not in text
    content = json.loads(text)
    assert content["format"] == "vidal-query"
    assert content["schema"] == 1
    assert content["round"] == 2
    assert content["budget"] == {
        "text": "10%",
        "base": "20 frames of 1 clip",
        "asked": 3,
        "selected": 2,
    }
    first, second = content["frames"]
    assert first == {
        "rank": 1,
        "clip": "drive-0a",
        "path": first["path"],
        "ordinal": 4,
        "pts": int(video.pts[4]),
        "time_base": f"{video.time_base.numerator}/{video.time_base.denominator}",
        "seconds": 0.4,
        "score": 2.0,
        "parts": {"false_positives": 1, "doubt": 0.5},
        "reason": "1 likely false alarm (car), 1 likely miss (pedestrian)",
        "file": "frames/drive-0a_000004.jpg",
    }
    assert second["score"] is None
    assert second["parts"] == {"false_positives": 0, "doubt": None}
    assert content["settings"] == {"seed": 7, "nested": {"gap": 3, "limit": None}}
    assert [item["cause"] for item in content["skipped"]] == ["no video stream"]


def test_the_csv_file_has_the_same_rows(video, tmp_path):
    write_outputs(a_result(video), tmp_path)
    with (tmp_path / "query.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["ordinal"] for row in rows] == ["4", "17"]
    assert [row["score"] for row in rows] == ["2.0", ""]
    assert [row["part.doubt"] for row in rows] == ["0.5", ""]
    assert rows[0]["reason"] == "1 likely false alarm (car), 1 likely miss (pedestrian)"
    assert rows[1]["file"] == "frames/drive-0a_000017.jpg"


def test_a_written_query_reads_back_the_same(video, tmp_path):
    result = a_result(video)
    write_outputs(result, tmp_path)
    read = read_query(tmp_path / "query.json")
    assert tuple(frame.ref for frame in read.frames) == result.query.frames
    assert read.round == 2
    assert read.strategy == "temporal-coherence"
    assert [frame.pts for frame in read.frames] == video.pts[[4, 17]].tolist()
    assert {frame.time_base for frame in read.frames} == {video.time_base}
    assert {frame.path for frame in read.frames} == {video.path}
    assert [frame.rank for frame in read.frames] == [1, 2]
    assert read.frames[0].score == 2.0
    assert math.isnan(read.frames[1].score)
    assert read.skipped == ((video.path.parent / "broken.mp4", "no video stream"),)
    assert read.notes == ("Few links.",)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda content: content.update(schema=99), "schema"),
        (lambda content: content.update(format="other"), "format"),
        (lambda content: content["frames"][1].pop("pts"), "frames[1]"),
        (lambda content: content["frames"][0].update(time_base="1/0"), "frames[0]"),
        (lambda content: content["frames"][0].update(ordinal="x"), "frames[0]"),
    ],
)
def test_a_broken_query_file_is_refused_with_the_place(video, tmp_path, change, where):
    write_outputs(a_result(video), tmp_path, report=False)
    path = tmp_path / "query.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(FormatError) as caught:
        read_query(path)
    assert caught.value.where == where


def test_pictures_are_the_selected_frames_in_full_size(video, tmp_path):
    write_outputs(a_result(video), tmp_path)
    names = sorted(path.name for path in (tmp_path / "frames").iterdir())
    assert names == ["drive-0a_000004.jpg", "drive-0a_000017.jpg"]
    for name, index in zip(names, (4, 17), strict=True):
        picture = read_image(tmp_path / "frames" / name)
        assert picture is not None
        assert picture.shape == (48, 64, 3)
        expected = read_frame(video, index).image.astype(float)
        assert np.abs(picture - expected).mean() < 3


def test_clip_ids_that_no_file_system_takes_get_safe_and_distinct_names():
    frames = [FrameRef("a/b", 1), FrameRef("a:b", 1), FrameRef("A_b", 1), FrameRef("é", 2_000_000)]
    assert list(frame_names(frames).values()) == [
        "a_b_000001.jpg",
        "a_b-2_000001.jpg",
        "A_b-3_000001.jpg",
        "é_2000000.jpg",
    ]


def test_verdicts_are_attributes_of_the_coco_annotations(video, tmp_path):
    write_outputs(a_result(video), tmp_path)
    content = json.loads((tmp_path / "preannotations.coco.json").read_text())
    assert content["categories"][1] == {"id": 2, "name": "pedestrian"}
    assert content["images"][0] == {
        "id": 1,
        "file_name": "frames/drive-0a_000004.jpg",
        "width": 64,
        "height": 48,
        "video_id": 1,
        "frame_id": 4,
        "pts": int(video.pts[4]),
        "seconds": 0.4,
    }
    good, alarm, miss = content["annotations"]
    assert good["bbox"] == [2, 3, 10, 20]
    assert good["score"] == pytest.approx(0.9, abs=1e-6)
    assert good["attributes"] == {"verdict": "likely_correct", "confidence": 0.75}
    assert alarm["bbox"] == [30, 10, 34, 30]  # cut to the image
    assert alarm["attributes"] == {"verdict": "likely_false_alarm", "confidence": 0.75}
    assert miss["bbox"] == [0, 20, 10, 20]
    assert miss["category_id"] == 2
    assert "score" not in miss
    assert miss["attributes"] == {"verdict": "likely_miss", "confidence": 0.875}


@pytest.mark.peers
def test_pycocotools_loads_the_preannotations(video, tmp_path):
    coco = pytest.importorskip("pycocotools.coco")
    for result in (a_result(video), a_random_result(video)):
        write_outputs(result, tmp_path, report=False)
        loaded = coco.COCO(str(tmp_path / "preannotations.coco.json"))
        assert sorted(loaded.getImgIds()) == [1, 2]
        expected = 3 if result.classes else 0
        assert len(loaded.getAnnIds(imgIds=[1])) == expected
        assert loaded.getAnnIds(imgIds=[2]) == []


def test_counts_are_of_boxes_above_the_threshold(video):
    evidence = gather(a_result(video))
    (summary,) = evidence.clips
    assert summary.pool.tolist() == [[3, 0, 0], [1, 0, 0], [0, 1, 0]]
    assert summary.selected.tolist() == [[2, 0, 0], [1, 0, 0], [0, 1, 0]]
    assert summary.picks == ((1, 4), (2, 17))
    assert summary.peak == (0.0, 14.0)
    assert summary.labelled.round(6).tolist() == [[0.0, 0.2]]


def test_boxes_outside_the_image_are_left_out_and_counted(video):
    result = a_result(video)
    estimate = replace(an_estimate(), missed_boxes=[[70, 0, 90, 9], [1, 1, 5, 5]])
    loaded = replace(result.load("drive-0a"), estimate=estimate)
    marks = gather(replace(result, load=lambda name: loaded)).marks[FrameRef("drive-0a", 4)]
    assert len(marks) == 2
    assert marks.outside == 1


def test_the_report_draws_each_kind_of_box_in_its_own_style(video, tmp_path):
    write_outputs(a_result(video), tmp_path)
    text = (tmp_path / "report.html").read_text()
    shapes = [name for name in Page(text).classes("g") if name.startswith("mark")]
    assert shapes == ["mark correct", "mark alarm", "mark miss"]
    for style in (CORRECT, FALSE_ALARM, MISS):
        rule = re.search(rf"\.box\.{style.key} {{ stroke: (#\w+);([^}}]*)}}", text)
        assert rule is not None
        assert rule[1] == style.colour
        dashes = rule[2].strip().removeprefix("stroke-dasharray:").removesuffix(";").strip()
        assert dashes == style.dash


def test_the_report_says_what_was_selected_and_why(video, tmp_path):
    write_outputs(a_result(video), tmp_path)
    words = " ".join(page(tmp_path).text.split())
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


def test_the_report_needs_nothing_from_outside(video, tmp_path):
    write_outputs(a_result(video), tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert not re.search(r"https?://|@import|url\(", text)
    for tag, attrs in Page(text).tags:
        assert tag not in ("link", "iframe", "object", "embed")
        for name in ("src", "srcset", "poster", "data", "action"):
            assert (attrs.get(name) or "data:").startswith("data:")
        if tag == "a" and attrs.get("href"):
            assert re.match(r"(#|frames/)", attrs["href"])


def test_names_of_clips_and_classes_cannot_inject_markup(video, tmp_path):
    result = a_result(
        video,
        clip=EVIL,
        notes=(EVIL,),
        settings={EVIL: EVIL},
        skipped=(SkippedClip(Path(EVIL), EVIL),),
        budget_base=EVIL,
    )
    table = replace(a_table(20), labels=[2, 2, 2, 2])
    loaded = replace(result.load(EVIL), detections=table)
    write_outputs(replace(result, load=lambda name: loaded), tmp_path)
    clean = tmp_path / "clean"
    write_outputs(a_result(video), clean)
    seen, expected = page(tmp_path), page(clean)
    assert seen.classes("script") == expected.classes("script") == [""]
    assert "b" in {tag for tag, _ in seen.tags}
    assert EVIL in seen.text
    assert "<b>odd</b>" in seen.text
    assert "<b>odd" not in (tmp_path / "report.html").read_text()
    assert any(attrs.get("data-clip") == EVIL for _, attrs in seen.tags)


def test_a_strategy_without_detector_shows_picks_and_no_boxes(video, tmp_path):
    write_outputs(a_random_result(video), tmp_path)
    seen = page(tmp_path)
    assert len([tag for tag, _ in seen.tags if tag == "img"]) == 2
    assert not [name for name in seen.classes("g") if name.startswith("mark")]
    assert "classes" not in seen.classes("table")
    assert seen.classes("a").count("pick") == 2
    assert "area" not in seen.classes("path")
    assert json.loads((tmp_path / "preannotations.coco.json").read_text())["annotations"] == []


def test_a_detector_without_estimates_gives_boxes_without_verdict(video, tmp_path):
    result = a_result(video)
    loaded = replace(result.load("drive-0a"), estimate=None)
    write_outputs(replace(result, load=lambda name: loaded), tmp_path)
    shapes = [name for name in page(tmp_path).classes("g") if name.startswith("mark")]
    assert shapes == ["mark detection", "mark detection"]
    annotations = json.loads((tmp_path / "preannotations.coco.json").read_text())["annotations"]
    assert [item["attributes"] for item in annotations] == [{}, {}]


def test_pictures_in_the_report_are_capped_and_the_rest_is_stated(video, tmp_path, monkeypatch):
    monkeypatch.setattr(html, "MOST_THUMBNAILS", 1)
    write_outputs(a_result(video), tmp_path)
    seen = page(tmp_path)
    assert len([tag for tag, _ in seen.tags if tag == "img"]) == 1
    assert "the other one is in frames/" in " ".join(seen.text.split())
    assert len(list((tmp_path / "frames").iterdir())) == 2


def test_an_empty_selection_is_written_too(video, tmp_path):
    query = Query(0, (), np.zeros(0), Explanation((), {}), 3)
    write_outputs(a_result(video, query=query), tmp_path)
    assert read_query(tmp_path / "query.json").frames == ()
    assert "0 of 20 frames (0 %)" in page(tmp_path).text


def test_the_same_selection_gives_the_same_bytes(video, tmp_path):
    for name in ("a", "b"):
        write_outputs(a_result(video), tmp_path / name)
    for name in ("query.json", "query.csv", "preannotations.coco.json", "report.html"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_pictures_and_report_of_an_earlier_selection_are_removed(video, tmp_path):
    write_outputs(a_result(video), tmp_path)
    result = a_result(video)
    query = replace(result.query, frames=(FrameRef("drive-0a", 9), FrameRef("drive-0a", 17)))
    written = write_outputs(replace(result, query=query), tmp_path, report=False)
    names = sorted(path.name for path in (tmp_path / "frames").iterdir())
    assert names == ["drive-0a_000009.jpg", "drive-0a_000017.jpg"]
    assert not (tmp_path / "report.html").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(written)


def contents(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()
    }


def test_a_frame_that_does_not_decode_is_named_and_leaves_the_earlier_result(video, tmp_path):
    out = tmp_path / "out"
    write_outputs(a_result(video), out)
    before = contents(out)
    cut = tmp_path / "cut.mp4"
    write_video(cut, (np.zeros((48, 64, 3), np.uint8) for _ in range(10)), Fraction(10))
    result = a_result(replace(video, path=cut))
    with pytest.raises(UnreadableClip, match="frame 17"):
        write_outputs(result, out)
    assert contents(out) == before


def test_a_failure_while_moving_into_place_puts_the_earlier_result_back(
    video, tmp_path, monkeypatch
):
    write_outputs(a_result(video), tmp_path)
    before = contents(tmp_path)
    rename = Path.rename

    def full(self, target):
        if self.parent.name == "new" and self.name == "report.html":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OutputError, match="No space left"):
        write_outputs(a_random_result(video), tmp_path)
    assert contents(tmp_path) == before


def test_files_of_the_user_in_the_frames_folder_are_never_removed(video, tmp_path):
    mine = tmp_path / "frames" / "mine.png"
    mine.parent.mkdir()
    mine.write_bytes(b"x")
    with pytest.raises(OutputError, match=r"mine\.png"):
        write_outputs(a_result(video), tmp_path)
    mine.unlink()
    write_outputs(a_result(video), tmp_path)
    (tmp_path / "frames" / "labels.txt").write_text("by hand")
    with pytest.raises(OutputError, match=r"labels\.txt"):
        check_writable(tmp_path)
    assert (tmp_path / "frames" / "labels.txt").read_text() == "by hand"


def test_an_output_place_that_is_a_file_is_refused_before_any_work(video, tmp_path):
    place = tmp_path / "out"
    place.write_text("a file")

    def load(name):
        raise AssertionError("work was done")

    with pytest.raises(OutputError):
        write_outputs(a_result(video, load=load), place)
    with pytest.raises(OutputError):
        check_writable(place / "below")


def test_progress_counts_frames_and_clips_to_the_end(video, tmp_path):
    calls = []
    write_outputs(a_result(video), tmp_path, progress=lambda *call: calls.append(call))
    assert ("frames", 2, 2) in calls
    assert ("clips", 1, 1) in calls


@pytest.mark.parametrize(
    ("text", "base", "asked", "words"),
    [
        ("10%", "20 frames of 1 clip", 2, "Budget: 10% of 20 frames of 1 clip: 2 frames."),
        ("2", "20 frames of 1 clip", 2, "Budget: 2 of 20 frames of 1 clip."),
        ("5", "20 frames of 1 clip", 5, "Budget: 5 of 20 frames of 1 clip: 5 asked for, 2 sel"),
    ],
)
def test_the_report_states_the_budget_and_its_base(video, tmp_path, text, base, asked, words):
    result = a_result(video, budget_text=text, budget_base=base)
    result = replace(result, query=replace(result.query, budget=asked))
    write_outputs(result, tmp_path)
    assert words in " ".join(page(tmp_path).text.split())


def test_the_report_says_why_frames_could_not_be_selected(video, tmp_path):
    result = a_result(video)
    selectable = np.ones(20, bool)
    selectable[[0, 1, 5]] = False
    loaded = replace(result.load("drive-0a"), selectable=selectable)
    write_outputs(replace(result, load=lambda name: loaded), tmp_path)
    words = " ".join(page(tmp_path).text.split())
    assert "2 of 20 frames (10 %)" in words
    assert "17 frames could be selected; the others were labelled before or do not decode." in words


def test_timelines_of_many_clips_become_coarser(video, monkeypatch):
    monkeypatch.setattr(evidence_module, "_POINTS_A_CLIP", (4, 600))
    monkeypatch.setattr(evidence_module, "_POINTS_IN_ALL", 6)
    (summary,) = gather(a_result(video)).clips
    assert len(summary.y) <= 6
    assert np.nanmax(summary.y) == 14.0
