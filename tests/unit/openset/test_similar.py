"""SIMILAR: Kothawade, Beck, Killamsetty and Iyer, NeurIPS 2021."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.openset.planted import image_pool, share_of_known
from vidal.errors import UsageError
from vidal.openset.similar import (
    clipped_kernel,
    flcmi_gains,
    flcmi_value,
    gainful,
    gradient_similarity,
    lazy_greedy,
    logdet_cmi,
)
from vidal.openset.similar_picks import Compared, Residual, Similar

SEEDS = st.integers(0, 2**32 - 1)


def kernels(seed, n=7, q=3, p=2):
    """Similarities of n items, q wanted and p unwanted ones: cosines, which are signed."""
    rows = np.random.default_rng(seed).normal(size=(n + q + p, 4))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows @ rows.T, slice(0, n), slice(n, n + q), slice(n + q, n + q + p)


def test_the_similarity_is_the_cosine_of_gradients_with_a_bias():
    rng = np.random.default_rng(0)
    q, f, r, g = (rng.normal(size=shape) for shape in ((4, 3), (4, 2), (5, 3), (5, 2)))

    def gradient(errors, features):
        wide = np.concatenate([features, np.ones((len(features), 1))], axis=1)
        return np.einsum("nc,nd->ncd", errors, wide).reshape(len(errors), -1)

    a, b = gradient(q, f), gradient(r, g)
    cosine = a @ b.T / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(gradient_similarity(q, f, r, g), cosine)
    q[2] = 0
    assert (gradient_similarity(q, f, r, g)[2] == 0).all()
    assert gradient_similarity(q[:0], f[:0], r, g).shape == (0, 5)
    with pytest.raises(ValueError, match="not finite"):
        gradient_similarity(q * np.nan, f, r, g)
    with pytest.raises(ValueError, match="other numbers"):
        gradient_similarity(q, f, r[:, :2], g)


def test_a_kernel_is_cut_off_by_what_is_wanted_and_what_is_not():
    kernel = np.array([[1.0, -0.5], [0.3, 1.0]])
    query, private = np.array([[0.6, 0.2], [0.4, 0.9]]), np.array([[0.1], [0.2]])
    found = clipped_kernel(kernel, query, private, eta=0.5, nu=2)
    np.testing.assert_allclose(found, [[0.3 - 0.2, 0], [0, 0.45 - 0.4]])
    np.testing.assert_allclose(clipped_kernel(kernel, None, private), [[0.9, 0], [0.1, 0.8]])
    np.testing.assert_allclose(clipped_kernel(kernel, None, None), [[1, 0], [0.3, 1]])
    nothing = np.zeros((2, 0))
    assert (clipped_kernel(kernel, nothing, None) == 0).all()
    np.testing.assert_allclose(clipped_kernel(kernel, None, nothing), [[1, 0], [0.3, 1]])
    with pytest.raises(ValueError, match="not square"):
        clipped_kernel(np.zeros((2, 3)), None, None)


@given(SEEDS, st.integers(0, 7))
def test_flcmi_is_what_facility_locations_say_of_each_other(seed, count):
    """I(A; Q | P) = f(A+P) + f(Q+P) - f(A+Q+P) - f(P), f(S) = sum_i max(0, max over S of s_ij)."""
    s, own, query, private = kernels(seed)
    chosen = np.random.default_rng(seed).permutation(7)[:count]

    def f(*columns):
        return np.maximum(0, np.concatenate(columns, axis=1).max(axis=1, initial=0)).sum()

    a, q, p = s[own][:, chosen], s[own, query], s[own, private]
    expected = f(a, p) + f(q, p) - f(a, q, p) - f(p)
    clean = np.maximum(s, 0)
    value = flcmi_value(clean[own, own], clean[own, query], clean[own, private], chosen)
    np.testing.assert_allclose(value, expected, atol=1e-12)


@given(SEEDS, st.floats(0.2, 2), st.floats(0, 2))
def test_gains_are_differences_of_values_and_the_objective_is_monotone(seed, eta, nu):
    s, own, query, private = kernels(seed)
    args = s[own, own], s[own, query], s[own, private]
    chosen = np.array([2, 5])
    gains = flcmi_gains(*args, chosen, eta, nu)
    before = flcmi_value(*args, chosen, eta, nu)
    for j in range(7):
        after = flcmi_value(*args, np.append(chosen, j), eta, nu)
        np.testing.assert_allclose(gains[j], after - before, atol=1e-12)
    assert (gains >= 0).all()
    assert gains[2] == 0
    mask = np.isin(np.arange(7), chosen)
    np.testing.assert_array_equal(flcmi_gains(*args, mask, eta, nu), gains)


@given(SEEDS)
def test_without_unwanted_items_flcg_is_facility_location_that_starts_from_0(seed):
    s, own, _, private = kernels(seed)
    chosen = np.array([1, 3, 4])
    location = np.maximum(0, s[own, own][:, chosen].max(axis=1)).sum()
    np.testing.assert_allclose(flcmi_value(s[own, own], None, None, chosen), location)
    np.testing.assert_allclose(
        flcmi_value(s[own, own], None, s[own, private], chosen, nu=0), location
    )


def plain_greedy(kernel, budget):
    covered, picks = np.zeros(len(kernel)), []
    for _ in range(budget):
        gains = np.maximum(kernel.T - covered, 0).sum(axis=1)
        gains[picks] = -1
        if gains.max() <= 0:
            break
        picks.append(int(gains.argmax()))
        covered = np.maximum(covered, kernel[:, picks[-1]])
    return picks


@given(SEEDS, st.integers(0, 12), st.booleans())
def test_lazy_picks_are_those_of_the_plain_greedy_rule(seed, budget, whole_numbers):
    rng = np.random.default_rng(seed)
    kernel = rng.random((10, 10))
    if whole_numbers:  # many ties
        kernel = np.floor(3 * kernel)
    picks = plain_greedy(kernel, budget)
    assert gainful(kernel, budget).tolist() == picks
    rest = [j for j in range(10) if j not in picks]
    assert lazy_greedy(kernel, budget).tolist() == [*picks, *rest][:budget]


def test_when_nothing_is_gained_any_more_relevance_decides_and_ties_go_to_the_lower_position():
    kernel = np.array([[2.0, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    assert lazy_greedy(kernel, 4, np.array([0.0, 1, 3, 3])).tolist() == [0, 2, 3, 1]
    assert lazy_greedy(kernel, 9).tolist() == [0, 1, 2, 3]
    assert lazy_greedy(np.zeros((0, 0)), 3).tolist() == []
    assert lazy_greedy(kernel, 0).tolist() == []
    assert lazy_greedy(np.array([[1, 0], [0, 2]]), 1).tolist() == [1]
    for bad in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="below 0 or not finite"):
            lazy_greedy(np.array([[bad]]), 1)
    with pytest.raises(ValueError, match="relevance of 2"):
        lazy_greedy(np.eye(3), 1, np.zeros(2))


@given(SEEDS, st.floats(0.3, 1), st.floats(0.3, 1))
def test_logdet_cmi_is_a_ratio_of_determinants_of_schur_complements(seed, eta, nu):
    s, own, query, private = kernels(seed)
    chosen = np.array([0, 4, 6])
    found = logdet_cmi(
        s[own, own],
        s[own, query],
        s[own, private],
        s[query, query],
        s[private, private],
        s[query, private],
        chosen,
        eta,
        nu,
    )
    scaled = s.copy()
    for side, weight in ((query, eta), (private, nu)):
        scaled[own, side] *= weight
        scaled[side, own] *= weight
    scaled += np.eye(len(s))
    q, p = np.arange(len(s))[query], np.arange(len(s))[private]

    def schur(given):
        inner = np.linalg.inv(scaled[np.ix_(given, given)])
        cross = scaled[np.ix_(q, given)]
        return np.linalg.slogdet(scaled[np.ix_(q, q)] - cross @ inner @ cross.T)[1]

    np.testing.assert_allclose(found, schur(p) - schur(np.concatenate([chosen, p])), atol=1e-9)


def test_logdet_cmi_of_nothing_chosen_or_nothing_wanted_is_0_and_p_may_be_empty():
    s, own, query, private = kernels(3)
    rest = s[query, query], s[private, private], s[query, private]
    assert logdet_cmi(s[own, own], s[own, query], s[own, private], *rest, np.zeros(0)) == 0
    without = logdet_cmi(s[own, own], s[own, query], None, rest[0], None, None, np.array([1]))
    hollow = np.zeros((7, 0)), rest[0], np.zeros((0, 0)), np.zeros((3, 0))
    assert logdet_cmi(s[own, own], s[own, query], *hollow, np.array([1])) == pytest.approx(without)
    assert without > 0
    with pytest.raises(ValueError, match="positive definite"):
        logdet_cmi(-9 * s[own, own], s[own, query], None, rest[0], None, None, np.array([1]))


def planted(rng, n=120, repeats=1):
    """Doubtful unknown images beside known ones, each of which is there ``repeats`` times."""
    classes = np.arange(n) % 3
    known = np.zeros((n, 6))
    known[np.arange(n), classes] = 3
    known += rng.normal(0, 1, known.shape)
    known[:] = np.repeat(known[::repeats], repeats, axis=0)[:n]
    unknown = np.zeros((n, 6))
    unknown[np.arange(n), 3 + classes] = 5
    unknown += rng.normal(0, 1, unknown.shape)
    labelled = np.repeat(np.arange(6), 10)
    base = np.eye(6)[labelled] * np.where(labelled < 3, 3, 5)[:, None] + rng.normal(0, 1, (60, 6))
    weight = np.eye(6)[:, :3]
    pool = image_pool(np.concatenate([known, unknown]), base, np.minimum(labelled, 3), weight)
    return pool, np.repeat([False, True], n)


@pytest.mark.parametrize("function", ["flcmi", "logdetcmi"])
def test_it_asks_for_known_images_where_covering_alone_does_not(function):
    pool, unknown = planted(np.random.default_rng(5))
    mine = share_of_known("similar", pool, unknown, 40, function=function)
    assert mine > 0.9
    for name in ("random", "badge", "kcenter"):
        assert mine > share_of_known(name, pool, unknown, 40) + 0.25, name


def test_conditional_gain_keeps_away_from_unknown_images_without_knowing_what_is_wanted():
    pool, unknown = planted(np.random.default_rng(5))
    mine = share_of_known("similar", pool, unknown, 40, function="flcg")
    assert mine > share_of_known("random", pool, unknown, 40) + 0.2


@pytest.mark.parametrize("function", ["flcmi", "flcg"])
def test_on_images_the_picks_are_those_of_the_pure_functions(function):
    pool, _ = planted(np.random.default_rng(6), n=30)
    pool = replace(pool, items=pool.items.keep(np.arange(60) % 7 < 5))
    strategy = Similar(function=function, eta=0.9, nu=1.1, gap=0)
    compared = Compared.of(pool, np.float64)

    def alike(a, b):
        return (a[0] @ b[0].T) * (a[1] @ b[1].T)

    query = alike(compared.pool, compared.query)
    private = alike(compared.pool, compared.private)
    kernel = clipped_kernel(
        alike(compared.pool, compared.pool),
        query if function == "flcmi" else None,
        private,
        0.9,
        1.1,
    )
    relevance = 0.9 * query.max(axis=1) - 1.1 * private.max(axis=1)
    picks = strategy.select(pool, 40, np.random.default_rng(0))
    covered, gainless = np.zeros(60), []
    for j in picks:
        gains = np.maximum(kernel - covered[:, None], 0).sum(axis=0)
        if gains.max() < 1e-9:
            gainless.append(j)
        else:
            assert gains[j] > gains.max() - 1e-9  # equals in random order
        covered = np.maximum(covered, kernel[:, j])
    assert (np.diff(relevance[gainless]) <= 1e-12).all()
    assert bool(gainless) == (function == "flcmi")


def test_gradients_are_of_the_right_class_where_it_is_known_and_else_of_the_likeliest():
    pool, _ = planted(np.random.default_rng(6), n=30)
    compared, items = Compared.of(pool, np.float64), pool.items
    guesses = items.probs[:, :3].argmax(axis=1)
    errors = items.probs[:, :3] - np.eye(3)[np.where(items.answers < 3, items.answers, guesses)]
    own = pool.regions.probs[:, :3].astype(np.float64)
    own -= np.eye(3)[own.argmax(axis=1)]
    expected = gradient_similarity(own, pool.regions.features, errors, items.features)
    wanted, which, unwanted = compared.likeness(np.arange(60))
    np.testing.assert_allclose(wanted, expected[:, items.answers < 3].max(axis=1), atol=1e-5)
    np.testing.assert_allclose(unwanted, expected[:, items.answers == 3].max(axis=1), atol=1e-5)
    np.testing.assert_array_equal(which, expected[:, items.answers < 3].argmax(axis=1))


def test_with_one_class_features_alone_are_compared():
    rows = np.random.default_rng(0).normal(size=(4, 3))
    pool = image_pool(rows, rows[:2], np.array([0, 1]), np.ones((3, 1)))
    wanted, _, unwanted = Compared.of(pool, np.float64).likeness(np.arange(4))
    assert wanted[0] == pytest.approx(1, abs=1e-4)
    assert unwanted[1] == pytest.approx(1, abs=1e-4)
    assert wanted[3] < 0.99


def test_logdet_picks_gain_most_one_by_one():
    pool, _ = planted(np.random.default_rng(6), n=8)
    pool = replace(pool, items=pool.items.keep(np.arange(60) % 9 == 0))
    compared = Compared.of(pool, np.float64)
    everything = [
        np.concatenate(each)
        for each in zip(compared.pool, compared.query, compared.private, strict=True)
    ]
    s = (everything[0] @ everything[0].T) * (everything[1] @ everything[1].T)
    n, q = 16, len(compared.query[0])
    own, query, private = slice(0, n), slice(n, n + q), slice(n + q, None)

    def value(chosen):
        return logdet_cmi(
            s[own, own],
            s[own, query],
            s[own, private],
            s[query, query],
            s[private, private],
            s[query, private],
            np.array(chosen),
        )

    expected = []
    for _ in range(5):
        left = [j for j in range(n) if j not in expected]
        expected.append(max(left, key=lambda j: value([*expected, j])))
    picks = Similar(function="logdetcmi", gap=0).select(pool, 5, np.random.default_rng(0))
    assert picks.tolist() == expected


def test_a_residual_is_the_diagonal_of_a_schur_complement():
    rows = np.random.default_rng(0).normal(size=(6, 3))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    ones = np.ones((6, 1))
    s = rows @ rows.T
    residual = Residual.of((rows[4:], ones[4:]), s[4:, :4])
    residual.add(1, s[1, :4])
    whole = s + np.eye(6)
    given = [1, 4, 5]
    inner = np.linalg.inv(whole[np.ix_(given, given)])
    for j in (0, 2, 3):
        expected = whole[j, j] - whole[j, given] @ inner @ whole[given, j]
        assert residual.left[j] == pytest.approx(expected)


def test_a_divided_pool_gives_as_many_of_every_part_and_few_that_are_unknown():
    pool, unknown = planted(np.random.default_rng(7))
    for function in ("flcmi", "logdetcmi"):
        options = {"part": 50, "function": function}
        assert share_of_known("similar", pool, unknown, 40, **options) > 0.9
    assert len(Similar(part=1, gap=0).select(pool, 240, np.random.default_rng(0))) == 240


def test_copies_are_not_asked_for_before_other_images():
    pool, _ = planted(np.random.default_rng(8), repeats=6)
    picks = Similar(function="flcg", gap=0).select(pool, 15, np.random.default_rng(0))
    rows = pool.regions.features[picks[picks < 120]]
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_reasons_name_what_a_detection_resembles_and_say_where_nothing_is_known():
    pool, _ = planted(np.random.default_rng(5))
    words = Similar().explain(pool, np.arange(3)).words
    assert "like a labelled class-" in words[0]
    assert "like an unknown object" in words[0]
    first = replace(pool, items=pool.items.keep(pool.items.answers < 3))
    assert "unknown" not in Similar().explain(first, np.arange(1)).words[0]
    none = replace(pool, items=pool.items.keep(pool.items.answers == 3))
    assert "no labelled object of the classes" in Similar().explain(none, np.arange(1)).words[0]
    for function in ("flcmi", "logdetcmi"):
        picks = Similar(function=function, gap=0).select(none, 30, np.random.default_rng(0))
        assert (picks < 120).mean() > 0.8  # the least like unknown ones


def test_without_labels_only_the_conditional_gain_has_something_to_say():
    assert "labels" in Similar().needs
    assert "labels" not in Similar(function="flcg").needs


@pytest.mark.parametrize("options", [{"part": 0}, {"eta": -1.0}, {"nu": -0.1}])
def test_options_that_cannot_be_meant_are_refused(options):
    with pytest.raises(UsageError):
        Similar(**options)
