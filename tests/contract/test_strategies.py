"""What every query strategy of ``vidal.assemble.STRATEGIES`` has to satisfy.

A new entry is covered by being in the table. What a strategy deliberately does not do is written
down in the sets below, nowhere else.
"""

import inspect
from dataclasses import FrozenInstanceError, fields, is_dataclass

import numpy as np
import pytest

from vidal.assemble import STRATEGIES, build_strategy
from vidal.errors import UsageError
from vidal.protocols import Scorer, Selector
from vidal.query.options import convert, options_of, summary
from vidal.types import FrameSet, Pool, Regions

COLUMNS = frozenset({"errors", "embedding", "class_mass", "expected", "learned"})
NEIGHBOURS_ALLOWED = {"random"}
CLIPS_NOT_IN_TURN = {"random", "every-nth"}
CLASSES = ("car", "cyclist", "pedestrian")
EMPTY = np.zeros(0, np.int64)


def a_pool(lengths=(40, 25, 0, 12), *, labelled=(), regions_per_frame=3, seed=0, needs=None):
    """A pool with all evidence, or with what ``needs`` names only; ``labelled`` = (clip, index)."""
    rng = np.random.default_rng(seed)
    taken = set(labelled)
    pairs = [(c, i) for c, n in enumerate(lengths) for i in range(n) if (c, i) not in taken]
    clip, index = np.array(pairs, np.int64).reshape(-1, 2).T
    clips = tuple(f"clip-{chr(97 + c)}" for c in range(len(lengths)))
    known = np.array(sorted(taken), np.int64).reshape(-1, 2).T
    f, k = len(pairs), len(CLASSES)
    columns = {
        "errors": rng.poisson(0.7, (f, k, 2)).astype(np.float32),
        "embedding": rng.normal(size=(f, 8)).astype(np.float32),
        "class_mass": rng.gamma(1.0, 1.0, (f, k)).astype(np.float32),
        "expected": rng.gamma(0.5, 1.0, (f, k, 2)).astype(np.float32),
        "learned": np.full(f, bool(seed % 2)),
    }
    return Pool(
        FrameSet(clips, clip, index),
        CLASSES,
        FrameSet(clips, *known),
        {name: values for name, values in columns.items() if needs is None or name in needs},
        some_regions(rng, f * regions_per_frame, f)
        if needs is None or "regions" in needs
        else None,
    )


