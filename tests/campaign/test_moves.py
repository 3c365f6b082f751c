"""A campaign whose files were moved, renamed, lost or changed: what goes on, what is refused."""

import json
import os
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import vidal as vidal_api
from vidal.campaign.folder import open_campaign
from vidal.cli import main
from vidal.errors import InputError, UsageError
from vidal.formats import coco_video
from vidal.types import Annotations, FrameRef, LabelledClip
from vidal.video import write_video

SIZE, FRAMES = (64, 96), 10
CLASSES = ("car", "sign")
INIT = [
    *("--classes", "car,sign", "--detector", "scenes-tiny", "--device", "cpu"),
    *("--budget", "2", "--initial", "3", "--set", "detector.start=fresh", "--set", "workers=1"),
    *("--set", "training.epochs=1", "--set", "training.batch=2", "--set", "selection.gap=0"),
]
PLACES = ("day/cam", "night/cam", "town", "test/far")


def vidal(capsys, *arguments) -> tuple[int, str]:
    """Exit status and everything printed."""
    capsys.readouterr()
    code = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as ending:
        code = int(ending.code or 0)
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    return code, printed.out + printed.err


def done(capsys, *arguments) -> str:
    code, said = vidal(capsys, *arguments)
    assert code == 0, said
    return said


def labels(frames: list[int]) -> Annotations:
    """A car on every one of these frames."""
    labelled = np.zeros(FRAMES, bool)
    labelled[frames] = True
    n = len(frames)
    return Annotations(
        classes=CLASSES,
        labelled=labelled,
        frame=np.array(frames, np.int64),
        boxes=np.array([[4 + 5 * i, 20, 24 + 5 * i, 40] for i in frames], np.float32).reshape(
            -1, 4
        ),
        labels=np.zeros(n, np.int64),
        track=np.full(n, -1),
        ignore=np.zeros(n, bool),
    )


def answers(path: Path, refs: list[FrameRef]) -> Path:
    clips: dict[str, list[int]] = {}
    for ref in sorted(refs):
        clips.setdefault(ref.clip, []).append(ref.index)
    coco_video.write(path, [LabelledClip(n, labels(f), size=SIZE) for n, f in clips.items()])
    return path


