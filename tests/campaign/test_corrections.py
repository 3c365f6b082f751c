"""Answers that were wrong: replaced or taken back; every version stays, stale models are known."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import vidal as door
from vidal.campaign import loop, undo, versions
from vidal.campaign.fitting import labelled_frames, labels_digest
from vidal.campaign.folder import locked, open_campaign
from vidal.campaign.oracle import only
from vidal.cli import main
from vidal.detect.checkpoints import digest, load_checkpoint
from vidal.errors import CampaignError
from vidal.formats import coco_video
from vidal.types import Annotations, LabelledClip
from vidal.video import write_video

FRAMES, SIZE, CLASSES = 8, (64, 96), ("car", "sign")
COUNTED = ("rounds", "frames", "boxes", "held_frames", "held_boxes")
HISTORY = ("imports", "answers", "events")


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


def done(capsys, *arguments) -> str:
    code, said = vidal(capsys, *arguments)
    assert code == 0, said
    return said


def rows(work: Path, *tables: str) -> dict[str, list[tuple]]:
    with closing(sqlite3.connect(work / "campaign.sqlite")) as db:
        every = {t: db.execute(f"SELECT * FROM {t}").fetchall() for t in tables}
    return {t: sorted(found, key=lambda row: row[:2]) for t, found in every.items()}


def truth(shift: float = 0.0) -> Annotations:
    boxes = np.array([[4 + 3 * at + shift, 22, 28 + 3 * at, 42] for at in range(FRAMES)])
    return Annotations(
        classes=CLASSES,
        labelled=np.ones(FRAMES, bool),
        frame=np.arange(FRAMES),
        boxes=boxes.astype(np.float32),
        labels=np.zeros(FRAMES, np.int64),
        track=np.zeros(FRAMES, np.int64),
        ignore=np.zeros(FRAMES, bool),
    )


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A campaign that waits for two frames, and one test clip; its detector starts fresh."""
    root = tmp_path_factory.mktemp("begun")
    (root / "clips").mkdir()
    for number in range(3):
        rng = np.random.default_rng(number)
        images = []
        for at in range(FRAMES):
            image = rng.integers(80, 110, (*SIZE, 3), dtype=np.uint8)
            image[22:42, 4 + 3 * at : 28 + 3 * at] = (210, 40, 30)
            images.append(image)
        write_video(root / "clips" / f"clip{number}.mp4", images, Fraction(10))
    settings = {
        "detector.start": "fresh",
        "selection.gap": "1",
        "training.epochs": "1",
        "training.batch": "1",
        "workers": "1",
    }
    begin = ["init", str(root / "work"), "--videos", str(root / "clips"), "--classes", "car,sign"]
    begin += ["--detector", "scenes-tiny", "--device", "cpu", "--budget", "2", "--initial", "2"]
    begin += ["--test", "clip2*"]
    main([*begin, *(part for item in settings.items() for part in ("--set", "=".join(item)))])
    main(["select", "--campaign", str(root / "work"), "--quiet", "--no-report"])
    with open_campaign(root / "work", lock=False) as campaign:
        asked = campaign.record.waiting()
        test = campaign.record.clips("test")[0].id
    for name, shift in (("right", 0), ("wrong", 2)):
        clips = [
            LabelledClip(
                ref, only(truth(shift), [r.index for r in asked if r.clip == ref]), size=SIZE
            )
            for ref in sorted({ref.clip for ref in asked})
        ]
        coco_video.write(root / f"{name}.json", clips)
        coco_video.write(root / f"{name}_test.json", [LabelledClip(test, truth(shift), size=SIZE)])
    return root


@pytest.fixture
def root(begun, tmp_path):
    shutil.copytree(begun, tmp_path / "p")
    return tmp_path / "p"


@pytest.fixture
def work(root):
    return root / "work"


def learned(work: Path) -> tuple[str, str]:
    """Digests of all labels as training reads them, and of the weights of round 0's model."""
    with open_campaign(work, lock=False) as campaign:
        from vidal.assemble.campaign import engines_of

        clips = campaign.clips(engines_of(campaign.config))
        labels = labels_digest(*labelled_frames(campaign, clips))
        return labels, digest(load_checkpoint(campaign.model(0)).state)


