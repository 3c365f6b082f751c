"""What makes columns that nobody stores, and what it refuses."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vidal.detect.spec import DetectorSpec
from vidal.errors import EvidenceMissing
from vidal.evidence.given import GivenDetections
from vidal.selection.trained import HEAD_COLUMNS, Trainer
from vidal.types import BACKGROUND, FrameSet, Items, Pool, Regions

NONE = np.zeros(0, np.int64)
HEADS = frozenset({"regions", "features", "labelled", "heads"})
SPEC = DetectorSpec("scenes-tiny", device="cpu")


def a_pool(answers=(0, 0, 1, 1, BACKGROUND, BACKGROUND), n=5, **columns):
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(3), n)
    m = len(answers)
    return Pool(
        FrameSet(("a",), np.zeros(n, np.int64), np.arange(n)),
        ("car", "cyclist"),
        FrameSet(("a",), NONE, NONE),
        regions=Regions(
            np.arange(n),
            np.tile([0, 0, 1, 1], (n, 1)),
            probs.max(axis=1),
            probs[:, :2].argmax(axis=1),
            probs,
            rng.normal(size=(n, 4)),
            columns,
        ),
        items=Items(rng.normal(size=(m, 4)), np.full((m, 3), 1 / 3), answers),
    )


def trainer(*needs, **more):
    given = {"detector": SPEC, "seed": 1, "number": 0} | more
    return Trainer("mine", frozenset(needs), **given)


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    """Trainings of a few steps: what is made is looked at, not how well."""
    from vidal.heads import options

    monkeypatch.setattr(
        options.HeadOptions.__init__,
        "__defaults__",
        (8, 0.3, 1, 64, 6, 5e-3, 1e-4, 3, 2, 4, 2),
    )
    monkeypatch.setattr(options.VaalOptions.__init__, "__defaults__", (8, 4, 1.0, 1.0, 5e-4, 5, 8))


@pytest.mark.parametrize("name", HEAD_COLUMNS)
def test_heads_give_what_is_asked_for_and_nothing_else(name):
    shapes = {"passes": (5, 3, 3), "members": (5, 2, 3), "votes": (5, 4)}
    made = trainer(name, *HEADS).complete(a_pool()).regions
    assert set(made.columns) == {name}
    assert made.columns[name].shape == shapes.get(name, (5,))
    again = trainer(name, *HEADS).complete(a_pool()).regions
    np.testing.assert_array_equal(made.columns[name], again.columns[name])


def test_another_round_draws_other_numbers():
    one = trainer("passes", *HEADS).complete(a_pool()).regions.columns["passes"]
    two = trainer("passes", *HEADS, number=1).complete(a_pool()).regions.columns["passes"]
    assert not np.array_equal(one, two)


def test_nothing_is_trained_where_nobody_asks():
    pool = a_pool()
    assert trainer("regions", "features").complete(pool).regions.columns == {}
    bare = Pool(FrameSet(("a",), NONE, NONE), (), FrameSet(("a",), NONE, NONE))
    assert trainer().complete(bare) is bare


def test_logits_come_from_the_last_layer_of_the_detector():
    width = SPEC.load().class_layer()[0].shape
    pool = a_pool()
    regions = pool.regions
    wide = Regions(
        regions.pos,
        regions.boxes,
        regions.scores,
        regions.labels,
        regions.probs,
        np.zeros((5, width[0])),
    )
    found = trainer("regions", "features", "logits").complete(
        Pool(pool.frames, pool.classes, pool.labelled, regions=wide)
    )
    offset = SPEC.load().class_layer()[1]
    np.testing.assert_allclose(found.regions.columns["logits"], np.tile(offset, (5, 1)))


def test_labelled_detections_have_logits_and_the_layer_goes_with_the_pool():
    weight, offset = SPEC.load().class_layer()
    rng = np.random.default_rng(0)
    features = rng.normal(size=(5, len(weight)))
    pool = a_pool()
    labelled = Items(rng.normal(size=(6, len(weight))), pool.items.probs, pool.items.answers)
    pool = replace(pool, regions=replace(pool.regions, features=features), items=labelled)
    made = trainer("regions", "features", "labelled", "logits").complete(pool)
    np.testing.assert_allclose(
        made.items.column("logits"), labelled.features @ weight + offset, rtol=1e-4
    )
    assert made.layer is None
    made = trainer("regions", "features", "labelled", "layer").complete(pool)
    np.testing.assert_array_equal(made.layer[0], weight)
    np.testing.assert_array_equal(made.layer[1], offset)
    assert not made.items.columns
    none = replace(pool, items=Items(np.zeros((0, 0)), np.zeros((0, 3)), NONE))
    made = trainer("regions", "features", "labelled", "logits").complete(none)
    assert made.items.column("logits").shape == (0, weight.shape[1])


def test_on_video_frozen_features_are_those_of_the_detector():
    pool = a_pool()
    made = trainer("regions", "features", "labelled", "labels", "frozen").complete(pool)
    np.testing.assert_array_equal(made.regions.column("frozen"), pool.regions.features)
    np.testing.assert_array_equal(made.items.column("frozen"), pool.items.features)


@pytest.mark.parametrize("name", ["layer", "logits", "suppressed"])
def test_files_of_detections_have_no_last_layer(name):
    given = GivenDetections(Path("d.json"))
    with pytest.raises(EvidenceMissing, match="does not tell"):
        trainer("regions", name, detector=given).check(3)


@pytest.mark.parametrize(
    ("needs", "labelled", "why"),
    [
        ({"passes"}, 3, "no dropout layer"),
        ({"votes"}, 3, "no snapshots"),
        ({"members"}, 3, "no snapshots"),
        ({"passes", "heads"}, 0, "no frame is labelled"),
        ({"labels"}, 0, "no frame is labelled"),
    ],
)
def test_what_cannot_be_had_is_refused_before_any_work(needs, labelled, why):
    with pytest.raises(EvidenceMissing, match=why) as caught:
        trainer(*needs).check(labelled)
    assert caught.value.strategy == "mine"
    assert caught.value.hint


def test_what_can_be_had_is_not_refused():
    trainer("passes", *HEADS).check(1)
    trainer("votes", snapshots=True).check(0)
    trainer("logits", "suppressed", "regions").check(0)
    trainer("labelled", "features").check(0)


@pytest.mark.parametrize("name", ["logits", "suppressed"])
def test_files_of_detections_do_not_say_what_happened_inside_the_detector(name):
    with pytest.raises(EvidenceMissing) as caught:
        trainer(name, detector=GivenDetections(path=Path("x"))).check(5)
    assert caught.value.column == name


@pytest.mark.parametrize(
    ("answers", "name", "why"),
    [
        ((), "passes", "finds none on labelled frames"),
        ((0, 0), "passes", "all labelled detections are of one kind"),
        ((BACKGROUND,), "predicted_loss", "one kind"),
        ((2, 2, 1), "members", "one kind"),
    ],
)
def test_labels_that_teach_nothing_are_refused_when_that_is_known(answers, name, why):
    with pytest.raises(EvidenceMissing, match=why):
        trainer(name, *HEADS).complete(a_pool(answers))


def test_whether_something_looks_labelled_takes_one_kind_of_labels():
    made = trainer("labelledness", *HEADS).complete(a_pool((2, 2, 2))).regions
    assert made.columns["labelledness"].shape == (5,)


def test_a_column_that_a_detector_did_not_count_is_refused():
    with pytest.raises(EvidenceMissing, match="how many boxes"):
        trainer("suppressed").complete(a_pool())
    kept = a_pool(suppressed=np.ones(5, np.int64))
    assert trainer("suppressed").complete(kept).regions.columns["suppressed"].tolist() == [1] * 5
