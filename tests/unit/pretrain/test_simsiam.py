"""SimSiam's loss and the measure of collapse, in NumPy alone."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidal.pretrain.simsiam import healthy_std, simsiam_loss, spread, unit, unit_std

ONE = np.array([[3.0, 4.0]])
OTHER = np.array([[4.0, -3.0]])


def four(seed, rows=6, width=5, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(rows, width)).astype(dtype) for _ in range(4)]


def test_views_that_predict_each_other_exactly_have_loss_minus_one_and_opposites_one():
    assert simsiam_loss(ONE, ONE, ONE, 7 * ONE) == pytest.approx(-1)
    assert simsiam_loss(ONE, ONE, -ONE, -ONE) == pytest.approx(1)
    assert simsiam_loss(ONE, ONE, OTHER, OTHER) == pytest.approx(0)


def test_a_prediction_is_compared_with_the_other_views_projection():
    """p1 with z2 is 0.96, p2 with z1 is 0; p1 with z1 would be 1."""
    z2 = np.array([[4.0, 3.0]])
    assert simsiam_loss(ONE, ONE, OTHER, z2) == pytest.approx(-0.48)


def test_the_loss_is_the_mean_over_rows_and_of_nothing_it_is_0():
    rows = [np.concatenate([ONE, ONE]), np.concatenate([ONE, ONE])]
    second = np.concatenate([ONE, OTHER])
    assert simsiam_loss(rows[0], rows[1], second, second) == pytest.approx(-0.5)
    assert simsiam_loss(*(np.zeros((0, 3)) for _ in range(4))) == 0.0


def test_a_vector_without_direction_has_cosine_0_with_anything():
    zero = np.zeros((1, 2))
    assert simsiam_loss(zero, zero, ONE, ONE) == 0.0


def test_very_long_and_very_short_vectors_have_directions():
    for scale in (1e-9, 1e30, 1e200):
        assert simsiam_loss(scale * ONE, scale * ONE, ONE, ONE) == pytest.approx(-1)


def test_single_precision_gives_the_same_within_its_precision():
    wide, narrow = four(0), four(0, dtype=np.float32)
    assert simsiam_loss(*narrow) == pytest.approx(simsiam_loss(*wide), abs=1e-6)


def test_arrays_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match="four arrays"):
        simsiam_loss(ONE, ONE, ONE, np.zeros((2, 2)))
    with pytest.raises(ValueError, match="four arrays"):
        simsiam_loss(*(np.zeros(3) for _ in range(4)))


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 4))
def test_it_stays_within_its_range_and_knows_no_order_of_rows_or_views(seed, rows, width):
    p1, z1, p2, z2 = four(seed, rows, width)
    loss = simsiam_loss(p1, z1, p2, z2)
    assert -1 <= loss <= 1
    order = np.random.default_rng(seed).permutation(rows)
    assert simsiam_loss(*(each[order] for each in (p1, z1, p2, z2))) == pytest.approx(loss)
    assert simsiam_loss(p2, z2, p1, z1) == pytest.approx(loss)
    assert simsiam_loss(3 * p1, z1, p2, 0.1 * z2) == pytest.approx(loss)


def test_directions_spread_evenly_are_healthy_and_one_direction_is_collapse():
    rng = np.random.default_rng(0)
    assert spread(unit_std(rng.normal(size=(4000, 16))), 16) == pytest.approx(1, abs=0.03)
    same = np.tile(rng.normal(size=16), (50, 1)) * rng.uniform(1, 9, (50, 1))
    assert unit_std(same) == pytest.approx(0, abs=1e-12)
    assert unit_std(np.zeros((5, 16))) == unit_std(np.zeros((0, 16))) == 0.0
    assert healthy_std(16) == 0.25


def test_unit_vectors_have_length_one():
    assert np.allclose(np.linalg.norm(unit(np.array([[3.0, 4.0], [0.0, -2.0]])), axis=1), 1)


def test_the_formulas_need_no_torch():
    code = "import sys, vidal.pretrain.simsiam, vidal.pretrain.probe; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
