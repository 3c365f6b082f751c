"""NaN is refused by the formulas themselves, not handed on."""

import numpy as np
import pytest

from vidal.openset import bual, ccal, dias, mqnet, pal

BROKEN = np.array([[0.5, np.nan], [0.2, 0.8]])
GOOD = np.array([[0.5, 0.5], [0.2, 0.8]])
COLUMN = BROKEN[:, 1]
ONE = np.ones(2)
FORMULAS = {
    "bual.confidence": lambda: bual.confidence(BROKEN),
    "bual.score": lambda: bual.score(ONE, COLUMN, ONE, 0.5),
    "bual.paper_score": lambda: bual.paper_score(ONE, ONE, COLUMN, 0.5),
    "bual.negative_loss": lambda: bual.negative_loss(BROKEN, [0, 0]),
    "mqnet.meta_input": lambda: mqnet.meta_input(COLUMN, ONE),
    "mqnet.meta_score": lambda: mqnet.meta_score(BROKEN, np.ones((2, 1)), [0.0], [1.0], 0.0),
    "mqnet.masked_cross_entropy": lambda: mqnet.masked_cross_entropy(BROKEN, [0, 1]),
    "ccal.semantic_score": lambda: ccal.semantic_score(BROKEN, GOOD),
    "ccal.distinctive_raw": lambda: ccal.distinctive_raw(GOOD[:, None], BROKEN[:, None]),
    "ccal.distinctive_score": lambda: ccal.distinctive_score(COLUMN),
    "ccal.query_score": lambda: ccal.query_score(ONE, COLUMN),
    "pal.scores": lambda: pal.scores(GOOD, COLUMN),
    "pal.select_first": lambda: pal.select_first(COLUMN, 1),
    "pal.select_later": lambda: pal.select_later(COLUMN, [True, False], 1),
    "dias.smoothed_cross_entropy": lambda: dias.smoothed_cross_entropy(BROKEN, [0, 1], 0.5),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_values_that_are_not_numbers_are_refused(name):
    with pytest.raises(ValueError, match=r"finite|infinite"):
        FORMULAS[name]()


SINGLE = {
    "bual.confidence": lambda x: bual.confidence(x),
    "bual.score": lambda x: bual.score(x[:, 0], x[:, 1], x[:, 0], 0.4),
    "mqnet.meta_input": lambda x: mqnet.meta_input(x[:, 0], x[:, 1]),
    "ccal.semantic_score": lambda x: ccal.semantic_score(x, x[:1]),
    "pal.scores": lambda x: pal.scores(x, x[:, 0]),
    "dias.smoothed_cross_entropy": lambda x: dias.smoothed_cross_entropy(x, [0, 1], 0.5),
}


@pytest.mark.parametrize("name", SINGLE)
def test_single_precision_is_reckoned_in_double(name):
    one, other = (SINGLE[name](GOOD.astype(kind)) for kind in (np.float32, np.float64))
    np.testing.assert_allclose(one, other, rtol=1e-6)
    assert np.asarray(one).dtype == np.float64
