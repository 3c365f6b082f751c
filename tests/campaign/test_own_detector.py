"""A campaign about one's own detector: vidal sees nothing of it but files of detections."""

import json
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import vidal as vidal_api
from vidal.assemble.campaign import plan_round
from vidal.campaign.folder import locked, open_campaign
from vidal.campaign.judged import judge_rounds
from vidal.campaign.oracle import TruthOracle
from vidal.cli import main
from vidal.errors import UsageError
from vidal.formats import coco_video
from vidal.types import Annotations, FrameRef, LabelledClip
from vidal.video import write_video

SIZE, FRAMES = (64, 96), 12
CLASSES = ("car", "sign")
NAMES = ("a", "b", "c")
CHOSEN = [
    *("--classes", "car,sign", "--budget", "3", "--initial", "4"),
    *("--set", "selection.gap=1", "--set", "workers=1"),
]


class Quiet:
    def begin(self, clips, known): ...
    def advance(self, item, done, total): ...
    def finish(self, item, remark): ...


def truth_of() -> Annotations:
    rows = [(i, 4 + 5 * i, 0) for i in range(2, FRAMES)] + [(i, 70, 1) for i in range(6, FRAMES)]
    rows.sort()
    return Annotations(
        classes=CLASSES,
        labelled=np.ones(FRAMES, bool),
        frame=np.array([row[0] for row in rows]),
        boxes=np.array([[x, 20, x + 20, 40] for _, x, _ in rows], np.float32),
        labels=np.array([row[2] for row in rows]),
        track=np.array([row[2] for row in rows]),
        ignore=np.zeros(len(rows), bool),
    )


