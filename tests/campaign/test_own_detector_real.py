"""Whole campaigns on real traffic, through the command line, from `init --test` to an AP."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from vidal.campaign.folder import open_campaign
from vidal.cli import main
from vidal.formats import coco_video
from vidal.types import Annotations, FrameRef, LabelledClip

DATA = Path(__file__).parents[3] / "shared" / "data" / "video" / "tfl_jamcam"
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data at {DATA}"),
]
CLASSES = ("car", "bus", "truck")
CLIPS = ("3601_2019-06-28", "3604_2019-06-29", "6514_2019-06-28")


def truth(name: str, frames: set[int]) -> Annotations:
    """The ground truth of some frames of a clip."""
    lines = [json.loads(line) for line in (DATA / name / "gt.jsonl").read_text().splitlines()]
    rows = [(line["frame"], box) for line in lines for box in line["boxes"]]
    rows = [(frame, box) for frame, box in rows if frame in frames]
    labelled = np.zeros(max(line["frame"] for line in lines) + 1, bool)
    labelled[sorted(frames)] = True
    labels = [CLASSES.index(b["label"]) if b["label"] in CLASSES else -1 for _, b in rows]
    return Annotations(
        classes=CLASSES,
        labelled=labelled,
        frame=np.array([frame for frame, _ in rows], np.int64),
        boxes=np.array([box["xyxy"] for _, box in rows], np.float32),
        labels=np.array(labels, np.int64),
        track=np.array([box["track"] for _, box in rows], np.int64),
        ignore=np.zeros(len(rows), bool),
    )


def detect(folder: Path, floor: float) -> None:
    """The detections of YOLOX-nano with scores above a floor: each round's model is another."""
    for name in CLIPS:
        lines = []
        for line in (DATA / name / "yolox_nano_416.jsonl").read_text().splitlines():
            row = json.loads(line)
            row["dets"] = [each for each in row["dets"] if each["score"] > floor]
            lines.append(json.dumps(row))
        (folder / name).mkdir(parents=True)
        (folder / name / "yolox.jsonl").write_text("\n".join(lines) + "\n")


@pytest.fixture
def clips(tmp_path):
    for name in CLIPS:
        (tmp_path / "clips" / name).mkdir(parents=True)
        shutil.copy(DATA / name / "video.mp4", tmp_path / "clips" / name)
    return tmp_path / "clips"


def vidal(capsys, *arguments) -> str:
    capsys.readouterr()
    main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def annotate(capsys, work: Path, refs: list[FrameRef], *more) -> None:
    """What annotators would export for these frames."""
    frames: dict[str, set[int]] = {}
    for ref in refs:
        frames.setdefault(ref.clip, set()).add(ref.index)
    file = work.parent / "answers.json"
    tables = [
        LabelledClip(clip, truth(clip.partition("__")[0], wanted), size=(288, 352))
        for clip, wanted in frames.items()
    ]
    coco_video.write(file, tables)
    vidal(capsys, "import", work, "--from", file, *more)


def waiting(work: Path) -> list[FrameRef]:
    with open_campaign(work, lock=False) as campaign:
        return campaign.record.waiting()


def label_test_clips(capsys, work: Path) -> None:
    with open_campaign(work, lock=False) as campaign:
        test = campaign.record.clips("test")
    refs = [FrameRef(entry.id, index) for entry in test for index in range(0, entry.frames, 20)]
    annotate(capsys, work, refs, "--split", "test")


def test_three_rounds_by_detections_of_yolox_end_in_an_ap(capsys, tmp_path, clips):
    work = tmp_path / "work"
    detect(tmp_path / "det0", 0.05)
    vidal(
        capsys, "init", work, "--videos", clips, "--classes", ",".join(CLASSES), "--test", "0.3",
        "--detections", tmp_path / "det0" / "*" / "*.jsonl", "--budget", "6", "--initial", "4",
        "--set", "selection.gap=12", "--set", "selection.threshold=0.3",
        "--set", "evaluation.unknown=ignore",
    )  # fmt: skip
    select = ("select", "--campaign", work, "--quiet", "--no-report")
    vidal(capsys, *select)
    annotate(capsys, work, waiting(work))
    for number, floor in ((1, 0.1), (2, 0.15)):
        detect(tmp_path / f"det{number}", floor)
        given = tmp_path / f"det{number}" / "*" / "*.jsonl"
        said = vidal(capsys, *select, "--detections", given)
        assert "Expected errors were learned from" in said
        annotate(capsys, work, waiting(work))
    label_test_clips(capsys, work)
    told = json.loads(vidal(capsys, "evaluate", work, "--json"))
    assert [each["round"] for each in told["curve"]] == [None, 0, 1]
    assert 0.4 < told["curve"][0]["map50"] < 0.95
    # Detections with low scores are worth AP: each floor takes some away.
    assert told["curve"][0]["map50"] >= told["curve"][1]["map50"] >= told["curve"][2]["map50"]
    assert [each["round"] for each in told["queries"]] == [0, 1, 2]
    assert all(each["misses"] > 20 for each in told["queries"])
    assert [each["round"] for each in told["forecasts"]] == [1, 2]


def test_a_campaign_that_trains_a_detector_ends_in_an_ap(capsys, tmp_path, clips):
    work = tmp_path / "work"
    vidal(
        capsys, "init", work, "--videos", clips, "--classes", ",".join(CLASSES), "--test", "0.2",
        "--detector", "scenes-tiny", "--device", "cpu", "--budget", "2", "--initial", "2",
        "--set", "training.epochs=1", "--set", "training.batch=2",
        "--set", "selection.strategy=random-r", "--set", "evaluation.unknown=ignore",
    )  # fmt: skip
    vidal(capsys, "select", "--campaign", work, "--quiet", "--no-report")
    annotate(capsys, work, waiting(work))
    vidal(capsys, "train", work, "--quiet")
    label_test_clips(capsys, work)
    told = json.loads(vidal(capsys, "evaluate", work, "--json"))
    assert told["model"] == "round-000.safetensors"
    assert told["frames"] == 12
    assert sum(row["objects"] for row in told["classes"].values()) > 100
