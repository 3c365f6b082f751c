"""``vidal select --detections`` from end to end."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from vidal.cli.select import command
from vidal.errors import UsageError
from vidal.formats import coco_video
from vidal.formats.detections import read

DATA = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data at {DATA}")


def select(*arguments):
    found = CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def perfect(rendered, file):
    """The truth of the rendered clips as JSON lines, with every fifth frame's boxes missing."""
    for clip in coco_video.read(rendered / "labels.coco.json"):
        table = clip.annotations
        lines = []
        for frame in range(table.frames):
            rows = [] if frame % 5 == 2 else range(*table.on(frame).indices(len(table)))
            dets = [
                {
                    "xyxy": [float(value) for value in table.boxes[row]],
                    "label": table.classes[table.labels[row]],
                    "score": 0.9,
                }
                for row in rows
            ]
            lines.append(json.dumps({"frame": frame, "dets": dets}) + "\n")
        (file / f"{Path(clip.name).name}.jsonl").write_text("".join(lines))


def test_with_videos_missing_boxes_are_found_by_flow(rendered, tmp_path):
    given = tmp_path / "given"
    given.mkdir()
    perfect(rendered, given)
    out = tmp_path / "out"
    arguments = ("--videos", rendered / "clips", "--detections", given, "--out", out, "--json")
    summary = select(*arguments, "--budget", 6, "--errors", "fn", "--gap", 0, "--workers", 1)
    assert summary["selected"] == 6
    query = json.loads((out / "query.json").read_text())
    assert all(row["ordinal"] % 5 == 2 for row in query["frames"])
    assert len(list((out / "frames").glob("*.jpg"))) == 6
    assert query["settings"]["detector"]["detections"] == "given"


def test_picks_are_spread_over_clips_where_files_do_not_say_what_frames_look_like(
    rendered, tmp_path
):
    given = tmp_path / "given"
    given.mkdir()
    perfect(rendered, given)
    asked = ("--detections", given, "--size", "480x300", "--rate", 25, "--out", tmp_path / "out")
    select(*asked, "--budget", 3, "--json")
    query = json.loads((tmp_path / "out" / "query.json").read_text())
    assert query["settings"]["strategy_options"] == {"spread": "clips"}
    with pytest.raises(UsageError, match="needs embedding"):
        select(*asked, "--option", "spread=looks")


@pytest.mark.parametrize("more", [(), ("--balance", "auto"), ("--strategy", "entropy")])
def test_files_in_which_nothing_was_found_are_chosen_from(tmp_path, more):
    given = tmp_path / "given"
    given.mkdir()
    lines = "".join(json.dumps({"frame": i, "dets": []}) + "\n" for i in range(12))
    (given / "a.jsonl").write_text(lines)
    asked = ("--detections", given, "--size", "480x300", "--out", tmp_path / "out")
    assert select(*asked, "--budget", 2, "--json", *more)["selected"] == 2


def test_without_videos_missing_boxes_are_found_by_the_detections_alone(rendered, tmp_path):
    given = tmp_path / "given"
    given.mkdir()
    perfect(rendered, given)
    out = tmp_path / "out"
    arguments = ("--detections", given, "--size", "480x300", "--out", out, "--json")
    select(*arguments, "--budget", 6, "--errors", "fn", "--gap", 0, "--rate", 25)
    query = json.loads((out / "query.json").read_text())
    assert all(row["ordinal"] % 5 == 2 for row in query["frames"])
    assert [row["file"] for row in query["frames"]] == [""] * 6
    assert not (out / "frames").exists()
    page = (out / "report.html").read_text()
    assert 'src="data:image' not in page
    marks = page.count('class="mark miss"')
    assert marks > 6
    assert f"<b>{marks}</b><span>likely misses</span>" in page
    with (out / "query.csv").open() as table:
        assert len(list(csv.DictReader(table))) == 6
    coco = json.loads((out / "preannotations.coco.json").read_text())
    assert {image["width"] for image in coco["images"]} == {480}


def test_the_fixed_fusion_counts_weak_detections_down_to_the_floor_that_is_asked_for(tmp_path):
    lines = []
    for frame in range(20):
        sure = [{"xyxy": [10, 10, 40, 40], "label": "car", "score": 0.9}]
        weak = [
            {"xyxy": [50 + 9 * n, 60, 58 + 9 * n, 80], "label": "car", "score": 0.2}
            for n in range(20 if frame == 12 else frame % 2)
        ]
        lines.append(json.dumps({"frame": frame, "dets": sure + weak}) + "\n")
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "clip.jsonl").write_text("".join(lines))
    misses = {}
    for floor in (0.05, 0.3):
        out = tmp_path / f"out-{floor}"
        select(
            "--detections", tmp_path / "given", "--size", "480x300", "--rate", 10, "--out", out,
            "--budget", 20, "--gap", 0, "--expected", f"floor={floor}", "--json",
        )  # fmt: skip
        rows = json.loads((out / "query.json").read_text())["frames"]
        misses[floor] = {row["ordinal"]: row["parts"]["misses"] for row in rows}
    assert max(misses[0.05], key=misses[0.05].get) == 12
    assert misses[0.05][12] > misses[0.05][1] > 0
    # Nothing lies above the higher floor but what is sure: no frame has a sign of a miss.
    assert set(misses[0.3].values()) == {0.0}