def detect(folder: Path, *, names=NAMES, false=0, score=0.9, label="car", x=4) -> Path:
    """What a detector finds: the cars, never a sign, and so many false alarms a frame."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        lines = []
        for i in range(FRAMES):
            boxes = [[x + 5 * i, 20, x + 20 + 5 * i, 40]] if i >= 2 else []
            boxes += [[2 + 12 * n, 48, 11 + 12 * n, 60] for n in range(false)]
            dets = [{"xyxy": box, "label": label, "score": score - 0.05 * n}
                    for n, box in enumerate(boxes)]  # fmt: skip
            lines.append(json.dumps({"frame": i, "dets": dets}))
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("footage")
    for number, name in enumerate(NAMES):
        images = []
        for index in range(FRAMES):
            image = np.full((*SIZE, 3), 90 + 20 * number, np.uint8)
            if index >= 2:
                image[20:40, 4 + 5 * index : 24 + 5 * index] = (200, 30, 30)
            images.append(image)
        write_video(folder / f"{name}.mp4", images, Fraction(10))
    return folder


@pytest.fixture
def project(tmp_path, footage):
    """A folder with clips/ and the detections det0/, as a user has them."""
    home = tmp_path / "project"
    home.mkdir()
    shutil.copytree(footage, home / "clips")
    detect(home / "det0", false=2)
    return home


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


def refused(capsys, *arguments) -> str:
    code, said = vidal(capsys, *arguments)
    assert code == 2, said
    return said


def init(capsys, project, *more, detections="det0") -> Path:
    work = project / "work"
    base = ("init", work, "--videos", project / "clips", "--detections", project / detections)
    done(capsys, *base, *CHOSEN, *more)
    return work


def select(capsys, work, *more) -> str:
    return done(capsys, "select", "--campaign", work, "--no-report", "--quiet", *more)


def answer(capsys, work) -> None:
    with open_campaign(work, lock=False) as campaign:
        refs = campaign.record.waiting()
    give(capsys, work, refs)


def give(capsys, work, refs, *more) -> None:
    tables = TruthOracle({ref.clip: truth_of() for ref in refs}).annotate(0, refs)
    file = work.parent / "answers.json"
    coco_video.write(file, [LabelledClip(n, t, size=SIZE) for n, t in tables.items()])
    done(capsys, "import", work, "--from", file, "--empty-ok", "--unchanged-ok", *more)


def state_of(capsys, work) -> dict:
    return json.loads(done(capsys, "status", work, "--json"))


def events(work, kind=None) -> list:
    with open_campaign(work, lock=False) as campaign:
        return [each for each in campaign.record.events() if kind in (None, each[1])]


def test_three_rounds_with_new_detections_each_end_in_an_ap(capsys, project):
    work = init(capsys, project, "--test", "c")
    select(capsys, work)
    answer(capsys, work)
    for number in (1, 2):
        detect(project / f"det{number}", false=2 - number)
        said = select(capsys, work, "--detections", project / f"det{number}")
        assert f"round {number}: chose 3 frames" in said
        answer(capsys, work)
    state = state_of(capsys, work)
    assert [each["state"] for each in state["rounds"]] == ["trained", "trained", "answered"]
    names = [(each["model"] or "-").split(" ")[0] for each in state["rounds"]]
    assert names == ["det1", "det2", "-"]
    assert state["detections"]["path"] == str((project / "det2").resolve())
    given = [detail["detections"] for _, _, detail in events(work, "queried")]
    assert [each["path"] for each in given] == ["../det0", "../det1", "../det2"]
    assert len({each["digest"] for each in given}) == 3
    refs = [FrameRef(e.id, i) for e in entries(work, "test") for i in range(FRAMES)]
    give(capsys, work, refs, "--split", "test")
    told = json.loads(done(capsys, "evaluate", work, "--json"))
    assert told["model"].startswith("det2 (")
    assert [each["round"] for each in told["curve"]] == [None, 0, 1]
    car = [each["map50"] for each in told["curve"]]
    assert car[0] < car[2]  # fewer false alarms each time
    assert [each["round"] for each in told["queries"]] == [0, 1, 2]
    assert told["queries"][1]["false_positives"] == 3  # by the detections of round 1
    said = done(capsys, "evaluate", work, "--quiet")
    assert "before any training: AP50" in said
    assert "trained on round 1: AP50" in said
    assert "cannot be checked" in said


def entries(work, split):
    with open_campaign(work, lock=False) as campaign:
        return campaign.record.clips(split)


def test_a_random_round_has_the_boxes_of_the_detections(capsys, project):
    work = init(capsys, project)
    select(capsys, work)
    query = work / "queries" / "round-000"
    coco = json.loads((query / "preannotations.coco.json").read_text())
    assert [each["name"] for each in coco["categories"]] == list(CLASSES)
    assert len(coco["annotations"]) >= 8
    assert json.loads((query / "query.json").read_text())["strategy"] == "random"


def test_the_first_round_may_be_chosen_by_the_detections(capsys, project):
    work = init(capsys, project, "--set", "selection.initial_strategy=entropy")
    assert "by entropy" in select(capsys, work)


def test_torch_is_not_imported_on_the_whole_way(project):
    code = """
import sys
from pathlib import Path
class Never:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision"):
            raise AssertionError(f"{name} was imported")
sys.meta_path.insert(0, Never())
import vidal
home = Path(sys.argv[1])
settings = {"selection.gap": 1, "workers": 1}
work = vidal.Campaign.create(home / "work", videos=home / "clips", classes=["car", "sign"],
    detections=home / "det0", budget="3", initial="4", test="c", settings=settings)
