"""Campaigns as a user runs them: three rounds, labels from files, and what is refused."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidal.campaign.folder import locked, open_campaign
from vidal.campaign.oracle import TruthOracle
from vidal.cli import main
from vidal.formats import coco_video, cvat_images, label_studio, yolo
from vidal.types import Annotations, FrameRef, LabelledClip
from vidal.video import write_video

SIZE, FRAMES = (64, 96), 12
CLASSES = ("car", "sign")
WRITERS = {
    "cvat-images": (cvat_images.write, "a.xml"),
    "yolo": (yolo.write, "labels"),
    "coco-video": (coco_video.write, "a.json"),
    "label-studio": (label_studio.write, "tasks.json"),
}
INIT = [
    *("--classes", "car,sign", "--detector", "scenes-tiny", "--device", "cpu"),
    *("--budget", "3", "--initial", "4", "--set", "detector.start=fresh", "--set", "workers=1"),
    *("--set", "training.epochs=1", "--set", "training.batch=2", "--set", "selection.gap=1"),
]

NEW = ("init", "{new}", "--videos", "{clips}")


def truth_of(frames=FRAMES) -> Annotations:
    """A car that moves; on frame 0 and 1 there is nothing; from frame 6 on also a sign."""
    rows = [(i, 4 + 5 * i, 0) for i in range(2, frames)] + [(i, 70, 1) for i in range(6, frames)]
    rows.sort()
    return Annotations(
        classes=CLASSES,
        labelled=np.ones(frames, bool),
        frame=np.array([row[0] for row in rows]),
        boxes=np.array([[x, 20, x + 20, 40] for _, x, _ in rows], np.float32),
        labels=np.array([row[2] for row in rows]),
        track=np.array([row[2] for row in rows]),
        ignore=np.zeros(len(rows), bool),
    )


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "clips"
    folder.mkdir()
    for number in range(3):
        images = []
        for index in range(FRAMES):
            image = np.full((*SIZE, 3), 90 + 20 * number, np.uint8)
            if index >= 2:
                image[20:40, 4 + 5 * index : 24 + 5 * index] = (200, 30, 30)
            images.append(image)
        write_video(folder / f"clip{number}.mp4", images, Fraction(10))
    return folder


def vidal(capsys, *arguments) -> tuple[int, str]:
    """Exit status and everything printed."""
    capsys.readouterr()
    code = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as ending:
        code = int(ending.code or 0)
    printed = capsys.readouterr()
    return code, printed.out + printed.err


def begun(capsys, tmp_path, clips, *more) -> Path:
    work = tmp_path / "work"
    code, said = vidal(capsys, "init", work, "--videos", clips, *INIT, *more)
    assert code == 0, said
    return work


def waiting(work) -> list[FrameRef]:
    with open_campaign(work, lock=False) as campaign:
        return campaign.record.waiting()


def answers(work, place, kind="coco-video", frames=None, table=None) -> Path:
    """A file as an annotation tool would export it."""
    refs = waiting(work) if frames is None else frames
    truth = truth_of() if table is None else table
    tables = TruthOracle({ref.clip: truth for ref in refs}).annotate(0, refs)
    write, name = WRITERS[kind]
    write(place / name, [LabelledClip(n, t, size=SIZE) for n, t in tables.items()])
    return place / name


def state_of(capsys, work) -> dict:
    code, said = vidal(capsys, "status", work, "--json")
    assert code == 0, said
    return json.loads(said)


def test_a_round_may_begin_with_a_backbone_and_be_taught_by_pseudo_labels(capsys, tmp_path, clips):
    backbone = tmp_path / "backbone.safetensors"
    code, said = vidal(
        capsys, "pretrain", "--videos", clips, "--detector", "scenes-tiny", "--out", backbone,
        "--frames", "6", "--epochs", "1", "--batch", "3", "--size", "32", "--device", "cpu",
    )  # fmt: skip
    assert code == 0, said
    work = begun(capsys, tmp_path, clips)
    for more in (("--backbone", backbone), ("--pseudo-labels",)):
        code, said = vidal(capsys, "select", "--campaign", work, "--quiet")
        assert code == 0, said
        code, said = vidal(capsys, "import", work, "--from", answers(work, tmp_path), "--empty-ok")
        assert code == 0, said
        code, said = vidal(capsys, "train", work, *more)
        assert code == 0, said
    assert "pseudo-labels" in said
    assert "by the model of round 0" in said
    assert (work / "models/round-001.pseudo.json").is_file()
    code, said = vidal(capsys, "train", work, "--backbone", backbone)
    assert code == 2
    assert "goes on from the model of an earlier round" in said


def test_three_rounds_from_init_to_report_with_labels_from_files(capsys, tmp_path, clips):
    work = begun(capsys, tmp_path, clips, "--test", "clip2")
    assert state_of(capsys, work)["clips"] == {"train": 2, "validation": 0, "test": 1}
    for number, kind in enumerate(("cvat-images", "yolo", "coco-video")):
        code, said = vidal(capsys, "select", "--campaign", work, "--quiet")
        assert code == 0, said
        assert (work / f"queries/round-{number:03d}/report.html").is_file()
        assert not any("clip2" in ref.clip for ref in waiting(work))
        file = answers(work, tmp_path, kind)
        code, said = vidal(capsys, "import", work, "--from", file, "--empty-ok")
        assert code == 0, said
        assert f"read as {kind}" in said
        code, said = vidal(capsys, "train", work)
        assert code == 0, said
        assert "loss" in said
        assert "ETA" in said
    state = state_of(capsys, work)
    assert [row["state"] for row in state["rounds"]] == ["trained"] * 3
    strategies = [row["strategy"] for row in state["rounds"]]
    assert strategies == ["random", "expected-errors", "expected-errors"]
    assert state["frames"]["labelled"] == 4 + 3 + 3
    assert state["model"].endswith("round-002.safetensors")
    before = json.loads((work / "queries/round-002/query.json").read_text())
    assert before["cost"]["real"] is None
    (work / "queries/round-002/report.html").unlink()
    code, said = vidal(capsys, "report", work, "--round", "newest", "--quiet")
    assert code == 0, said
    assert (work / "queries/round-002/report.html").is_file()
    page = (work / "queries/round-002/report.html").read_text()
    assert "by the answers to 3 frames" in page
    assert "On the answered frames the model that chose them had" in page
    assert "On the frames of this query" in page
    assert vidal(capsys, "report", work, "--quiet")[0] == 0
    whole = (work / "report.html").read_text()
    assert 'href="queries/round-002/report.html"' in whole
    assert "No learning curve: the campaign has no labelled clips in the split test." in whole
    again = json.loads((work / "queries/round-002/query.json").read_text())
    assert again["cost"]["real"]["frames"] == 3  # answered meanwhile; the rest is as it was
    parts = [{**each, "cost": each["cost"]["expected"], "digest": ""} for each in (before, again)]
    for each in parts:
        each["files"] = {k: v for k, v in each["files"].items() if k != "report.html"}
    assert parts[0] == parts[1]
    assert vidal(capsys, "train", work)[0] == 0
    assert state_of(capsys, work)["rounds"] == state["rounds"]


def test_a_query_has_to_be_answered_or_withdrawn_before_the_next(capsys, tmp_path, clips):
    work = begun(capsys, tmp_path, clips)
    assert vidal(capsys, "select", "--campaign", work, "--quiet", "--no-report")[0] == 0
    for command in (("select", "--campaign", work), ("train", work)):
        code, said = vidal(capsys, *command)
        assert code == 2
        assert "4 queried frames are not answered yet" in said
        assert "vidal import" in said
        assert "vidal withdraw" in said
    first = waiting(work)
    assert vidal(capsys, "withdraw", work)[0] == 0
    assert state_of(capsys, work)["rounds"][0]["state"] == "withdrawn"
    assert vidal(capsys, "select", "--campaign", work, "--quiet", "--no-report")[0] == 0
    assert waiting(work) != first


def test_a_part_may_be_imported_and_the_same_file_again(capsys, tmp_path, clips):
    work = begun(capsys, tmp_path, clips)
    vidal(capsys, "select", "--campaign", work, "--quiet", "--no-report")
    refs = waiting(work)
    file = answers(work, tmp_path, frames=refs[:1])
    code, said = vidal(capsys, "import", work, "--from", file)
    assert code == 0
    assert "1 frame labelled" in said
    assert "3 still waiting" in said
    code, said = vidal(capsys, "import", work, "--from", file)
    assert code == 0
    assert "0 frames labelled" in said
    assert "1 frame was answered before" in said
    code, said = vidal(capsys, "import", work, "--from", file, "--skipped", refs[1])
    assert code == 0
    assert "1 skipped, 2 still waiting" in said
    code, said = vidal(capsys, "import", work, "--from", file, "--skipped", refs[1])
    assert code == 2
    assert "does not wait for an answer" in said
    code, said = vidal(capsys, "import", work, "--from", file, "--skip-rest")
    assert code == 0
    frames = state_of(capsys, work)["frames"]
    assert (frames["labelled"], frames["skipped"], frames["waiting"]) == (1, 3, 0)
    assert vidal(capsys, "import", work, "--from", file)[0] == 0
    assert state_of(capsys, work)["next"]["command"] == f"vidal train {work}"


def test_frames_that_were_not_asked_for_are_counted_and_left_out(capsys, tmp_path, clips):
    work = begun(capsys, tmp_path, clips)
    vidal(capsys, "select", "--campaign", work, "--quiet", "--no-report")
    refs = waiting(work)
    everything = [FrameRef(refs[0].clip, index) for index in range(FRAMES)]
    file = answers(work, tmp_path, frames=everything)
    asked = sum(ref.clip == refs[0].clip for ref in refs)
    code, said = vidal(capsys, "import", work, "--from", file, "--json")
    assert code == 0
    done = json.loads(said)
    assert (done["labelled"], done["not_asked"]) == (asked, FRAMES - asked)
    assert state_of(capsys, work)["frames"]["labelled"] == asked


def test_annotated_and_empty_is_an_answer(capsys, tmp_path, clips):
    work = begun(capsys, tmp_path, clips)
    vidal(capsys, "select", "--campaign", work, "--quiet", "--no-report")
    empty = truth_of().keep(np.zeros(len(truth_of()), bool))
    file = answers(work, tmp_path, "cvat-images", table=empty)
    code, said = vidal(capsys, "import", work, "--from", file)
    assert code == 0, said
    assert "4 frames wait" in said
    assert "cvat-images does not say that somebody looked (--empty-ok" in said
    assert str(waiting(work)[0]) in said
    assert state_of(capsys, work)["frames"]["waiting"] == 4
    code, said = vidal(capsys, "import", work, "--from", file, "--empty-ok")
    assert code == 0, said
    assert "4 frames labelled (4 of them empty)" in said
    code, said = vidal(capsys, "train", work, "--quiet")
    assert code == 0, said
    assert "trained on 4 frames (4 without objects)" in said


def test_unknown_classes_are_counted_or_refused(capsys, tmp_path, clips):
    work = begun(capsys, tmp_path, clips, "--set", "data.classes=[car]", "--set", "name=cars")
    vidal(capsys, "select", "--campaign", work, "--quiet", "--no-report")
    refs = [ref for ref in waiting(work) if ref.index >= 6]
    assert refs
    file = answers(work, tmp_path, "label-studio")
    code, said = vidal(capsys, "import", work, "--from", file)
    assert code == 0
    assert "nothing in it answers a frame that waits" in said
    as_annotated(file)
    code, said = vidal(capsys, "import", work, "--from", file, "--strict")
    assert code == 2
    assert "classes that the campaign does not have: sign" in said
    assert state_of(capsys, work)["frames"]["labelled"] == 0
    code, said = vidal(capsys, "import", work, "--from", file)
    assert code == 0
    assert f"class 'sign' is not the campaign's: {len(refs)} boxes" in said
    with open_campaign(work, lock=False) as campaign:
        tables = [campaign.record.annotations(ref.clip, FRAMES) for ref in refs]
    assert all((table.labels == -1).any() for table in tables)


def as_annotated(file: Path) -> None:
    """What a person accepts: the predictions of the tasks become annotations."""
    tasks = json.loads(file.read_text())
    for number, task in enumerate(tasks):
        result = task.pop("predictions")[0]["result"]
        task["annotations"] = [{"id": number, "result": result}]
    file.write_text(json.dumps(tasks))


def test_labels_that_are_there_already_are_round_zero(capsys, tmp_path, clips):
    labelled = np.zeros(FRAMES, bool)
    labelled[[2, 8]] = True
    truth = truth_of()
    part = truth.keep(labelled[truth.frame])
    table = Annotations(
        CLASSES, labelled, part.frame, part.boxes, part.labels, part.track, part.ignore
    )
    coco_video.write(tmp_path / "l.json", [LabelledClip("clip0", table, size=SIZE)])
    work = begun(capsys, tmp_path, clips, "--labels", tmp_path / "l.json")
    entry = state_of(capsys, work)["rounds"][0]
    assert (entry["strategy"], entry["state"], entry["labelled"]) == ("given", "answered", 2)
    code, said = vidal(capsys, "select", "--campaign", work)
    assert code == 2
    assert "Run `vidal train` first" in said
    assert vidal(capsys, "report", work, "--round", "newest")[0] == 2
    whole = tmp_path / "whole.json"
    named = [LabelledClip(f"clip{n}", truth, size=SIZE) for n in range(3)]
    coco_video.write(whole, named)
    code, said = vidal(
        capsys, "init", tmp_path / "other", "--videos", clips, "--labels", whole, *INIT
    )
    assert code == 2
    assert "cover every frame" in said


def test_a_second_process_is_refused(capsys, tmp_path, clips):
    work = begun(capsys, tmp_path, clips)
    with locked(work):
        code, said = vidal(capsys, "select", "--campaign", work)
        assert code == 2
        assert "is working on this campaign" in said
        assert state_of(capsys, work)["frames"]["all"] == 3 * FRAMES


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["status", "{none}"], "no campaign here"),
        (["select", "--campaign", "{none}"], "no campaign here"),
        (["init", "{new}"], "neither --config nor --videos"),
        (["init", "{new}", "--videos", "{none}"], "no such"),
        (["init", "{new}", "--videos", "{clips}", "--strategy", "entrpy"], "'entrpy'"),
        (["init", "{new}", "--videos", "{clips}", "--set", "selection.gapp=1"], "'gapp'"),
        ([*NEW, "--tracker", "sprse"], "'sparse'"),
        ([*NEW, "--tracker", "sparse", "--tracker-option", "grd=3"], "unknown option 'grd'"),
        ([*NEW, "--tracker-option", "grid"], "--tracker-option 'grid' is not KEY=VALUE"),
        ([*NEW, "--tracker", "siamfc", "--tracker-option", "weights={none}"], "no such file"),
        (["init", "{new}", "--videos", "{clips}", "--test", "zzz*"], "matches no clip"),
        (["init", "{new}", "--videos", "{clips}", "--budget", "none"], "budget 'none'"),
        (["import", "{work}", "--from", "{none}"], "no such file"),
        (["withdraw", "{work}"], "nothing to take back"),
        (["report", "{work}", "--round", "newest"], "no query was made yet"),
        (["report", "{work}", "--round", "last"], "neither a number nor 'newest'"),
        (["report", "{work}", "--round", "0", "--quick"], "--quick with --round"),
        (["report", "{work}", "--target", "60"], "target 60: outside 0..1"),
        (["select", "--campaign", "{work}", "--budget", "3"], "--budget cannot be given"),
        (["select"], "--campaign"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(capsys, tmp_path, clips, arguments, message):
    places = {"none": tmp_path / "none", "new": tmp_path / "new", "clips": clips}
    if "{work}" in arguments:
        places["work"] = begun(capsys, tmp_path, clips)
    code, said = vidal(capsys, *[each.format(**places) for each in arguments])
    assert code == 2, said
    assert message in said
    assert "Traceback" not in said
    assert not (tmp_path / "new" / "campaign.sqlite").exists()
