"""Pseudo-labels in a campaign: who gives them, on which frames, and that they stay no labels."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from vidal.assemble.campaign import begin_campaign, plan_round, plan_teacher, train_campaign
from vidal.campaign.config import dump_config, parse_config
from vidal.campaign.folder import open_campaign
from vidal.campaign.loop import answer_round, select_round
from vidal.campaign.oracle import TruthOracle
from vidal.campaign.pseudo_labels import (
    PseudoLabels,
    judged_pseudo_labels,
    read_pseudo_labels,
    with_labels,
    write_pseudo_labels,
)
from vidal.campaign.source import open_source
from vidal.campaign.teaching import Teaching, choose_pseudo_labels
from vidal.detect.checkpoints import load_checkpoint
from vidal.errors import UsageError
from vidal.scenes import plan
from vidal.scenes.scene_files import write_scenes
from vidal.types import Annotations, FrameRef

CLASSES = ["car", "pedestrian", "cyclist", "wheelchair"]


class Quiet:
    def begin(self, clips, known):
        pass

    def advance(self, item, done, total):
        pass

    def finish(self, item, remark):
        pass


def a_table(rows, labelled, frames=6):
    """Annotations from (frame, x, label, ignored)."""
    mask = np.zeros(frames, bool)
    mask[list(labelled)] = True
    x = np.array([row[1] for row in rows], np.float32)
    n = len(rows)
    return Annotations(
        classes=("car", "person"),
        labelled=mask,
        frame=np.array([row[0] for row in rows], np.int64),
        boxes=np.stack([x, np.zeros(n), x + 20, np.full(n, 10)], axis=1),
        labels=np.array([row[2] for row in rows], np.int64),
        track=np.full(n, -1, np.int64),
        ignore=np.array([row[3] for row in rows], bool),
    )


def some(rows=((1, 0, 0, False), (1, 60, 1, True), (4, 50, 1, False))):
    refs = (FrameRef("a", 1), FrameRef("a", 4))
    return PseudoLabels(refs, {"a": a_table(rows, (1, 4))}, ("car", "person"), 2, {"run": 3})


def test_labels_and_pseudo_labels_of_a_clip_stand_side_by_side():
    real = {"a": a_table([(2, 5, 0, False)], (0, 2)), "b": a_table([(3, 0, 1, False)], (3,))}
    refs = [FrameRef("a", 0), FrameRef("a", 2), FrameRef("b", 3)]
    every, tables = with_labels(refs, real, some())
    assert every == [FrameRef("a", i) for i in (0, 1, 2, 4)] + [FrameRef("b", 3)]
    assert np.flatnonzero(tables["a"].labelled).tolist() == [0, 1, 2, 4]
    assert tables["a"].frame.tolist() == [1, 1, 2, 4]
    assert tables["a"].ignore.tolist() == [False, True, False, False]
    assert tables["b"] == real["b"]
    assert with_labels(refs, real, None) == (refs, real)
    with pytest.raises(ValueError, match="labelled already"):
        with_labels([FrameRef("a", 1)], real, some())


def test_what_was_used_is_written_and_judged_by_the_truth_one_to_one(tmp_path):
    file = tmp_path / "round.json"
    assert read_pseudo_labels(file) is None
    write_pseudo_labels(file, some(((1, 0, 0, False), (1, 1, 0, False), (4, 50, 1, False))))
    found = read_pseudo_labels(file)
    assert found["frames"] == 2
    assert found["classes"] == {"car": 2, "person": 1}
    # Two boxes on one car: one of them is right. The person is a car in truth.
    truth = {"a": a_table([(1, 0, 0, False), (4, 50, 0, False)], range(6))}
    judged = judged_pseudo_labels(found, truth)
    assert (judged["boxes"], judged["right"]) == (3, 1)
    assert judged["right_classes"] == {"car": 1, "person": 0}
    assert "of" not in judged
    ignored = {"a": a_table([(1, 0, 0, True), (4, 50, 1, False)], range(6))}
    assert judged_pseudo_labels(found, ignored)["right_classes"] == {"car": 0, "person": 1}


def values(scenes, **training):
    return {
        "data": {
            "videos": str(scenes / "clips"),
            "labels": str(scenes / "labels.coco.json"),
            "classes": CLASSES,
        },
        "detector": {"name": "scenes-tiny", "device": "cpu"},
        "selection": {
            "initial": 4, "budget": 2, "gap": 1, "strategy": "random-r", "threshold": 0.3,
        },
        "training": {"from": "start", "steps": 1, "batch": 2, "lr": 1e-6, **training},
        "workers": 1,
    }  # fmt: skip


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Two short rendered clips with labels."""
    out = tmp_path_factory.mktemp("scenes")
    write_scenes(out, plan(2, 5, frames=(9, 9)))
    return out


LOOSE = {"confidence": 0.5, "run": 2, "false_alarm": 1.0, "ratio": 0.5, "spacing": 1}


@pytest.fixture(scope="module")
def taught(tmp_path_factory, scenes):
    """A campaign whose second round was trained with pseudo-labels; what the trainings gave."""
    folder = tmp_path_factory.mktemp("work") / "w"
    begin_campaign(
        folder, parse_config(values(scenes, pseudo_labels=LOOSE), "x"), initial_labels=False
    )
    trained = []
    with open_campaign(folder) as campaign:
        for _ in range(2):
            job = plan_round(campaign)
            clips = campaign.clips(job.engines)
            select_round(
                campaign, job.plan, clips, engines=job.engines, watcher=Quiet(),
                write=lambda *_: None,
            )  # fmt: skip
            answer_round(campaign, TruthOracle(truth(campaign)))
            trained.append(train_campaign(campaign, watcher=Quiet()))
    return folder, trained


