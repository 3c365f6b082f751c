"""Names of pictures, what is gathered from the clips, and the COCO file."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from vidal.report import evidence as evidence_module
from vidal.report.evidence import gather
from vidal.report.frames import frame_names
from vidal.report.write import write_outputs
from vidal.types import (
    FrameRef,
)


def test_clip_ids_that_no_file_system_takes_get_safe_and_distinct_names():
    frames = [FrameRef("a/b", 1), FrameRef("a:b", 1), FrameRef("A_b", 1), FrameRef("é", 2_000_000)]
    assert list(frame_names(frames).values()) == [
        "a_b_000001.jpg",
        "a_b-2_000001.jpg",
        "A_b-3_000001.jpg",
        "é_2000000.jpg",
    ]


def test_verdicts_are_attributes_of_the_coco_annotations(build, video, tmp_path):
    write_outputs(build.result(video), tmp_path)
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
    assert good["attributes"] == {
        "verdict": "likely_correct",
        "certainty": 0.75,
        "by": "expected errors",
    }
    assert alarm["bbox"] == [30, 10, 34, 30]  # cut to the image
    assert alarm["attributes"] == {
        "verdict": "likely_false_alarm",
        "certainty": 0.75,
        "by": "expected errors",
    }
    assert miss["bbox"] == [0, 20, 10, 20]
    assert miss["category_id"] == 2
    assert "score" not in miss
    assert miss["attributes"] == {
        "verdict": "likely_miss",
        "certainty": 0.875,
        "by": "expected errors",
    }


@pytest.mark.peers
def test_pycocotools_loads_the_preannotations(build, video, tmp_path):
    coco = pytest.importorskip("pycocotools.coco")
    for result in (build.result(video), build.random(video)):
        write_outputs(result, tmp_path, report=False)
        loaded = coco.COCO(str(tmp_path / "preannotations.coco.json"))
        assert sorted(loaded.getImgIds()) == [1, 2]
        expected = 3 if result.classes else 0
        assert len(loaded.getAnnIds(imgIds=[1])) == expected
        assert loaded.getAnnIds(imgIds=[2]) == []


def test_counts_are_of_boxes_above_the_threshold(build, video):
    evidence = gather(build.result(video))
    (summary,), overview = evidence.clips, evidence.overview
    assert overview.pool.tolist() == [[3, 0, 0], [1, 0, 0], [0, 1, 0]]
    assert overview.selected.tolist() == [[2, 0, 0], [1, 0, 0], [0, 1, 0]]
    assert summary.picks == ((1, 4), (2, 17))
    assert overview.peak.tolist() == [[0.0, 14.0]]
    assert summary.labelled.round(6).tolist() == [[0.0, 0.2]]


def test_boxes_outside_the_image_are_left_out_and_counted(build, video):
    result = build.result(video)
    said = replace(build.verdicts(), missed_boxes=[[70, 0, 90, 9]])
    loaded = replace(result.load("drive-0a"), judged=said)
    marks = gather(replace(result, load=lambda name: loaded)).marks[FrameRef("drive-0a", 4)]
    assert len(marks) == 2
    assert marks.outside == 1


def test_timelines_of_many_clips_become_coarser(build, video, monkeypatch):
    monkeypatch.setattr(evidence_module, "_POINTS_A_CLIP", (4, 600))
    monkeypatch.setattr(evidence_module, "_POINTS_IN_ALL", 6)
    (summary,) = gather(build.result(video)).clips
    assert len(summary.y) <= 6
    assert np.nanmax(summary.y) == 14.0