def test_a_second_run_over_changed_detections_is_not_the_first_one_again(rendered, tmp_path):
    given = tmp_path / "given"
    given.mkdir()
    perfect(rendered, given)
    base = ("--detections", given, "--size", "480x300", "--out", tmp_path / "out", "--json")
    select(*base, "--budget", 3, "--no-report")
    first = (tmp_path / "out" / "query.json").read_text()
    for file in given.iterdir():
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        lines[8]["dets"] = []
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    select(*base, "--budget", 3, "--no-report")
    assert (tmp_path / "out" / "query.json").read_text() != first


def test_preannotations_of_a_selection_are_detections_again(rendered, tmp_path):
    given = tmp_path / "given"
    given.mkdir()
    perfect(rendered, given)
    out = tmp_path / "out"
    base = ("--detections", given, "--size", "480x300", "--json", "--strategy", "entropy")
    select(*base, "--out", out, "--budget", 5, "--no-report")
    again = read(out / "preannotations.coco.json")
    query = json.loads((out / "query.json").read_text())
    chosen = sorted((row["clip"], row["ordinal"]) for row in query["frames"])
    assert sorted((c.names[0], n) for c in again.clips for n in c.listed.tolist()) == chosen
    whole = {clip.names[0]: clip for clip in read(given).clips}
    for clip in again.clips:
        source = whole[clip.names[0].rpartition("-")[0]]
        rows = np.isin(source.number, clip.listed)
        np.testing.assert_allclose(clip.boxes, source.boxes[rows], atol=1e-3)
        names = [again.classes[label] for label in clip.labels]
        assert names == [read(given).classes[label] for label in source.labels[rows]]


@pytest.mark.parametrize("strategy", ["temporal-coherence", "expected-errors", "entropy", "random"])
def test_torch_is_not_imported(tmp_path, strategy):
    (tmp_path / "a.csv").write_text("".join(f"{n},2,3,10,12,0.5\n" for n in range(9)))
    code = (
        "import sys; from vidal.cli import main\n"
        f"main(['select', '--detections', {str(tmp_path / 'a.csv')!r}, '--size', '64x48',"
        f" '--out', {str(tmp_path / 'out')!r}, '--strategy', {strategy!r}, '--quiet'])\n"
        "print([name for name in ('torch', 'torchvision') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--detector", "scenes-tiny"], "both a detector and given detections"),
        (["--size", "64"], "not WIDTHxHEIGHT"),
        (["--size", "64x48", "--rate", "0"], "not a number of frames a second"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(tmp_path, arguments, why):
    (tmp_path / "a.csv").write_text("0,2,3,10,12,0.5\n")
    base = ["--detections", str(tmp_path / "a.csv"), "--out", str(tmp_path / "out")]
    found = CliRunner().invoke(command, [*base, *arguments])
    assert why in str(found.exception)


def test_options_of_detections_without_any_are_refused(tmp_path):
    base = ["--videos", str(tmp_path), "--out", str(tmp_path / "out")]
    found = CliRunner().invoke(command, [*base, "--score-transform", "sigmoid"])
    assert "no --detections" in str(found.exception)


@pytest.mark.realdata
@needs_data
def test_published_detections_on_kitti_are_read_whole(tmp_path):
    rrc = read(DATA / "kitti_tracking" / "rrc2d_car", classes=["Car"])
    assert len(rrc.clips) == 11
    assert sum(len(clip.number) for clip in rrc.clips) == 12_544
    with pytest.raises(Exception, match=r"score 8\.2981 is not in .*--score-transform sigmoid"):
        read(DATA / "kitti_tracking" / "pointrcnn_car")
    points = read(DATA / "kitti_tracking" / "pointrcnn_car", transform="sigmoid")
    assert points.classes == ("Car",)
    assert not points.unlike_logits
    assert float(np.concatenate([clip.scores for clip in points.clips]).max()) > 0.99


@pytest.mark.realdata
@needs_data
def test_real_clips_are_selected_with_detections_of_another_framework(tmp_path):
    videos = DATA / "video" / "tfl_jamcam"
    arguments = ("--videos", videos, "--detections", videos / "*" / "yolox_nano_416.jsonl")
    base = (*arguments, "--threshold", 0.3, "--budget", 12, "--out", tmp_path, "--json")
    summary = select(*base)
    assert summary["clips"] == 4
    assert summary["selected"] == 12
    note, order = summary["notes"]
    assert order.startswith("Rank is not score: clips take turns")
    assert note.startswith("Expected errors are those of the prior that comes with vidal")
    assert "not learned from your labels" in note
    assert len(list((tmp_path / "frames").glob("*.jpg"))) == 12
    query = json.loads((tmp_path / "query.json").read_text())
    assert len({row["clip"] for row in query["frames"]}) == 4
    times = [(row["clip"], row["seconds"]) for row in query["frames"]]
    for at, (clip, seconds) in enumerate(times):
        assert not any(c == clip and abs(s - seconds) < 0.5 for c, s in times[at + 1 :])
    annotations = json.loads((tmp_path / "preannotations.coco.json").read_text())["annotations"]
    verdicts = {each["attributes"]["verdict"] for each in annotations}
    assert verdicts <= {"likely_correct", "unsure", "likely_miss"}
    assert "car" in query["classes"]
