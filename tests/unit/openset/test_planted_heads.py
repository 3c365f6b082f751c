"""LfOSA, EOAL, EAOA and E2OAL on detections of which it is known who is unknown."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.openset.taught import OPTIONS, K, a_problem, picks_of, taught
from vidal.assemble import STRATEGIES
from vidal.heads.trunk import RegionTrunk
from vidal.openset.detector import now_and_then
from vidal.openset.purity import energy
from vidal.query.options import build
from vidal.query.uncertainty import entropy
from vidal.types import BACKGROUND

NAMES = ("lfosa", "eoal", "eaoa", "e2oal")
BUDGET = 20
BRIEF = replace(OPTIONS, epochs=1, least_steps=15)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, 1])
def test_asks_for_known_objects_where_entropy_asks_for_unknown_ones(name, seed):
    pool, unknown = a_problem(seed, 600)
    share = {
        each: float((~unknown[picks_of(each, pool, BUDGET)]).mean()) for each in ("entropy", name)
    }
    assert share["entropy"] <= 0.1
    assert share[name] >= 0.85
    assert share[name] > (~unknown).mean() + 0.3


@pytest.mark.parametrize("name", ["eaoa", "e2oal"])
def test_asks_for_less_certain_known_objects_than_certainty_does(name):
    pool, unknown = a_problem(1, 600)
    unsure = entropy(pool.regions.probs)
    sure, own = (picks_of(each, pool, BUDGET) for each in ("certainty", name))
    assert (~unknown[own]).mean() >= (~unknown[sure]).mean()
    assert unsure[own].mean() > 2 * unsure[sure].mean()


@pytest.mark.parametrize("name", NAMES)
def test_learns_where_a_class_a_kind_of_unknown_or_the_background_is_missing(name):
    for labelled in ((20, 0, 10, 0, 5), (10, 10, 0, 0, 0), (1, 0, 0, 0, 0), (0, 0, 3, 0, 2)):
        pool, _ = a_problem(2, 40, labelled)
        assert len(picks_of(name, pool, 5, training=BRIEF)) == 5


def test_e2oal_classifies_by_the_known_columns_of_its_auxiliary_head():
    pool, _ = a_problem(0, 200)
    made = build(STRATEGIES["e2oal"], {})
    trunk = RegionTrunk(pool.items, pool.regions.features, pool.regions.probs, OPTIONS)
    found = made.learn(trunk, 1)
    looked = trunk.look(found.network, "labelled")
    assert looked.outputs["auxiliary"].shape[1] > K + 1
    probs = found.known_probs(looked.outputs)
    assert probs.shape == (90, K)
    np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-5)
    mine = (pool.items.answers != BACKGROUND) & (pool.items.answers < K)
    assert (probs.argmax(axis=1) == pool.items.answers)[mine].mean() > 0.95


def test_eoal_makes_no_distance_before_an_unknown_object_is_labelled():
    pool, _ = a_problem(0, 40, (5, 5, 0, 0, 2))
    found = taught(pool, STRATEGIES["eoal"](), options=BRIEF)
    assert (found.regions.column("eoal.distance") == 0).all()
    both = taught(a_problem(0, 40, (5, 5, 4, 4, 2))[0], STRATEGIES["eoal"](), options=BRIEF)
    assert (both.regions.column("eoal.distance") > 0).all()


def test_eaoa_gives_no_vote_to_the_background_and_one_of_ten_items_at_most_a_vote_each():
    pool, _ = a_problem(0, 60, (5, 4, 3, 0, 7))
    votes = taught(pool, STRATEGIES["eaoa"](), options=BRIEF).regions.column("eaoa.votes")
    assert votes.sum(axis=0).tolist() == [30, 24, 18]


@pytest.mark.parametrize("margins", ["paper", "auto"])
def test_eaoa_pushes_energies_of_known_objects_down_and_of_unknown_ones_up(margins):
    pool, unknown = a_problem(0, 100)
    gaps = []
    for weight in (0.0, 0.3):
        options = {"known_margin": -20, "unknown_margin": -2, "margins": margins}
        made = build(STRATEGIES["eaoa"], {"energy_weight": weight, **options})
        known = energy(taught(pool, made).regions.column("eaoa.logits")[:, :K])
        gaps.append(known[~unknown].mean() - known[unknown].mean())
    assert gaps[1] > gaps[0] + 1


def test_importing_the_methods_costs_no_torch():
    names = ", ".join(f"vidal.openset.{name}" for name in NAMES)
    code = f"import sys, {names}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_centres_and_margins_are_made_anew_every_epoch_but_some_fifty_times_at_most():
    pool, _ = a_problem(0, 10)
    rows = np.arange(90)
    for epochs, least, wanted in ((5, 1, 5), (40, 1, 40), (1, 1000, 50)):
        options = replace(OPTIONS, epochs=epochs, least_steps=least)
        trunk = RegionTrunk(pool.items, pool.regions.features, pool.regions.probs, options)
        due, course = now_and_then(trunk, rows), trunk.course(90)
        assert sum(due(epoch) for epoch in range(course.steps // course.epoch)) == wanted