def test_a_wrong_import_that_is_replaced_ends_with_the_record_of_the_right_one_and_its_model(
    capsys, root, work
):
    direct = root / "direct"
    shutil.copytree(work, direct)
    done(capsys, "import", direct, "--from", root / "right.json")
    done(capsys, "train", direct, "--quiet")
    done(capsys, "import", work, "--from", root / "wrong.json")
    done(capsys, "train", work, "--quiet")
    assert learned(work)[1] != learned(direct)[1]
    wrong = learned(work)[0]
    said = done(capsys, "import", work, "--from", root / "right.json", "--replace")
    assert "2 frames were answered before; the answer is replaced" in said
    assert "the model of round 0 had the former answers" in said
    assert "vidal train" in said
    assert rows(work, "frames", "boxes") == rows(direct, "frames", "boxes")
    assert "trained anew" in done(capsys, "train", work, "--quiet")
    assert rows(work, *COUNTED) == rows(direct, *COUNTED)
    assert learned(work) == learned(direct)
    assert wrong != learned(work)[0]


def test_so_does_one_that_is_taken_back_and_given_again(capsys, root, work):
    direct = root / "direct"
    shutil.copytree(work, direct)
    done(capsys, "import", direct, "--from", root / "right.json")
    done(capsys, "import", work, "--from", root / "wrong.json")
    said = done(capsys, "undo", work)
    assert "wrong.json is taken back: 2 frames of round 0 wait again" in said
    assert rows(work, "boxes") == {"boxes": []}
    done(capsys, "import", work, "--from", root / "right.json")
    assert rows(work, *COUNTED) == rows(direct, *COUNTED)


def test_every_version_stays_in_the_record_with_its_file(capsys, root, work):
    done(capsys, "import", work, "--from", root / "wrong.json")
    done(capsys, "import", work, "--from", root / "right.json", "--replace")
    done(capsys, "undo", work, "--round", "0")
    kept = rows(work, "answers")["answers"]
    assert [row[4] for row in kept] == ["labelled"] * 4 + ["queried"] * 2
    assert len({row[5] for row in kept[:4]}) == 4
    wrong, right = door.Campaign(work).imports()
    assert (wrong.source, right.source) == (str(root / "wrong.json"), str(root / "right.json"))
    assert wrong.sha256 != right.sha256
    assert len(wrong.sha256) == 64
    assert (wrong.frames, wrong.counting, right.counting) == (2, 0, 0)
    assert wrong.by
    listed = done(capsys, "undo", work, "--list")
    assert "wrong.json (coco-video, query): 2 frames, 0 of them still count" in listed


@pytest.mark.parametrize("replace", [[], ["--replace"]])
def test_the_same_file_a_second_time_changes_nothing(capsys, root, work, replace):
    done(capsys, "import", work, "--from", root / "right.json")
    before = rows(work, *COUNTED, *HISTORY)
    said = done(capsys, "import", work, "--from", root / "right.json", *replace)
    assert "2 frames were answered before and stay as they are" in said
    assert "replaced" not in said
    assert rows(work, *COUNTED, *HISTORY) == before


def test_without_replace_answers_stay_and_those_that_differ_are_named(capsys, root, work):
    done(capsys, "import", work, "--from", root / "wrong.json")
    before = rows(work, *COUNTED, *HISTORY)
    said = done(capsys, "import", work, "--from", root / "right.json")
    assert "2 of them are otherwise in the file: clip" in said
    assert "--replace takes that" in said
    assert rows(work, *COUNTED, *HISTORY) == before


def test_a_stale_model_is_told_and_nothing_goes_on_from_it(capsys, root, work):
    done(capsys, "import", work, "--from", root / "wrong.json")
    done(capsys, "train", work, "--quiet")
    done(capsys, "import", work, "--from", root / "right.json", "--replace")
    said = done(capsys, "status", work)
    assert "(stale)" in said
    assert "were corrected: fit it anew" in said
    assert json.loads(done(capsys, "status", work, "--json"))["rounds"][0]["stale"] is True
    code, said = vidal(capsys, "select", "--campaign", work, "--quiet")
    assert code == 2
    assert "answers that were corrected since" in said
    done(capsys, "import", work, "--from", root / "right_test.json", "--split", "test")
    code, said = vidal(capsys, "evaluate", work, "--quiet")
    assert code == 2
    assert "trained on answers that were corrected since" in said
    assert json.loads(done(capsys, "train", work, "--json"))["corrected"] is True
    assert "(stale)" not in done(capsys, "status", work)