def truth(campaign):
    source = open_source(
        campaign.config,
        engines=plan_round(campaign).engines,
        store=campaign.evidence,
        scenes=campaign.folder,
    )
    return source.truth("train")


def test_the_first_round_has_no_teacher_and_the_second_is_taught_by_its_model(taught):
    folder, (first, second) = taught
    assert first.pseudo_labels is None
    assert not (folder / "models/round-000.pseudo.json").exists()
    assert second.pseudo_labels["teacher"] == 0
    assert second.frames == 6
    assert second.pseudo_labels["frames"] == 3  # half as many as labelled ones
    assert second.pseudo_labels["boxes"] > 3
    assert set(second.pseudo_labels["classes"]) == set(CLASSES)


def test_the_record_and_the_model_say_what_was_used_and_count_it_as_no_label(taught):
    folder, (_, second) = taught
    with open_campaign(folder, lock=False) as campaign:
        assert campaign.record.counts()["labelled"] == 6
        ((_, _, detail),) = [e for e in campaign.record.events() if e[:2] == (1, "trained")]
        assert detail["frames"] == 6
        assert detail["pseudo_labels"] == second.pseudo_labels
        notes = load_checkpoint(campaign.model(1)).notes
        assert notes["frames"] == 6
        assert notes["pseudo_labels"] == second.pseudo_labels
        asked = {ref for number in (0, 1) for ref in campaign.record.queried_in(number)}
        file = json.loads(campaign.pseudo_labels(1).read_text())
        used = {FrameRef(each["clip"], each["frame"]) for each in file["of"]}
        assert len(used) == 3
        assert not used & asked
        clips = campaign.clips(plan_round(campaign).engines)
        for ref in used:  # it may be asked for in the next round
            states = campaign.record.states(clips[ref.clip])
            assert not (states.labelled | states.queried | states.skipped)[ref.index]
            near = [o for o in used | asked if o.clip == ref.clip and o != ref]
            assert all(abs(o.index - ref.index) > LOOSE["spacing"] for o in near)


def test_most_of_the_pseudo_labels_of_a_good_detector_are_right(taught):
    folder, _ = taught
    with open_campaign(folder, lock=False) as campaign:
        judged = judged_pseudo_labels(
            read_pseudo_labels(campaign.pseudo_labels(1)), truth(campaign)
        )
    assert judged["right"] > 0.6 * judged["boxes"]


def test_the_same_record_gives_the_same_pseudo_labels_and_stricter_rules_fewer(taught):
    folder, _ = taught
    with open_campaign(folder) as campaign:
        clips = campaign.clips(plan_round(campaign).engines)
        teaching = Teaching(plan_teacher, plan_round(campaign).engines, Quiet())

        def chosen(**changes):
            training = {"pseudo_labels": {**LOOSE, **changes}}
            changed = replace(campaign, config=campaign.config.changed(training=training))
            return choose_pseudo_labels(changed, clips, 1, teaching)

        before = campaign.pseudo_labels(1).read_text()
        again = chosen()
        write_pseudo_labels(folder / "again.json", again)
        assert (folder / "again.json").read_text() == before
        none = chosen(confidence=1.0)
        assert none.summary()["frames"] == none.summary()["boxes"] == 0
        assert chosen(run=9).summary()["boxes"] <= again.summary()["boxes"]


def test_a_model_that_is_gone_is_fitted_anew_to_the_same_weights(taught):
    folder, _ = taught
    with open_campaign(folder) as campaign:
        before = campaign.model(1).read_bytes()
        campaign.model(1).unlink()
        trained = train_campaign(campaign, watcher=Quiet())
        assert trained.again
        assert campaign.model(1).read_bytes() == before


def test_frames_that_were_asked_for_and_refused_get_no_pseudo_labels(taught, tmp_path):
    shutil.copytree(taught[0], tmp_path / "w")
    with open_campaign(tmp_path / "w") as campaign:
        engines = plan_round(campaign).engines
        every = {**LOOSE, "ratio": 100.0, "spacing": 0}
        changed = campaign.config.changed(
            training={"pseudo_labels": every}, selection={"budget": "6"}
        )
        campaign = replace(campaign, config=changed)
        clips = campaign.clips(engines)
        select_round(
            campaign, plan_round(campaign).plan, clips, engines=engines, watcher=Quiet(),
            write=lambda *_: None,
        )  # fmt: skip
        refused = set(campaign.record.waiting())
        answer_round(campaign, TruthOracle(truth(campaign)), skipped=refused)
        teaching = Teaching(plan_teacher, engines, Quiet())
        before, after = (
            set(choose_pseudo_labels(campaign, clips, number, teaching).refs) for number in (1, 2)
        )
    assert refused & before  # they are of use, and round 1 does not know of round 2
    assert not refused & after
    assert after


def test_without_being_asked_for_there_are_none_and_options_are_written_out(scenes):
    plain = parse_config(values(scenes), "x")
    assert plain.training.pseudo_labels is None
    assert "pseudo_labels: null" in dump_config(plain)
    default = parse_config(values(scenes, pseudo_labels=True), "x")
    assert default == parse_config(values(scenes, pseudo_labels={}), "x")
    assert parse_config(values(scenes, pseudo_labels=False), "x") == plain
    assert default.changed(seed=0) == default
    assert default.training.pseudo_labels.run == 3
    with pytest.raises(UsageError, match="'confidense'"):
        parse_config(values(scenes, pseudo_labels={"confidense": 1}), "x")
    with pytest.raises(UsageError, match="run"):
        parse_config(values(scenes, pseudo_labels={"run": 0}), "x")
    with pytest.raises(UsageError):
        parse_config(values(scenes, pseudo_labels="loose"), "x")
