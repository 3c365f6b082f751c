"""No strategy but the oracles of a simulation can see the labels of frames that are not labelled.

The same selection is run with two different truths: every entry of ``STRATEGIES`` has to make the
same query, whether it is run as a campaign would run it or handed a truth by mistake, and the
oracles different ones. A truth that raises when it is touched shows that nobody else reads it.
"""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from vidal.assemble import ORACLES, STRATEGIES, build_oracle, build_strategy
from vidal.assemble.simulation import SimulationPlan
from vidal.campaign.config import parse_config
from vidal.campaign.oracle import only
from vidal.evidence.places import Engines
from vidal.selection.pool import PoolClip, build_pool
from vidal.selection.trained import ONLY_IMAGES, Trainer
from vidal.testing.pools import completed
from vidal.types import Annotations, Clip, Detections, ErrorEstimate

CLASSES = ("car", "pedestrian")
FRAMES = 60
LABELLED = 12
"""The first frames, whose labels everybody knows."""


def a_part(seed=0):
    """A clip of which a third of the detections is thought to be false."""
    rng = np.random.default_rng(seed)
    n = FRAMES * 2
    probs = rng.dirichlet(np.ones(3), n).astype(np.float32)
    frame = np.repeat(np.arange(FRAMES), 2)
    detections = Detections(
        classes=CLASSES,
        scanned=np.ones(FRAMES, bool),
        frame=frame,
        boxes=np.tile([0, 0, 10, 10], (n, 1)) + 20 * rng.integers(0, 4, (n, 1)),
        scores=rng.uniform(0.5, 1, n),
        labels=probs[:, :2].argmax(axis=1),
        probs=probs,
        features=rng.normal(size=(n, 4)),
        embedding=rng.normal(size=(FRAMES, 4)),
        suppressed=rng.integers(1, 9, n),
    )
    missed = np.sort(rng.integers(0, FRAMES, 20))
    estimate = ErrorEstimate(
        rows=np.arange(n),
        false_positive=rng.random(n) < 0.3,
        false_positive_confidence=np.ones(n),
        missed_frame=missed,
        missed_boxes=np.tile([0, 0, 5, 5], (20, 1)),
        missed_label=rng.integers(0, 2, 20),
        missed=np.ones(20, bool),
        missed_confidence=np.ones(20),
        energy=1.0,
        link_share=1.0,
    )
    clip = Clip("a", Path("a"), np.arange(FRAMES), Fraction(1, 25), Fraction(25), (100, 100))
    labelled = np.arange(FRAMES) < LABELLED
    return PoolClip(
        clip,
        ~labelled,
        labelled,
        detections,
        estimate,
        annotations=only(a_truth(0)["a"], range(LABELLED)),
        row_columns=trained(rng, n),
    )


def trained(rng, n):
    """What is made of features, of states of the detector and of labels before the query."""
    return {
        "passes": rng.dirichlet(np.ones(3), (n, 4)).astype(np.float32),
        "members": rng.dirichlet(np.ones(3), (n, 4)).astype(np.float32),
        "votes": rng.integers(0, 3, (n, 5)),
        "predicted_loss": rng.normal(size=n),
        "labelledness": rng.random(n),
        "logits": rng.normal(size=(n, 2)),
    }


def a_truth(seed):
    rng = np.random.default_rng(seed)
    n = FRAMES * 2
    return {
        "a": Annotations(
            classes=CLASSES,
            labelled=np.ones(FRAMES, bool),
            frame=np.sort(rng.integers(0, FRAMES, n)),
            boxes=np.tile([0, 0, 10, 10], (n, 1)) + 20 * rng.integers(0, 4, (n, 1)),
            labels=rng.integers(0, 2, n),
            track=np.full(n, -1),
            ignore=np.zeros(n, bool),
        )
    }


LAST_LAYER = SimpleNamespace(
    load=lambda: SimpleNamespace(
        class_layer=lambda: (np.eye(4, 2, dtype=np.float32), np.zeros(2, np.float32))
    )
)
"""A detector that tells its last layer."""


class Forbidden(Mapping):
    """A truth that nobody may look at."""

    def __getitem__(self, key):
        raise AssertionError(f"the truth of {key} was read")

    def __iter__(self):
        raise AssertionError("the truth was read")

    def __len__(self):
        raise AssertionError("the truth was read")


def a_pool(selector, truth):
    needs = selector.needs
    made = build_pool([a_part()], classes=CLASSES, needs=needs, threshold=0.5, truth=truth)
    behind = needs & {"layer", "logits", "frozen"}  # what follows from stored features
    return completed(Trainer("x", behind, LAST_LAYER, 0, 1).complete(made), selector)


def query(selector, truth):
    return selector.select(a_pool(selector, truth), 8, np.random.default_rng(3)).tolist()


ON_VIDEO = sorted(
    name for name in STRATEGIES if not build_strategy(name, gap=2, options={}).needs & ONLY_IMAGES
)
"""The others are refused on video before there is a pool."""


@pytest.fixture(params=ON_VIDEO)
def selector(request):
    return build_strategy(request.param, gap=2, options={})


def test_oracles_and_strategies_are_different_tables():
    assert not set(ORACLES) & set(STRATEGIES)
    assert set(ORACLES) == {"oracle-fp", "oracle-fn", "oracle-errors"}


def test_no_strategy_states_that_it_needs_truth(selector):
    assert not {name for name in selector.needs if "truth" in name}


def test_a_strategy_gets_no_column_of_truth_even_if_one_is_handed_in(selector):
    pool = a_pool(selector, Forbidden())
    assert set(pool.columns) <= selector.needs
    assert "truth_errors" not in pool.columns


def test_two_truths_give_one_query(selector):
    without = query(selector, None)
    assert query(selector, a_truth(1)) == query(selector, a_truth(2)) == without
    assert without == query(selector, Forbidden())


@pytest.mark.parametrize("name", sorted(ORACLES))
def test_two_truths_give_an_oracle_two_queries(name):
    oracle = build_oracle(name, gap=2)
    assert query(oracle, a_truth(1)) != query(oracle, a_truth(2))


def test_a_simulation_hands_truth_to_the_oracles_alone(tmp_path):
    config = parse_config({"data": {"videos": "clips"}}, "test")
    names = (*STRATEGIES, *ORACLES)
    plan = SimulationPlan(config, names, (0,), 2, tmp_path, Engines(), all_data=True)
    with_truth = {name for name in (*names, "initial", "all-data") if plan.job(name, 0).truth}
    assert with_truth == set(ORACLES)