def test_corrected_to_what_it_was_the_model_is_the_one_that_is_there(capsys, root, work):
    done(capsys, "import", work, "--from", root / "right.json")
    done(capsys, "train", work, "--quiet")
    model = work / "models" / "round-000.safetensors"
    before = model.stat().st_mtime_ns
    done(capsys, "import", work, "--from", root / "wrong.json", "--replace")
    done(capsys, "import", work, "--from", root / "right.json", "--replace")
    done(capsys, "train", work, "--quiet")
    assert model.stat().st_mtime_ns == before


def test_a_training_that_was_interrupted_does_not_go_on_with_other_labels(
    capsys, root, work, monkeypatch
):
    direct = root / "direct"
    shutil.copytree(work, direct)
    done(capsys, "import", direct, "--from", root / "right.json")
    done(capsys, "train", direct, "--quiet")
    done(capsys, "import", work, "--from", root / "wrong.json")
    monkeypatch.setattr(loop, "fit_model", _half(loop.fit_model))
    with pytest.raises(KeyboardInterrupt):
        door.Campaign(work).train(epochs=3, progress=False)
    monkeypatch.undo()
    assert list((work / "models" / "round-000.state").glob("*.pt"))
    done(capsys, "import", work, "--from", root / "right.json", "--replace")
    done(capsys, "train", work, "--quiet")
    assert learned(work) == learned(direct)


def _half(fit):
    """A training that is stopped after its first epoch."""

    def stopped(job, refs, clips, tables, progress, *, pseudo=None):
        def tell(state):
            if state["step"] > state["steps"] / 2:
                raise KeyboardInterrupt

        return fit(job, refs, clips, tables, tell, pseudo=pseudo)

    return stopped


def test_a_later_round_that_waits_is_in_the_way_and_the_way_out_is_named(capsys, root, work):
    done(capsys, "import", work, "--from", root / "right.json")
    done(capsys, "train", work, "--quiet")
    done(capsys, "select", "--campaign", work, "--quiet", "--no-report")
    before = rows(work, *COUNTED, *HISTORY)
    code, said = vidal(capsys, "undo", work)
    assert code == 2
    assert "round 1 waits for its answer" in said
    assert "vidal withdraw" in said
    assert "--replace" in said
    assert rows(work, *COUNTED, *HISTORY) == before
    done(capsys, "import", work, "--from", root / "wrong.json", "--replace")
    assert json.loads(done(capsys, "status", work, "--json"))["rounds"][0]["stale"] is True
    done(capsys, "withdraw", work)
    said = done(capsys, "undo", work, "--file", "wrong.json")
    assert "2 frames of round 0 wait again" in said
    done(capsys, "import", work, "--from", root / "right.json")
    done(capsys, "train", work, "--quiet")


def test_rounds_that_were_asked_for_since_stay_and_get_their_models_anew(capsys, root, work):
    done(capsys, "import", work, "--from", root / "wrong.json")
    done(capsys, "train", work, "--quiet")
    done(capsys, "select", "--campaign", work, "--quiet", "--no-report")
    with open_campaign(work, lock=False) as campaign:
        asked = campaign.record.waiting()
    clips = [
        LabelledClip(name, only(truth(), [r.index for r in asked if r.clip == name]), size=SIZE)
        for name in sorted({ref.clip for ref in asked})
    ]
    coco_video.write(root / "second.json", clips)
    done(capsys, "import", work, "--from", root / "second.json")
    done(capsys, "train", work, "--quiet")
    said = done(capsys, "undo", work, "--round", "0", "--dry-run")
    assert "nothing was changed" in said
    said = done(capsys, "undo", work, "--round", "0")
    assert "the models of rounds 0 and 1 had these answers" in said
    assert "round 1 was asked for since; what was asked there stays" in said
    done(capsys, "import", work, "--from", root / "right.json")
    assert json.loads(done(capsys, "train", work, "--json"))["round"] == 0
    assert json.loads(done(capsys, "train", work, "--json"))["round"] == 1
    states = [row[3] for row in rows(work, "rounds")["rounds"]]
    assert states == ["trained", "trained"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--file", "no.json"], "no.json was not imported; imports so far: right.json"),
        (["--round", "7"], "there is no round 7; rounds: 0"),
        (["--round", "0", "--file", "right.json"], "do not go together"),
    ],
)
def test_what_cannot_be_taken_back_is_refused_by_name(capsys, root, work, options, why):
    code, said = vidal(capsys, "undo", work)
    assert code == 2
    assert "nothing was imported; imports so far: none" in said
    done(capsys, "import", work, "--from", root / "right.json")
    code, said = vidal(capsys, "undo", work, *options)
    assert code == 2
    assert why in said
    done(capsys, "undo", work)
    code, said = vidal(capsys, "undo", work)
    assert code == 2
    assert "nothing to take back" in said