def waiting(work: Path) -> list[FrameRef]:
    with open_campaign(work, lock=False) as campaign:
        return campaign.record.waiting()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project with clips and a campaign whose round 0 is trained and whose round 1 waits."""
    project = tmp_path_factory.mktemp("made") / "project"
    for number, place in enumerate(PLACES):
        path = project / "clips" / f"{place}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        images = []
        for index in range(FRAMES):
            image = np.full((*SIZE, 3), 90 + 20 * number, np.uint8)
            image[20:40, 4 + 5 * index : 24 + 5 * index] = (200, 30, 30)
            images.append(image)
        write_video(path, images, Fraction(10))
    work = project / "work"
    main(["init", str(work), "--videos", str(project / "clips"), "--test", "test/*", *INIT])
    main(["select", "--campaign", str(work), "--quiet", "--no-report"])
    main(["import", str(work), "--from", str(answers(project / "0.json", waiting(work)))])
    main(["train", str(work), "--quiet"])
    main(["select", "--campaign", str(work), "--quiet", "--no-report"])
    return project


@pytest.fixture
def project(made, tmp_path):
    """A copy of it in a place of another name: the former is not there any more."""
    shutil.copytree(made, tmp_path / "moved")
    made.rename(made.with_name("gone"))
    yield tmp_path / "moved"
    made.with_name("gone").rename(made)


def test_a_project_that_was_moved_goes_on_in_every_command(capsys, project):
    work = project / "work"
    assert "not where" not in done(capsys, "status", work)
    assert done(capsys, "report", work, "--round", "newest", "--quiet")
    assert done(capsys, "report", work, "--quiet")
    assert done(capsys, "import", work, "--from", answers(project / "1.json", waiting(work)))
    assert done(capsys, "train", work, "--quiet")
    assert done(capsys, "select", "--campaign", work, "--quiet", "--no-report")
    assert done(capsys, "withdraw", work)
    told = json.loads(done(capsys, "status", work, "--json"))
    assert told["missing"] == []


def test_a_campaign_that_was_moved_alone_finds_its_clips_where_they_were(capsys, project):
    done(capsys, "relink", project / "work")
    (project / "elsewhere" / "deep").mkdir(parents=True)
    (project / "work").rename(project / "elsewhere" / "deep" / "campaign")
    assert "not where" not in done(capsys, "status", project / "elsewhere" / "deep" / "campaign")


def test_clips_that_were_renamed_and_shuffled_are_found_by_content(capsys, project):
    work, new = project / "work", project / "renamed"
    new.mkdir()
    for number, place in enumerate(PLACES):
        (project / "clips" / f"{place}.mp4").rename(new / f"x{number}.mp4")
    shutil.rmtree(project / "clips")
    said = done(capsys, "status", work)
    assert "4 clips are not where they were" in said
    assert "vidal relink" in said
    code, said = vidal(capsys, "select", "--campaign", work)
    assert code == 2
    assert "are not answered yet" in said
    said = done(capsys, "relink", work, "--videos", new)
    assert "0 clips in place, 4 clips found, 0 missing" in said
    assert done(capsys, "import", work, "--from", answers(project / "1.json", waiting(work)))
    assert done(capsys, "train", work, "--quiet")
    assert done(capsys, "select", "--campaign", work, "--quiet", "--no-report")
    assert "0 clips found" in done(capsys, "relink", work)


def test_a_clip_of_another_content_is_refused_by_name_whatever_it_is_called(capsys, project):
    work = project / "work"
    town, night = project / "clips" / "town.mp4", project / "clips" / "night" / "cam.mp4"
    town.write_bytes(night.read_bytes())
    code, said = vidal(capsys, "relink", work)
    assert code == 2
    assert "town.mp4: is another clip than town-" in said
    (project / "other").mkdir()
    shutil.move(town, project / "other" / "town.mp4")
    code, said = vidal(capsys, "relink", work, "--videos", project / "other")
    assert code == 2
    assert "is another clip than town-" in said
    told = json.loads(done(capsys, "status", work, "--json"))
    assert [name.rpartition("-")[0] for name in told["missing"]] == ["town"]


def test_clips_that_are_lost_are_refused_only_where_they_are_needed(capsys, project):
    work = project / "work"
    refs = waiting(work)
    lost = refs[0].clip
    name = lost.rpartition("-")[0].replace("__", "/")
    kept = project / "kept.mp4"
    (project / "clips" / f"{name}.mp4").rename(kept)
    assert f"1 clip is not where it was: {lost}" in done(capsys, "status", work)
    file = answers(project / "1.json", refs)
    theirs = sum(ref.clip == lost for ref in refs)
    if theirs < len(refs):
        said = done(capsys, "import", work, "--from", file)
        assert "of a clip that is not there (`vidal relink`)" in said
    only = answers(project / "only.json", [ref for ref in refs if ref.clip == lost])
    said = done(capsys, "import", work, "--from", only)
    assert f"{theirs} still waiting" in said
    assert str(refs[0]) in said
    said = done(capsys, "withdraw", work)
    assert f"{theirs} frame" in said
    if theirs == len(refs):  # else the labels of the others have to be trained on first
        code, said = vidal(capsys, "select", "--campaign", work, "--quiet")
        assert code == 2
        assert f"clip {lost} is not there any more" in said
    kept.rename(project / "clips" / f"{name}.mp4")
    assert "not where" not in done(capsys, "status", work)


def test_a_report_needs_the_clips_of_its_rounds_only(capsys, project):
    work = project / "work"
    with open_campaign(work, lock=False) as campaign:
        asked = {ref.clip for ref in campaign.record.queried_in(0)}
        train = [entry.id for entry in campaign.record.clips("train")]
    free = [name for name in train if name not in asked]
    for name in [*free, sorted(asked)[0]]:
        place = name.rpartition("-")[0].replace("__", "/")
        (project / "clips" / f"{place}.mp4").unlink()
        code, said = vidal(capsys, "report", work, "--round", "0", "--quiet")
        if name in free:
            assert code == 0, said
            assert f"without {project}" in said
        else:
            assert code == 2
            assert f"clip {name} is not there any more" in said
            assert "vidal relink" in said


def test_a_model_that_is_gone_is_said_and_fitted_anew(capsys, project):
    work = project / "work"
    model = work / "models" / "round-000.safetensors"
    former = model.read_bytes()
    model.unlink()
    said = done(capsys, "status", work)
    assert f"next: vidal train {work}   (the model of round 0 is gone" in said
    done(capsys, "withdraw", work)
    code, said = vidal(capsys, "select", "--campaign", work)
    assert code == 2
    assert "round-000.safetensors: the model of round 0 is gone" in said
    assert f"vidal train {work}" in said
    assert "round 0: its model was gone; trained anew on 3 frames" in done(
        capsys, "train", work, "--quiet"
    )
    assert model.read_bytes() == former
    assert done(capsys, "select", "--campaign", work, "--quiet", "--no-report")


def test_a_query_folder_that_the_record_does_not_know_is_moved_aside(capsys, project):
    work = project / "work"
    done(capsys, "withdraw", work)
    strange = work / "queries" / "round-002"
    (strange / "frames").mkdir(parents=True)
    (strange / "frames" / "mine.jpg").write_text("annotated by people")
    done(capsys, "select", "--campaign", work, "--quiet", "--no-report")
    aside = work / "queries" / "round-002-unknown-1" / "frames" / "mine.jpg"
    assert aside.read_text() == "annotated by people"
    assert (strange / "query.json").is_file()


def test_test_clips_are_labelled_by_import_and_never_trained_on(capsys, project):
    work = project / "work"
    code, said = vidal(capsys, "evaluate", work)
    assert code == 2
    assert f"vidal import {work} --split test --from FILE" in said
    with open_campaign(work, lock=False) as campaign:
        (entry,) = campaign.record.clips("test")
        before = campaign.record.counts()
    file = answers(project / "t.json", [FrameRef(entry.id, index) for index in (1, 4)])
    said = done(capsys, "import", work, "--split", "test", "--from", file)
    assert "test clips: 2 frames labelled" in said
    assert done(capsys, "import", work, "--split", "test", "--from", file)
    said = done(capsys, "evaluate", work, "--no-queries")
    assert "1 test clip, 2 labelled frames" in said
    assert done(capsys, "report", work, "--quiet")
    told = json.loads((work / "report.json").read_text())
    assert told["judged_by"] == "1 test clip, 2 labelled frames"
    assert [each["round"] for each in told["curve"]] == [
        each["round"] for each in told["rounds"] if each["state"] == "trained"
    ]
    with open_campaign(work, lock=False) as campaign:
        assert campaign.record.counts() == before
        assert campaign.record.labelled_clips() == [
            ref for ref in campaign.record.labelled_clips() if ref != entry.id
        ]
        assert not campaign.record.annotations(entry.id, FRAMES).labelled.any()
    code, said = vidal(capsys, "import", work, "--split", "validation", "--from", file)
    assert code == 2
    assert "no clips in the split validation" in said
    code, said = vidal(capsys, "import", work, "--split", "test", "--from", file, "--skip-rest")
    assert code == 2
    for name in (ref.clip for ref in waiting(work)):
        place = name.rpartition("-")[0].replace("__", "/")
        (project / "clips" / f"{place}.mp4").unlink(missing_ok=True)
    said = done(capsys, "evaluate", work)
    assert "Queries are not judged: " in said


def test_init_on_a_campaign_that_is_there_opens_no_clip_and_loads_no_detector(
    capsys, project, monkeypatch
):
    again = ["init", project / "work", "--videos", project / "clips", "--test", "test/*", *INIT]
    monkeypatch.setattr("vidal.assemble.campaign.open_source", lambda *_, **__: 1 / 0)
    monkeypatch.setattr("vidal.assemble.campaign._detector_classes", lambda *_: 1 / 0)
    assert "unchanged:" in done(capsys, *again)
    code, said = vidal(capsys, *again, "--seed", "7")
    assert code == 2
    assert "another configuration" in said
    assert "30 frames of 3 training clips" in done(capsys, *again)


def test_classes_that_no_label_has_are_refused_with_those_that_it_has(capsys, project):
    refs = [FrameRef("town", 1)]
    file = answers(project / "l.json", refs)
    code, said = vidal(
        capsys,
        "init",
        project / "new",
        "--videos",
        project / "clips",
        "--labels",
        file,
        "--classes",
        "vehicle",
        "--detector",
        "scenes-tiny",
    )
    assert code == 2
    assert "no label is of a class of --classes (vehicle)" in said
    assert "The labels have: car, sign" in said
    assert not os.path.lexists(project / "new" / "campaign.sqlite")


def test_clips_are_relinked_from_python_as_by_the_command(capsys, project):
    work, clips = vidal_api.Campaign(project / "work"), project / "clips"
    (clips / "town.mp4").rename(project / "moved.mp4")
    (clips / "day").rename(project / "dawn")
    lost = set(work.status()["missing"])
    assert len(lost) == 2
    with pytest.raises(UsageError, match="old and new go together"):
        work.relink(old=clips / "day")
    with pytest.raises(InputError, match="no such file or folder"):
        work.relink(project / "absent")
    done = work.relink(old=clips / "day", new=project / "dawn")
    assert [path for _, path in done.found] == [project / "dawn" / "cam.mp4"]
    assert {*done.missing, *(name for name, _ in done.found)} == lost
    (project / "elsewhere").mkdir()
    shutil.copy(clips / "night" / "cam.mp4", project / "elsewhere" / "town.mp4")
    done = work.relink(project / "elsewhere")
    assert [path.name for _, path in done.other] == ["town.mp4"]
    assert work.relink(str(project)).missing == ()
    assert work.status()["missing"] == []
