"""Every strategy that is fit for images runs on a pool with unknown classes, and again the same."""

import pytest
from image_runs import rows, simulated

from vidal.assemble import STRATEGIES
from vidal.assemble.images import make_selector
from vidal.errors import EvidenceMissing
from vidal.images.config import ImageVariant
from vidal.images.evidence import check_needs
from vidal.images.recipes import Recipe
from vidal.selection.trained import learners_of

CONFIG = (
    ("data: {path", "data: {known: 2, pool: 70, test_images: 20, path"),
    ("steps: 15, epochs: 1", "steps: 4, epochs: 1"),
    ("passes: 3", "encoders: {steps: 2, batch: 4, width: 6, crops: 1}, passes: 3"),
    ("members: 2, votes: 3", "members: 2, votes: 2"),
)


def fit_for_images(name):
    selector = make_selector(name, ImageVariant(strategy=name))
    try:
        check_needs(name, name, selector.needs, Recipe())
    except EvidenceMissing:
        return False
    return True


NAMES = sorted(name for name in STRATEGIES if fit_for_images(name))
"""Those that images have the evidence for."""


@pytest.fixture
def tiny(config):
    file = config()
    text = file.read_text()
    for old, new in CONFIG:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    return file


def test_all_strategies_run_two_rounds_with_unknown_classes_and_buy_what_they_may(tiny, tmp_path):
    _, result = simulated(tiny, tmp_path / "out", NAMES, rounds=3)
    for name in NAMES:
        mine = [row for row in result.rows if row.strategy == name]
        assert [row.labelled for row in mine] == [8, 14, 20]
        assert all(row.picks.frames == 6 for row in mine[1:])
        assert all(row.picks.known + row.picks.unknown == 6 for row in mine[1:])
    assert {row.strategy for row in result.rows} == {*NAMES, "random", "label-only"}


def test_methods_that_learn_give_the_same_bits_for_a_seed(tiny, tmp_path):
    learning = [
        name for name in NAMES if learners_of(make_selector(name, ImageVariant(strategy=name)))
    ]
    first, second = (
        rows(simulated(tiny, tmp_path / each, learning, rounds=2)[1]) for each in ("a", "b")
    )
    assert first == second


def test_options_that_change_what_is_needed_run_too(tiny, tmp_path):
    options = {
        "eaoa-frozen": "{strategy: eaoa, options: {features: frozen}}",
        "known-entropy": "{strategy: entropy, known_only: true}",
        "known-badge": "{strategy: badge, known_only: true, balance: 1}",
        "own": "{strategy: e2oal, judge: own}",
        "own-dias": "{strategy: dias, judge: own}",
        "mqnet-react": "{strategy: mqnet, options: {purity: react, rule: free}}",
        "mqnet-msp": "{strategy: mqnet, options: {purity: msp, informativeness: confidence}}",
        "bual-dense": "{strategy: bual, options: {negative: dense, form: paper, kind: lc}}",
    }
    lines = "".join(f"\n    {name}: {each}" for name, each in options.items())
    tiny.write_text(tiny.read_text().replace("seeds: 2", f"seeds: 2\n  variants:{lines}"))
    _, result = simulated(tiny, tmp_path / "out", list(options), rounds=3)
    for name in options:
        assert [row.labelled for row in result.rows if row.strategy == name] == [8, 14, 20]