def test_labels_of_clips_set_aside_are_taken_back_too(capsys, root, work):
    done(capsys, "import", work, "--from", root / "wrong_test.json", "--split", "test")
    first = rows(work, *COUNTED, *HISTORY)
    said = done(capsys, "import", work, "--from", root / "wrong_test.json", "--split", "test")
    assert "test clips: 0 frames labelled" in said
    assert rows(work, *COUNTED, *HISTORY) == first
    done(capsys, "import", work, "--from", root / "right_test.json", "--split", "test")
    assert len(rows(work, "held_boxes")["held_boxes"]) == FRAMES
    said = done(capsys, "undo", work, "--file", "right_test.json")
    assert f"{FRAMES} frames of clips set aside have no labels any more" in said
    assert rows(work, "held_boxes", "held_frames") == {"held_boxes": [], "held_frames": []}
    assert len(rows(work, "answers")["answers"]) == 3 * FRAMES


def test_a_dry_run_says_what_the_import_then_does_and_changes_nothing(capsys, root, work):
    def files():
        return {p: p.read_bytes() for p in sorted(work.rglob("*")) if p.is_file()}

    for name, options in (
        ("wrong.json", []),
        ("right.json", []),
        ("right.json", ["--replace"]),
        ("right_test.json", ["--split", "test"]),
    ):
        give = ["import", work, "--from", root / name, "--json", *options]
        before = files()
        with locked(work):  # another command is at work
            told = json.loads(done(capsys, *give, "--dry-run"))
        after = files()
        after.pop(work / ".lock")
        before.pop(work / ".lock")
        assert after == before
        real = json.loads(done(capsys, *give))
        assert (told.pop("dry_run"), real.pop("dry_run")) == (True, False)
        assert (told.pop("next"), real.pop("next")) != ("", "")
        assert told == real
    assert "nothing was changed: this was a dry run" in done(
        capsys, "import", work, "--from", root / "right.json", "--dry-run"
    )


def test_a_dry_run_keeps_nothing_of_clips_that_it_had_to_open(capsys, root, work):
    shutil.rmtree(work / "evidence")
    done(capsys, "import", work, "--from", root / "right.json", "--dry-run")
    assert not (work / "evidence").exists()


@pytest.mark.parametrize("call", ["replace", "undo"])
def test_a_correction_that_fails_half_way_changes_nothing(capsys, root, work, monkeypatch, call):
    done(capsys, "import", work, "--from", root / "wrong.json")
    before = rows(work, *COUNTED, *HISTORY)
    real, calls = versions.set_state, []

    def fails(db, ref, state):
        calls.append(ref)
        if len(calls) == 2:
            raise ZeroDivisionError
        real(db, ref, state)

    for module in (versions, undo):
        monkeypatch.setattr(module, "set_state", fails)
    campaign = door.Campaign(work)
    calls_of = {
        "undo": campaign.undo,
        "replace": lambda: campaign.import_labels(root / "right.json", replace=True),
    }
    with pytest.raises(ZeroDivisionError):
        calls_of[call]()
    assert rows(work, *COUNTED, *HISTORY) == before


