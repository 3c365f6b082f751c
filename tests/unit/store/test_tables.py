from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vidal.store.stores import FileStore
from vidal.store.tables import from_arrays, to_arrays
from vidal.types import Annotations, Carried, Clip, Detections, ErrorEstimate, LabelledClip, Links

CLASSES = st.lists(st.text(max_size=4), min_size=1, max_size=3, unique=True).map(tuple)
SEEDS = st.integers(0, 2**32)


def boxes(rng, n):
    corner = rng.uniform(0, 50, (n, 2))
    return np.hstack([corner, corner + rng.uniform(1, 9, (n, 2))])


def some_detections(classes, frames, n, seed):
    rng = np.random.default_rng(seed)
    k = len(classes)
    n = n if frames else 0
    return Detections(
        classes=classes,
        scanned=np.ones(frames, np.bool_),
        frame=np.sort(rng.integers(0, max(frames, 1), n)),
        boxes=boxes(rng, n),
        scores=rng.random(n),
        labels=rng.integers(0, k, n),
        probs=rng.dirichlet(np.ones(k + 1), n),
        features=rng.normal(size=(n, 5)),
        embedding=rng.normal(size=(frames, 3)),
    )


def some_annotations(classes, frames, n, seed):
    rng = np.random.default_rng(seed)
    n = n if frames else 0
    return Annotations(
        classes=classes,
        labelled=np.ones(frames, np.bool_),
        frame=np.sort(rng.integers(0, max(frames, 1), n)),
        boxes=boxes(rng, n),
        labels=rng.integers(-1, len(classes), n),
        track=rng.integers(-1, 9, n),
        ignore=rng.random(n) < 0.3,
    )


def an_estimate(n, m, seed):
    rng = np.random.default_rng(seed)
    return ErrorEstimate(
        rows=np.arange(n),
        false_positive=rng.random(n) < 0.5,
        false_positive_confidence=rng.random(n),
        missed_frame=np.sort(rng.integers(0, 9, m)),
        missed_boxes=boxes(rng, m),
        missed_label=rng.integers(0, 3, m),
        missed=rng.random(m) < 0.5,
        missed_confidence=rng.random(m),
        energy=float(rng.random()) / 3,
        link_share=0.1 + 0.2,
    )


def a_clip(name="street"):
    return Clip(
        id=f"{name}-0123",
        path=Path("clips") / name,
        pts=np.array([0, 512, 1025]),
        time_base=Fraction(1, 12800),
        rate=Fraction(30000, 1001),
        size=(480, 640),
        truncated=2,
    )


def equal(one, two):
    """Field by field, with types; tables inside tables too."""
    if type(one) is not type(two):
        return False
    for field in fields(one):
        mine, theirs = getattr(one, field.name), getattr(two, field.name)
        if isinstance(mine, np.ndarray):
            if mine.dtype != theirs.dtype or not np.array_equal(mine, theirs):
                return False
        elif hasattr(mine, "__dataclass_fields__"):
            if not equal(mine, theirs):
                return False
        elif type(mine) is not type(theirs) or mine != theirs:
            return False
    return True


@given(CLASSES, st.integers(0, 6), st.integers(0, 8), SEEDS)
def test_detections_come_back_as_they_were(classes, frames, n, seed):
    table = some_detections(classes, frames, n, seed)
    assert equal(from_arrays(Detections, to_arrays(table)), table)


@given(CLASSES, st.integers(0, 6), st.integers(0, 8), SEEDS)
def test_annotations_come_back_as_they_were(classes, frames, n, seed):
    table = some_annotations(classes, frames, n, seed)
    assert equal(from_arrays(Annotations, to_arrays(table)), table)


@given(st.integers(0, 6), st.integers(0, 6), SEEDS)
def test_estimates_come_back_as_they_were(n, m, seed):
    table = an_estimate(n, m, seed)
    assert equal(from_arrays(ErrorEstimate, to_arrays(table)), table)


@given(st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=8))
def test_clips_come_back_as_they_were_whatever_their_name(name):
    assert equal(from_arrays(Clip, to_arrays(a_clip(name))), a_clip(name))


def test_a_name_that_is_no_text_comes_back():
    clip = a_clip("caf\udce9")  # a byte of a file name that is not UTF-8
    assert from_arrays(Clip, to_arrays(clip)).path == clip.path


def test_a_table_in_a_table_comes_back():
    carried = Carried(
        np.array([0, 1]), np.array([1, 2]), boxes(np.random.default_rng(0), 2), [1, 0]
    )
    links = Links(np.array([0]), np.array([1]), np.array([0.75]), carried, np.array([True, False]))
    assert equal(from_arrays(Links, to_arrays(links)), links)


@pytest.mark.parametrize("size", [None, (480, 640)])
def test_values_that_may_be_missing_come_back(size):
    rate = None if size is None else Fraction(25)
    clip = LabelledClip("a/b", some_annotations(("car",), 3, 4, 0), ("1.png",), None, size, rate)
    assert equal(from_arrays(LabelledClip, to_arrays(clip)), clip)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(SEEDS)
def test_tables_survive_the_disk(tmp_path, seed):
    store = FileStore(tmp_path / "store")
    table = some_detections(("car", "größe"), 5, 7, seed)
    store.put("ab" * 16, to_arrays(table))
    assert equal(from_arrays(Detections, store.get("ab" * 16)), table)


def test_arrays_of_another_table_are_refused():
    arrays = to_arrays(a_clip())
    with pytest.raises(ValueError, match="not a stored Detections"):
        from_arrays(Detections, arrays)
    with pytest.raises(ValueError, match="no array '@'"):
        from_arrays(Clip, {})
    with pytest.raises(ValueError, match="not a stored Clip: no field 'pts'"):
        from_arrays(Clip, {"@": arrays["@"]})


def test_a_field_that_cannot_be_stored_is_refused():
    @dataclass(frozen=True)
    class Odd:
        value: object

    with pytest.raises(TypeError, match="cannot be stored: a set"):
        to_arrays(Odd({1}))
