"""Thousands of clips and of selected frames: the page stays small, and the rest lies beside it."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from vidal.errors import EvidenceLost, OutputError
from vidal.report import clip_files
from vidal.report.evidence import MOST_CLIPS, gather
from vidal.report.place import claimed
from vidal.report.query_files import read_query
from vidal.report.write import write_outputs
from vidal.selection.loads import FrameCounts, Loader
from vidal.selection.result import ClipResult
from vidal.types import (
    Clip,
    Detections,
    ErrorEstimate,
    Explanation,
    FrameRef,
    Query,
    SkippedClip,
)

BOXES = 25
FRAMES = 20


@dataclass
class Made:
    """Clips that are made up when they are looked at: a ``Loader`` that counts what it is asked.

    Of clip ``n`` frame ``f`` has ``BOXES`` detections, the first unsure, and the score n + f / 100.
    """

    clips: dict[str, Clip]
    asked: list[str]
    estimated: bool = True
    doubts_by_class: None = None

    def __call__(self, clip: str) -> ClipResult:
        raise AssertionError(f"all of {clip} was loaded")

    def near(self, clip, frames, reach) -> ClipResult:
        self.asked.append(clip)
        rows = np.repeat(sorted(frames), BOXES)
        rng = np.random.default_rng(0)
        low = rng.uniform(0, 30, (len(rows), 2))
        found = Detections(
            ("car", "pedestrian"),
            np.isin(np.arange(FRAMES), frames),
            rows,
            np.concatenate([low, low + rng.uniform(5, 15, low.shape)], axis=1),
            np.full(len(rows), 0.9),
            np.arange(len(rows)) % BOXES % 2,
            np.zeros((len(rows), 3)),
            np.zeros((len(rows), 0)),
            np.zeros((FRAMES, 0)),
        )
        false = np.arange(len(rows)) % BOXES == 0
        sure = np.full(len(rows), 0.75)
        none = np.zeros(0)
        said = ErrorEstimate(
            *(np.arange(len(rows)), false, sure, none, none.reshape(0, 4), none, none.astype(bool)),
            *(none, 0.0, 1.0),
        )
        return replace(self.bare(clip), detections=found, estimate=said)

    def bare(self, clip) -> ClipResult:
        number = int(clip.split("-")[1])
        scores = number + np.arange(FRAMES) / 100
        labelled = np.zeros(FRAMES, bool)
        labelled[0] = number % 2
        return ClipResult(self.clips[clip], None, None, scores, ~labelled, labelled)

    def motion(self, loaded, frames, reach):
        raise EvidenceLost

    def counts(self):
        for name in reversed(self.clips):  # as they lie in a store: in any order, in windows
            for start in (0, FRAMES // 2):
                by_class = np.zeros((FRAMES // 2, 2), np.uint8)
                by_class[:] = (13, 12)
                doubts = np.zeros((FRAMES // 2, 2, 3), np.uint8)
                doubts[:, 0, 1] = 1
                yield FrameCounts(name, start, np.ones(FRAMES // 2, bool), by_class, doubts)


def many(build, video, clips: int, picks: int, pictured: int):
    """A result whose most wanted frames lie in clip 0, 1, ...; ``pictured`` clips have pixels."""
    blind = replace(video, reader="none")
    made = {
        f"drive-{n}-0a": replace(video if n < pictured else blind, id=f"drive-{n}-0a")
        for n in range(clips)
    }
    names = list(made)
    share = -(-picks // clips)
    refs = [FrameRef(names[n % clips], 1 + n // clips) for n in range(picks)]
    if pictured:  # the first ranks are those with pictures
        refs.sort(key=lambda ref: int(ref.clip.split("-")[1]) >= pictured)
    assert share < FRAMES
    words = tuple(f"1 unsure box: car (.90) left of the middle of frame {n}" for n in range(picks))
    query = Query(0, tuple(refs), np.arange(picks, 0, -1.0), Explanation(words, {}), picks)
    look = Made(made, [])
    skipped = tuple(
        SkippedClip(video.path.with_name(f"bad{n}.mp4"), "broken") for n in range(clips)
    )
    result = build.result(
        video, query=query, clips=made, load=look, classes=("car", "pedestrian"), skipped=skipped
    )
    return result, look


def test_the_page_draws_the_clips_with_most_picks_and_says_so(build, video, tmp_path):
    result, look = many(build, video, 300, 320, 0)
    assert isinstance(look, Loader)
    files = write_outputs(result, tmp_path / "out")
    page = build.page(tmp_path / "out")
    assert "The 200 of 300 clips with most selected frames are drawn here." in page.text
    drawn = [attrs["data-clip"] for tag, attrs in page.tags if "data-points" in attrs]
    assert len(drawn) == MOST_CLIPS
    # 20 clips have two picks; of those with one the highest scores come first.
    assert drawn[:20] == [f"drive-{n}-0a" for n in range(19, -1, -1)]
    assert drawn[20] == "drive-299-0a"
    links = [a["href"] for tag, a in page.tags if tag == "a" and "clips" in (a.get("href") or "")]
    assert links == ["clips.csv", "clips/00001.json"]
    assert {"clips", "clips.csv"} <= set(files)
    assert "And 100 more; query.json has all." in page.text


def test_boxes_are_read_of_clips_with_picks_alone(build, video):
    result, look = many(build, video, 300, 30, 0)
    found = gather(result)
    assert sorted(look.asked) == sorted({ref.clip for ref in result.query.frames})
    assert found.overview.picks.sum() == 30
    assert found.overview.scanned == 300 * FRAMES - 150
    assert found.overview.pool.tolist() == [[13 * 5850, 12 * 5850], [0, 0], [0, 0]]
    assert found.overview.selected[0].tolist() == [13 * 30, 12 * 30]
    assert found.overview.doubts[:, 1].sum() == 5850
    assert found.overview.selectable == 5850
    assert not found.calls_alarms


def test_clips_that_are_not_drawn_lie_beside_the_page_in_numbers(
    build, video, tmp_path, monkeypatch
):
    monkeypatch.setattr(clip_files, "PAGE", 120)
    result, _ = many(build, video, 300, 320, 0)
    write_outputs(result, tmp_path)
    with (tmp_path / "clips.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["clip"] for row in rows] == list(result.clips)
    assert rows[3] | {"path": ""} == {
        "clip": "drive-3-0a",
        "path": "",
        "frames": "20",
        "seconds": "2.0",
        "selected": "2",
        "labelled": "1",
        "lowest": "3.0",
        "highest": "3.19",
        "detections": str(19 * 25),
        "likely_false_alarms": "0",
        "unsure": "19",
        "likely_misses": "0",
    }
    pages = [json.loads(path.read_text()) for path in sorted((tmp_path / "clips").iterdir())]
    assert [(page["page"], page["pages"], len(page["clips"])) for page in pages] == [
        *((1, 3, 120), (2, 3, 120), (3, 3, 60))
    ]
    told = pages[2]["clips"][-1]
    assert told["clip"] == "drive-299-0a"
    assert told["picks"] == [[300, 1]]
    assert told["curve"][1] == [0.1, 299.01]


def test_few_clips_leave_no_such_files_and_take_away_those_of_an_earlier_run(
    build, video, tmp_path
):
    write_outputs(many(build, video, 300, 320, 0)[0], tmp_path)
    assert (tmp_path / "clips").is_dir()
    write_outputs(many(build, video, 3, 6, 0)[0], tmp_path)
    assert not (tmp_path / "clips").exists()
    assert not (tmp_path / "clips.csv").exists()


@pytest.mark.parametrize("name", ["clips.csv", "clips/00001.json", "clips/mine.json"])
def test_files_of_the_user_with_these_names_are_kept(build, video, tmp_path, name):
    write_outputs(many(build, video, 3, 6, 0)[0], tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(OutputError, match=name.replace(".", r"\.")), claimed(tmp_path):
        pass
    assert (tmp_path / name).read_text() == "mine"


def test_a_page_of_clips_that_was_changed_is_kept(build, video, tmp_path):
    write_outputs(many(build, video, 300, 320, 0)[0], tmp_path)
    (tmp_path / "clips" / "00001.json").write_text("{}")
    with pytest.raises(OutputError, match="00001"), claimed(tmp_path):
        pass


def test_a_loader_of_whole_clips_tells_the_same(build, video):
    """What is counted window by window is what whole clips say."""
    result, look = many(build, video, 4, 8, 0)

    def load(name):
        return replace(look.near(name, range(FRAMES), 0), labelled=look.bare(name).labelled)

    whole = gather(replace(result, load=load))
    parts = gather(result)
    for name in ("picks", "labelled", "peak", "detections", "doubts", "pool", "selected", "said"):
        np.testing.assert_array_equal(
            getattr(whole.overview, name), getattr(parts.overview, name), err_msg=name
        )
    assert whole.overview.scanned == parts.overview.scanned
    for one, other in zip(whole.clips, parts.clips, strict=True):
        np.testing.assert_array_equal(one.errors, other.errors)
        np.testing.assert_array_equal(one.y, other.y)


@pytest.mark.slow
def test_a_report_of_ten_thousand_clips_and_twenty_thousand_picks_is_small(build, video, tmp_path):
    result, _ = many(build, video, 10_000, 20_000, 250)
    write_outputs(result, tmp_path)
    assert (tmp_path / "report.html").stat().st_size <= 3_000_000
    page = build.page(tmp_path)
    cards = [attrs for tag, attrs in page.tags if tag == "article"]
    assert len(cards) == 500
    assert sum(tag == "img" for tag, _ in page.tags) == 500
    assert len(read_query(tmp_path / "query.json").frames) == 20_000
    coco = json.loads((tmp_path / "preannotations.coco.json").read_text())
    assert len(coco["annotations"]) == 20_000 * BOXES
    assert len(list((tmp_path / "clips").iterdir())) == 10