KILLED = """
import os, signal, sys
from vidal.campaign import undo, versions
from vidal.cli import main
real, calls = versions.set_state, []
def dies(db, ref, state):
    calls.append(ref)
    real(db, ref, state)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
undo.set_state = versions.set_state = dies
main(sys.argv[1:])
"""


@pytest.mark.parametrize("options", [["import", "--from", "right.json", "--replace"], ["undo"]])
def test_a_correction_that_is_killed_did_not_happen_and_can_be_made_again(
    capsys, root, work, options
):
    done(capsys, "import", work, "--from", root / "wrong.json")
    before = rows(work, *COUNTED, *HISTORY)
    name, *rest = options
    command = [sys.executable, "-c", KILLED, name, str(work), *rest]
    ended = subprocess.run(command, cwd=root, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert rows(work, *COUNTED, *HISTORY) == before
    rest = [root / part if part.endswith(".json") else part for part in rest]
    done(capsys, name, work, *rest)
    assert rows(work, *COUNTED) != {name: before[name] for name in COUNTED}


def test_a_stale_model_of_a_round_without_labels_is_none_any_more(capsys, root, work):
    done(capsys, "import", work, "--from", root / "wrong.json")
    done(capsys, "train", work, "--quiet")
    done(capsys, "undo", work)
    names = [f"{row[0]}@{row[1]:06d}" for row in rows(work, "frames")["frames"]]
    options = [part for name in names for part in ("--skipped", name)]
    done(capsys, "import", work, "--from", root / "right.json", *options)
    state = json.loads(done(capsys, "status", work, "--json"))
    assert (state["model"], state["rounds"][0]["stale"]) == (None, False)
    assert "vidal select" in state["next"]["command"]
    done(capsys, "select", "--campaign", work, "--quiet", "--no-report")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE answers SET boxes = '[]'",
        "DELETE FROM answers",
        "UPDATE imports SET source = 'x'",
        "DELETE FROM imports",
        "UPDATE boxes SET x1 = 0",
        "DELETE FROM boxes",
        "UPDATE frames SET state = 'queried'",
        "UPDATE frames SET rank = 9",
    ],
)
def test_the_database_refuses_to_forget_an_answer(capsys, root, work, statement):
    done(capsys, "import", work, "--from", root / "right.json")
    with (
        closing(sqlite3.connect(work / "campaign.sqlite")) as db,
        pytest.raises(sqlite3.IntegrityError),
    ):
        db.execute(statement)


def test_the_python_door_corrects_and_takes_back_as_the_command_line_does(root, work):
    campaign = door.Campaign(work)
    assert campaign.import_labels(root / "wrong.json").labelled == 2
    told = campaign.import_labels(root / "right.json", replace=True, dry_run=True)
    assert (told.replaced, told.dry_run) == (2, True)
    assert campaign.import_(root / "right.json", replace=True).replaced == 2
    undone = campaign.undo()
    assert (len(undone.frames), undone.round) == (2, 0)
    with pytest.raises(CampaignError, match="nothing to take back"):
        campaign.undo(round=0)
    with pytest.raises(CampaignError, match="nothing to take back"):
        campaign.undo(file="wrong.json")


def test_a_record_of_version_2_gets_its_first_versions(capsys, root, work):
    done(capsys, "import", work, "--from", root / "wrong.json")
    done(capsys, "import", work, "--from", root / "wrong_test.json", "--split", "test")
    with closing(sqlite3.connect(work / "campaign.sqlite")) as db:
        for kind, name in db.execute(
            "SELECT type, name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            assert kind == "trigger"
            if name.startswith(("imports", "answers", "boxes_do", "boxes_stay")):
                db.execute(f"DROP TRIGGER {name}")
        db.execute("DROP TABLE answers")
        db.execute("DROP TABLE imports")
        db.execute("PRAGMA user_version = 2")
        db.commit()
    said = done(capsys, "status", work)
    assert "from version 2 to version 3" in said
    versions_of = rows(work, "answers")["answers"]
    assert len(versions_of) == 2 + FRAMES
    boxes = {tuple(json.loads(row[5])[0]) for row in versions_of}
    assert {row[2:] for row in rows(work, "boxes")["boxes"]} <= boxes
    done(capsys, "import", work, "--from", root / "right.json", "--replace")
    done(capsys, "undo", work, "--round", "0")
