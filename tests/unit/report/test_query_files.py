"""query.json and query.csv."""

from __future__ import annotations

import csv
import json
import math

import pytest

from vidal.errors import FormatError
from vidal.report.query_files import read_query
from vidal.report.write import write_outputs


def test_the_query_file_states_every_frame_and_no_nan(build, video, tmp_path):
    write_outputs(build.result(video), tmp_path)
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


def test_the_csv_file_has_the_same_rows(build, video, tmp_path):
    write_outputs(build.result(video), tmp_path)
    with (tmp_path / "query.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["ordinal"] for row in rows] == ["4", "17"]
    assert [row["score"] for row in rows] == ["2.0", ""]
    assert [row["part.doubt"] for row in rows] == ["0.5", ""]
    assert rows[0]["reason"] == "1 likely false alarm (car), 1 likely miss (pedestrian)"
    assert rows[1]["file"] == "frames/drive-0a_000017.jpg"


def test_a_written_query_reads_back_the_same(build, video, tmp_path):
    result = build.result(video)
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
def test_a_broken_query_file_is_refused_with_the_place(build, video, tmp_path, change, where):
    write_outputs(build.result(video), tmp_path, report=False)
    path = tmp_path / "query.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(FormatError) as caught:
        read_query(path)
    assert caught.value.where == where