work.select(progress=False)
work.import_(home / "truth.json", empty_ok=True, unchanged_ok=True)
work.select(detections=home / "det1", progress=False)
work.import_(home / "truth.json", empty_ok=True, unchanged_ok=True)
work.import_(home / "truth.json", split="test", empty_ok=True)
print(len(work.evaluate(progress=False).curve), work.status()["frames"]["labelled"])
assert "torch" not in sys.modules
"""
    detect(project / "det1")
    clips = [LabelledClip(name, truth_of(), size=SIZE) for name in NAMES]
    coco_video.write(project / "truth.json", clips)
    ran = subprocess.run(
        [sys.executable, "-c", code, str(project)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["2", "7"]


def test_answers_ask_for_new_detections_or_for_a_word_that_the_detector_goes_on(capsys, project):
    work = init(capsys, project)
    select(capsys, work)
    answer(capsys, work)
    said = refused(capsys, "select", "--campaign", work)
    assert "round 0 is answered" in said
    assert "--same-detector" in said
    assert "export" in said
    said = refused(capsys, "select", "--campaign", work, "--detections", project / "det0")
    assert "unchanged since round 0 was answered" in said
    detect(project / "det1")
    both = ("--detections", project / "det1", "--same-detector")
    assert "not the detections of before" in refused(capsys, "select", "--campaign", work, *both)
    assert [e[1] for e in events(work)][-1] == "answered"  # nothing of it was recorded
    select(capsys, work, "--same-detector")
    states = [each["state"] for each in state_of(capsys, work)["rounds"]]
    assert states == ["answered", "queried"]
    answer(capsys, work)
    select(capsys, work, "--detections", project / "det1")
    rounds = state_of(capsys, work)["rounds"]
    assert [each["state"] for each in rounds] == ["answered", "trained", "queried"]


def test_status_and_train_name_the_step_that_is_ones_own(capsys, project):
    work = init(capsys, project)
    select(capsys, work)
    answer(capsys, work)
    step = state_of(capsys, work)["next"]
    assert step["command"] == f"vidal select --campaign {work} --detections NEW"
    assert f"vidal export {work} --to yolo --labelled" in step["why"]
    said = refused(capsys, "train", work)
    assert "your own step" in said
    assert f"vidal export {work} --to yolo --labelled" in said


def test_corrected_answers_ask_for_a_training_of_ones_own_and_the_next_detections_end_that(
    capsys, project
):
    work = init(capsys, project)
    select(capsys, work)
    answer(capsys, work)
    select(capsys, work, "--detections", detect(project / "det1", false=1))
    file = work.parent / "answers.json"
    value = json.loads(file.read_text())
    for each in value["annotations"]:
        each["bbox"][2] -= 2
    file.write_text(json.dumps(value))
    said = done(capsys, "import", work, "--from", file, "--replace", "--empty-ok")
    assert "the model of round 0 had the former answers: train yours anew" in said
    assert "vidal train" not in said
    answer(capsys, work)
    said = done(capsys, "undo", work, "--round", "1", "--dry-run")
    assert "vidal train" not in said
    select(capsys, work, "--detections", detect(project / "det2", false=0))
    assert [each["stale"] for each in state_of(capsys, work)["rounds"]] == [False] * 3


def test_mot_of_chosen_frames_is_refused_for_it_numbers_them_anew(capsys, project):
    work = init(capsys, project)
    select(capsys, work)
    done(capsys, "export", work, "--to", "mot", "--out", project / "mot")
    for folder in sorted((project / "mot").iterdir()):
        if folder.is_dir():
            more = ("--format", "mot", "--unchanged-ok")
            said = refused(capsys, "import", work, "--from", folder.parent / folder.name, *more)
            assert "MOT does not say which" in said
    assert state_of(capsys, work)["frames"]["waiting"] == 4


def test_a_query_that_was_taken_back_asks_for_nothing(capsys, project):
    work = init(capsys, project)
    select(capsys, work)
    answer(capsys, work)
    detect(project / "det1")
    select(capsys, work, "--detections", project / "det1")
    done(capsys, "withdraw", work)
    select(capsys, work)
    given = [detail["detections"]["path"] for _, _, detail in events(work, "queried")]
    assert given == ["../det0", "../det1", "../det1"]


def test_labels_from_the_start_are_round_0_and_the_next_one_needs_no_new_detections(
    capsys, project
):
    clips = [LabelledClip(name, truth_of(), size=SIZE) for name in NAMES[:2]]
    coco_video.write(project / "truth.json", clips)
    work = init(capsys, project, "--labels", project / "truth.json")
    assert "by expected-errors" in select(capsys, work)


def test_frames_are_judged_by_the_detections_that_asked_for_them(capsys, project):
    work = init(capsys, project)
    select(capsys, work)
    answer(capsys, work)
    detect(project / "det1", false=0)
    select(capsys, work, "--detections", project / "det1")
    answer(capsys, work)
    with open_campaign(work) as campaign:
        job = plan_round(campaign)
        judged = judge_rounds(
            campaign,
            job.plan.evidence,
            campaign.clips(job.engines),
            before=2,
            engines=job.engines,
            watcher=Quiet(),
        )
    assert [each.how for each in judged] == ["unseen", "unseen"]
    false = [int(each.judged.detections.error.sum()) for each in judged]
    assert false == [8, 0]  # two a frame by det0, none by det1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d: detect(d, names=("x", "y")), "detections for other clips"),
        (lambda d: detect(d, label="ship"), "unknown class in data.classes"),
        (lambda d: None, "no such file or folder"),
        (lambda d: d.mkdir(), "no detection files"),
        (lambda d: (detect(d), detect(d / "more", names=("a",))), "two entries belong to clip"),
        (lambda d: (detect(d), (d / "a.jsonl").write_text('{"frame": 99, "dets": [{"xyxy":'
         ' [1, 2, 3, 4], "label": "car", "score": 1}]}\n')), "has 12 frames"),
        (lambda d: (detect(d), (d / "a.jsonl").write_text("nonsense\n")), "a.jsonl"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("later", [False, True])
def test_detections_that_cannot_be_meant_are_refused_by_name(capsys, project, change, why, later):
    bad = project / "bad"
    change(bad)
    if later:
        work = init(capsys, project)
        select(capsys, work)
        answer(capsys, work)
        before = events(work)
        assert why in refused(capsys, "select", "--campaign", work, "--detections", bad)
        assert events(work) == before
    else:
        base = ("init", project / "work", "--videos", project / "clips", *CHOSEN)
        assert why in refused(capsys, *base, "--detections", bad)
        assert not (project / "work" / "campaign.sqlite").exists()


def test_detections_of_another_size_are_refused_with_both_sizes(capsys, project):
    images = [{"id": i, "file_name": f"a/{i:06d}.jpg", "width": 640, "height": 480}
              for i in range(FRAMES)]  # fmt: skip
    rows = [{"image_id": 3, "category_id": 1, "bbox": [1, 1, 5, 5], "score": 0.5}]
    names = {"images": images, "categories": [{"id": 1, "name": "car"}]}
    (project / "images.json").write_text(json.dumps(names))
    (project / "results.json").write_text(json.dumps(rows))
    base = ("init", project / "work", "--videos", project / "clips", *CHOSEN)
    more = ("--detections", project / "results.json")
    said = refused(capsys, *base, *more, "--detections-images", project / "images.json")
    assert "640x480" in said
    assert "96x64" in said


def test_clips_without_detections_are_named_and_never_chosen(capsys, project):
    detect(project / "part", names=("a", "b"), false=1)
    said = done(
        capsys, "init", project / "work", "--videos", project / "clips", *CHOSEN,
        "--detections", project / "part",
    )  # fmt: skip
    assert "c.mp4: the detections do not mention it" in said
    work = project / "work"
    select(capsys, work)
    for number in range(1, 3):
        answer(capsys, work)
        select(capsys, work, "--detections", detect(project / f"part{number}", names=("a", "b"),
                                                     false=number + 1))  # fmt: skip
    with open_campaign(work, lock=False) as campaign:
        asked = {ref.clip.split("-")[0] for n in range(3) for ref in campaign.record.queried_in(n)}
    assert asked <= {"a", "b"}
    query = json.loads((work / "queries" / "round-002" / "query.json").read_text())
    assert [Path(each["path"]).name for each in query["skipped"]] == ["c.mp4"]


def test_classes_are_matched_whatever_their_case_and_others_are_counted(capsys, project):
    detect(project / "Upper", label="CAR", names=("a", "b"))
    detect(project / "Upper", label="ship", names=("c",), false=1)
    base = ("init", project / "work", "--videos", project / "clips", *CHOSEN)
    said = done(capsys, *base, "--detections", project / "Upper")
    assert "22 detections of other classes left out (ship)" in said
    select(capsys, project / "work")


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--weights", "x.safetensors"), "both a detector and given detections"),
        (("--detector", "scenes-tiny"), "both a detector and given detections"),
        (("--set", "detector.start=fresh"), "fresh"),
        (("--set", "training.pseudo_labels=true"), "training is your own step"),
        (("--strategy", "badge"), "needs features"),
        (("--strategy", "coreset"), "needs embedding"),
        (("--strategy", "portable-pal"), "needs embedding and suppressed"),
        (("--strategy", "bald"), "bald: "),
        (("--strategy", "label-dispersion"), "label-dispersion: "),
    ],
)
def test_what_needs_a_detector_is_refused_when_a_campaign_is_begun(capsys, project, more, why):
    base = ("init", project / "work", "--videos", project / "clips", *CHOSEN)
    assert why in refused(capsys, *base, "--detections", project / "det0", *more)
    assert not (project / "work" / "campaign.sqlite").exists()


@pytest.mark.parametrize(
    ("name", "why"), [("gone.safetensors", "no such checkpoint"), ("yolox.onnx", "--detections")]
)
def test_weights_that_cannot_be_used_are_refused_when_a_campaign_is_begun(
    capsys, project, name, why
):
    (project / "yolox.onnx").write_bytes(b"\x08\x07\x12\x07pytorch" * 9)
    base = ("init", project / "work", "--videos", project / "clips", *CHOSEN)
    said = refused(capsys, *base, "--weights", project / name)
    assert name in said
    assert why in said
    assert not (project / "work" / "campaign.sqlite").exists()


def test_detections_for_a_campaign_with_vidals_detector_are_refused(capsys, project):
    work = project / "work"
    done(capsys, "init", work, "--videos", project / "clips", *CHOSEN, "--detector", "scenes-tiny")
    for more in (("--detections", project / "det0"), ("--same-detector",)):
        assert "trained by vidal" in refused(capsys, "select", "--campaign", work, *more)
    said = refused(capsys, "evaluate", work, "--detections", project / "det0")
    assert "trained by vidal" in said
    with pytest.raises(UsageError, match="trained by vidal"):
        vidal_api.Campaign(work).select(detections=project / "det0", progress=False)
    assert "needs a campaign" in refused(
        capsys, "select", "--videos", project / "clips", "--same-detector"
    )


def test_a_simulation_refuses_detections(capsys, project):
    config = project / "config.yaml"
    config.write_text("data: {videos: clips, detections: det0, classes: [car]}\n")
    assert "data.detections" in refused(capsys, "simulate", config)


def test_detections_that_changed_in_place_are_refused_until_they_are_given_anew(capsys, project):
    work = init(capsys, project)
    detect(project / "det0", false=1)
    said = refused(capsys, "select", "--campaign", work)
    assert "have changed since they were given" in said
    assert "--detections NEW" in said
    select(capsys, work, "--detections", project / "det0")
    answer(capsys, work)
    detect(project / "det0", false=0)  # a new model writes where the old one wrote
    said = refused(capsys, "select", "--campaign", work, "--same-detector")
    assert "have changed" in said
    select(capsys, work, "--detections", project / "det0")
    said = done(capsys, "report", work, "--round", "0", "--quiet")  # from what was taken in
    assert "round 0: 4 frames" in said


def test_files_that_are_gone_are_not_missed_while_the_evidence_is_there(capsys, project):
    work = init(capsys, project)
    (project / "det0").rename(project / "away")
    select(capsys, work)
    shutil.rmtree(work / "evidence")
    said = refused(capsys, "report", work, "--round", "0", "--quiet")
    assert "cannot be read again" in said
    assert "relink" in said
    (project / "away").rename(project / "det0")
    done(capsys, "report", work, "--round", "0", "--quiet")


def test_answers_whose_detections_are_lost_teach_nothing_and_that_is_said(capsys, project):
    work = init(capsys, project)
    select(capsys, work)
    answer(capsys, work)
    shutil.rmtree(work / "evidence")
    shutil.rmtree(project / "det0")
    said = select(capsys, work, "--detections", detect(project / "det1", false=1))
    assert "The answers of round 0 teach nothing about errors" in said


def test_an_interrupted_selection_leaves_no_trace_and_is_run_again(capsys, project, monkeypatch):
    work = init(capsys, project)
    select(capsys, work)
    answer(capsys, work)
    detect(project / "det1")
    twin = project / "twin"
    shutil.copytree(work, twin)
    before = events(work)

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("vidal.report.write_outputs", interrupted)
        code, _ = vidal(capsys, "select", "--campaign", work, "--detections", project / "det1")
    assert code == 130
    assert events(work) == before
    for each in (work, twin):
        select(capsys, each, "--detections", project / "det1")
    assert events(work) == events(twin)


def test_two_at_once_are_answered_with_busy(capsys, project):
    work = init(capsys, project)
    with locked(work):
        assert "working on this campaign" in refused(capsys, "select", "--campaign", work)
        done(capsys, "status", work)


def test_a_project_that_moves_with_its_detections_goes_on(capsys, project, tmp_path):
    detect(project / "runs" / "one")
    work = init(capsys, project, detections="runs/*/*.jsonl")
    moved = project.rename(tmp_path / "elsewhere")
    shutil.rmtree(moved / "work" / "evidence")
    select(capsys, moved / "work")
    assert work.parent != moved


def test_detections_that_were_moved_are_found_by_relink(capsys, project, tmp_path):
    work = init(capsys, project)
    select(capsys, work)
    answer(capsys, work)
    select(capsys, work, "--detections", detect(project / "det1"))
    (tmp_path / "disk").mkdir()
    for name in ("det0", "det1"):
        (project / name).rename(tmp_path / "disk" / name)
    shutil.rmtree(work / "evidence")
    refused(capsys, "report", work, "--round", "1", "--quiet")
    done(capsys, "relink", work, "--from", project, "--to", tmp_path / "disk")
    for number in (0, 1):
        done(capsys, "report", work, "--round", number, "--quiet")


def test_a_campaign_that_moves_alone_finds_its_detections_where_they_are(capsys, project, tmp_path):
    work = init(capsys, project, detections="det0/*.jsonl")
    (tmp_path / "there").mkdir()
    work = work.rename(tmp_path / "there" / "work")
    shutil.rmtree(work / "evidence")
    select(capsys, work)
    done(capsys, "relink", work)  # its paths count from its new place now
    shutil.rmtree(work / "evidence")
    done(capsys, "report", work, "--quiet")


def test_detections_may_be_judged_that_selected_no_round(capsys, project):
    work = init(capsys, project, "--test", "c")
    refs = [FrameRef(e.id, i) for e in entries(work, "test") for i in range(FRAMES)]
    give(capsys, work, refs, "--split", "test")
    last = detect(project / "last")
    before = events(work)
    work_ = vidal_api.Campaign(work)
    found = work_.evaluate(detections=last, progress=False)
    assert found.model.startswith("last (")
    assert found.quality.report.map50 > found.curve[0].map50
    assert events(work) == before
    assert "round 0 has no model" in refused(capsys, "evaluate", work, "--round", "0")
    part = detect(project / "part", names=("a", "b"), score=0.8)
    said = refused(capsys, "evaluate", work, "--detections", part)
    assert "none of the labelled clips that were set aside (c.mp4)" in said


def test_how_detections_are_read_is_carried_over(capsys, project):
    work = init(capsys, project, "--detections-frames", "listed")
    select(capsys, work)
    answer(capsys, work)
    select(capsys, work, "--detections", detect(project / "det1"))
    given = [detail["detections"]["frames"] for _, _, detail in events(work, "queried")]
    assert given == ["listed", "listed"]


def test_the_same_campaign_is_begun_again_and_classes_are_those_of_the_detections(capsys, project):
    base = ("init", project / "work", "--videos", project / "clips")
    more = ("--detections", project / "det0")
    assert "classes         car\n" in done(capsys, *base, *more)
    assert done(capsys, *base, *more).startswith("unchanged:")
    assert "another configuration" in refused(
        capsys, *base, "--detections", detect(project / "det1")
    )


def test_the_same_detections_may_be_named_at_another_place(capsys, project):
    work = init(capsys, project)
    select(capsys, work)
    answer(capsys, work)
    (project / "det0").rename(project / "away")
    select(capsys, work, "--detections", project / "away", "--same-detector")
    shutil.rmtree(work / "evidence")
    for number in (0, 1):
        done(capsys, "report", work, "--round", number, "--quiet")


def test_frames_that_were_never_looked_at_are_not_chosen(capsys, project):
    file = project / "det0" / "a.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:6]))
    for name in ("b", "c"):
        (project / "det0" / f"{name}.jsonl").write_text('{"frame": 0, "dets": []}\n')
    more = ("--detections-frames", "listed", "--initial", "8")
    work = init(capsys, project, *more)
    said = select(capsys, work)
    assert "28 of 36 frames are not in the detections: taken as never looked at" in said
    with open_campaign(work, lock=False) as campaign:
        asked = {(ref.clip.split("-")[0], ref.index) for ref in campaign.record.queried_in(0)}
    assert asked == {("a", i) for i in range(6)} | {("b", 0), ("c", 0)}


def test_a_dry_run_says_what_would_be_chosen_and_records_nothing(capsys, project):
    work = init(capsys, project)
    select(capsys, work)
    answer(capsys, work)
    before = events(work)
    more = ("--detections", detect(project / "det1"), "--dry-run", "--workers", "1")
    said = done(capsys, "select", "--campaign", work, *more)
    assert "round 1 would choose 3 frames" in said
    assert events(work) == before


def campaign_with_test_clips(capsys, project) -> Path:
    """Two rounds answered, each with detections of its own, and the test clips b and c labelled."""
    work = init(capsys, project, "--test", "[bc]", "--budget", "1", "--initial", "2")
    select(capsys, work)
    answer(capsys, work)
    select(capsys, work, "--detections", detect(project / "det1", false=1))
    answer(capsys, work)
    refs = [FrameRef(e.id, i) for e in entries(work, "test") for i in range(FRAMES)]
    give(capsys, work, refs, "--split", "test")
    return work


def told(capsys, work, *more) -> dict:
    done(capsys, "report", work, "--quiet", *more)
    return json.loads((work / "report.json").read_text())


def test_the_report_has_the_curve_of_the_detections_that_came_round_by_round(capsys, project):
    work = campaign_with_test_clips(capsys, project)
    content = told(capsys, work)
    curve = content["curve"]
    assert [each["round"] for each in curve] == [None, 0]
    asked = state_of(capsys, work)["rounds"][0]["labelled"]
    assert [each["labelled"] for each in curve] == [0, asked]
    judged = json.loads(done(capsys, "evaluate", work, "--json"))["curve"]
    assert [each["ap50"] for each in curve] == pytest.approx([each["map50"] for each in judged])
    assert any("cannot be checked" in note for note in content["notes"])
    assert "there are two" in " ".join(content["notes"])
    assert "before any training: 0 labelled frames, AP50" in (work / "report.html").read_text()
    quick = told(capsys, work, "--quick")
    assert quick["curve"] == []
    assert "no learning curve" in quick["notes"][0]


def test_detections_without_one_of_the_test_clips_are_left_out_of_the_curve_by_name(
    capsys, project
):
    work = campaign_with_test_clips(capsys, project)
    part = detect(project / "det2", names=("a", "b"))
    select(capsys, work, "--detections", part)
    content = told(capsys, work)
    assert [each["round"] for each in content["curve"]] == [None, 0]
    (note,) = (note for note in content["notes"] if "is not in the curve" in note)
    c = next(each.id for each in entries(work, "test") if each.id.startswith("c"))
    assert note.startswith("The model of round 1 is not in the curve: det2 (")
    assert note.endswith(f"has no detections of 1 test clip: {c}.")


def test_detections_that_are_gone_are_left_out_of_the_curve_by_name(capsys, project):
    work = campaign_with_test_clips(capsys, project)
    shutil.rmtree(project / "det0")
    shutil.rmtree(work / "evidence", ignore_errors=True)
    content = told(capsys, work)
    assert [each["round"] for each in content["curve"]] == [0]
    assert any(
        note.startswith("The first model is not in the curve") and "det0" in note
        for note in content["notes"]
    )


def test_a_round_that_was_taken_back_leaves_the_curve_and_the_report_is_made_again(capsys, project):
    work = campaign_with_test_clips(capsys, project)
    told(capsys, work)
    done(capsys, "undo", work, "--round", "1")
    content = told(capsys, work)
    assert [each["labelled"] for each in content["rounds"]][-1] == 0