def some_regions(rng, n, f):
    """``n`` detections spread evenly over ``f`` frames."""
    probs = rng.dirichlet(np.ones(len(CLASSES) + 1), n).astype(np.float32)
    corner = rng.uniform(0, 100, (n, 2))
    return Regions(
        np.repeat(np.arange(f), n // f) if f else EMPTY,
        np.hstack([corner, corner + rng.uniform(5, 50, (n, 2))]),
        probs[:, :-1].max(axis=1) if n else np.zeros(0),
        np.where(np.arange(n) % 5, probs[:, :-1].argmax(axis=1), -1) if n else EMPTY,
        probs,
        rng.normal(size=(n, 16)),
    )


def generator(seed=7):
    return np.random.default_rng(seed)


def distances(pool, picks):
    """Least index distance of picks of one clip, to each other and to labelled frames."""
    least = 10**9
    for clip in range(len(pool.frames.clips)):
        mine = np.sort(pool.frames.index[picks][pool.frames.clip[picks] == clip])
        known = pool.labelled.index[pool.labelled.clip == clip]
        least = min([least, *np.diff(mine).tolist()])
        least = min([least, *np.abs(mine[:, None] - known).ravel().tolist()])
    return least


@pytest.fixture(params=sorted(STRATEGIES))
def name(request):
    return request.param


def built(name, gap=2, **options):
    return build_strategy(name, gap=gap, options=options)


def test_the_default_comes_first():
    assert next(iter(STRATEGIES)) == "expected-errors"


def test_exceptions_name_existing_strategies():
    assert set(STRATEGIES) >= NEIGHBOURS_ALLOWED | CLIPS_NOT_IN_TURN


def test_is_a_frozen_dataclass_with_a_docstring(name):
    strategy = STRATEGIES[name]()
    assert is_dataclass(strategy)
    assert inspect.getdoc(type(strategy))
    assert summary(STRATEGIES[name]).endswith(".")
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
        strategy.anything = 1


def test_is_a_scorer_or_a_selector_and_lifts_to_a_selector(name):
    assert isinstance(STRATEGIES[name](), Scorer)
    assert isinstance(built(name), Selector)


def test_every_option_has_a_default_of_its_type_and_a_help_text(name):
    for option in options_of(STRATEGIES[name]):
        assert option.help, option.name
        assert convert(option, option.default) == option.default
        if isinstance(option.default, int | float | str):
            assert convert(option, str(option.default)) == option.default


def test_every_field_is_an_option_or_marked_as_none(name):
    options = {option.name for option in options_of(STRATEGIES[name])}
    for field in fields(STRATEGIES[name]()):
        assert field.name in options or field.metadata["option"] is False


def test_every_choice_of_an_option_selects(name):
    for option in options_of(STRATEGIES[name]):
        for choice in option.choices:
            picks = built(name, **{option.name: choice}).select(a_pool(), 5, generator())
            assert len(picks) == 5


def test_an_unknown_option_is_refused(name):
    with pytest.raises(UsageError, match="nonsense"):
        built(name, nonsense="1")


def test_a_negative_gap_is_refused(name):
    with pytest.raises(UsageError, match="gap -1"):
        built(name, gap=-1)


def test_needs_are_known_names_and_enough(name):
    needs = built(name).needs
    assert isinstance(needs, frozenset)
    assert needs <= COLUMNS | {"regions"}
    full, bare = a_pool(), a_pool(needs=needs)
    selector = built(name)
    np.testing.assert_array_equal(
        selector.select(full, 9, generator()), selector.select(bare, 9, generator())
    )
    np.testing.assert_array_equal(selector.score(full), selector.score(bare))
    assert selector.explain(full, np.arange(3)).words == selector.explain(bare, np.arange(3)).words


@pytest.mark.parametrize("budget", [0, 1, 7, 1000])
def test_positions_are_distinct_in_range_and_within_budget(name, budget):
    pool = a_pool(labelled=[(0, 3), (1, 20)])
    picks = built(name).select(pool, budget, generator())
    assert picks.dtype == np.int64
    assert picks.shape == (len(np.unique(picks)),)
    assert len(picks) <= budget
    assert ((picks >= 0) & (picks < len(pool))).all()


def test_same_generator_same_selection(name):
    pool, selector = a_pool(), built(name)
    np.testing.assert_array_equal(
        selector.select(pool, 9, generator(3)), selector.select(pool, 9, generator(3))
    )


def test_the_global_generator_is_neither_read_nor_moved(name):
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = built(name).select(a_pool(), 9, generator())
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    np.testing.assert_array_equal(first, built(name).select(a_pool(), 9, generator()))


def test_the_pool_is_left_as_it_was(name):
    pool, same = a_pool(), a_pool()
    selector = built(name)
    selector.explain(pool, selector.select(pool, 9, generator()))
    for column in COLUMNS:
        np.testing.assert_array_equal(pool.column(column), same.column(column))
    np.testing.assert_array_equal(pool.regions.probs, same.regions.probs)
    np.testing.assert_array_equal(pool.frames.index, same.frames.index)


def test_renaming_clips_changes_nothing(name):
    pool = a_pool(labelled=[(0, 3)])
    names = tuple(f"other-{i}" for i in range(len(pool.frames.clips)))
    renamed = Pool(
        FrameSet(names, pool.frames.clip, pool.frames.index),
        pool.classes,
        FrameSet(names, pool.labelled.clip, pool.labelled.index),
        pool.columns,
        pool.regions,
    )
    selector = built(name)
    np.testing.assert_array_equal(
        selector.select(pool, 9, generator()), selector.select(renamed, 9, generator())
    )


@pytest.mark.parametrize("name", sorted(set(STRATEGIES) - NEIGHBOURS_ALLOWED))
@pytest.mark.parametrize("gap", [0, 1, 3, 10**6])
def test_no_pick_within_the_gap_of_another_or_of_a_labelled_frame(name, gap):
    pool = a_pool(labelled=[(0, 3), (0, 4), (1, 20)])
    picks = built(name, gap=gap).select(pool, len(pool), generator())
    assert len(picks)
    assert distances(pool, picks) > gap


@pytest.mark.parametrize("gap", [0, 1, 3])
def test_fewer_than_the_budget_only_where_nothing_more_fits(name, gap):
    pool = a_pool(labelled=[(0, 3), (1, 20)])
    picks = built(name, gap=gap).select(pool, len(pool), generator())
    if name in NEIGHBOURS_ALLOWED:
        assert len(picks) == len(pool)
        return
    for other in np.setdiff1d(np.arange(len(pool)), picks):
        assert distances(pool, np.append(picks, other)) <= gap
    few = built(name, gap=gap).select(pool, len(picks) - 1, generator())
    assert len(few) == len(picks) - 1


@pytest.mark.parametrize("name", sorted(set(STRATEGIES) - CLIPS_NOT_IN_TURN))
def test_clips_take_turns_until_one_is_exhausted(name):
    pool = a_pool((40, 30, 20), seed=3)
    pool = pool.with_columns(errors=pool.column("errors") + 1)
    for budget in (2, 3, 7, 10):
        picks = built(name, gap=1).select(pool, budget, generator())
        counts = np.bincount(pool.frames.clip[picks], minlength=3)
        assert counts.sum() == budget
        assert counts.max() - counts.min() <= 1


def test_scores_are_finite_or_all_nan(name):
    scores = built(name).score(a_pool())
    assert scores.dtype == np.float64
    assert scores.shape == (len(a_pool()),)
    assert np.isfinite(scores).all() or np.isnan(scores).all()


def test_scores_do_not_depend_on_the_order_of_clips(name):
    one, two = a_pool((5,), seed=1), a_pool((5,), seed=2)
    results = []
    for first, second in ((one, two), (two, one)):
        results.append(built(name).score(joined(first, second)))
    np.testing.assert_allclose(results[0], np.roll(results[1], 5))


def joined(first, second):
    """Two one-clip pools as one pool of two clips."""
    f = len(first)
    both = FrameSet(
        ("clip-a", "clip-b"),
        np.repeat([0, 1], [f, len(second)]),
        np.concatenate([first.frames.index, second.frames.index]),
    )
    rows = {
        name: np.concatenate([getattr(first.regions, name), getattr(second.regions, name)])
        for name in ("boxes", "scores", "labels", "probs", "features")
    }
    pos = np.concatenate([first.regions.pos, second.regions.pos + f])
    return Pool(
        both,
        CLASSES,
        FrameSet(both.clips, EMPTY, EMPTY),
        {c: np.concatenate([first.column(c), second.column(c)]) for c in sorted(COLUMNS)},
        Regions(pos=pos, **rows),
    )


def test_explains_every_position_in_the_order_asked(name):
    pool, selector = a_pool(), built(name)
    picks = selector.select(pool, 9, generator())
    told = selector.explain(pool, picks)
    assert len(told.words) == len(picks)
    assert all(words and "\n" not in words for words in told.words)
    assert all(len(part) == len(picks) for part in told.parts.values())
    assert selector.explain(pool, picks[::-1]).words == told.words[::-1]
    assert selector.explain(pool, EMPTY).words == ()


@pytest.mark.parametrize(
    "pool",
    [
        a_pool((0, 0)),
        a_pool((1,)),
        a_pool((0, 1, 0), labelled=[]),
        a_pool((3, 2), labelled=[(c, i) for c, n in enumerate((3, 2)) for i in range(n)]),
        a_pool((5, 5), regions_per_frame=0),
        a_pool((6,), labelled=[(0, 2)]),
    ],
    ids=["empty clips", "one frame", "one frame among empty clips", "all labelled", "no detections",
         "every frame near a labelled one"],
)  # fmt: skip
def test_small_and_empty_pools_are_no_special_case(name, pool):
    selector = built(name)
    picks = selector.select(pool, 4, generator())
    assert len(selector.score(pool)) == len(pool)
    assert len(selector.explain(pool, picks).words) == len(picks)
    near = any(abs(i - 2) > 2 for i in pool.frames.index) if len(pool.labelled) == 1 else True
    assert bool(len(picks)) == (len(pool) > 0 and near)
