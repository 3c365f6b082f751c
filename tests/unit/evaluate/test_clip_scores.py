"""Test clips drawn again from what is kept of them: the same AP as judging them anew."""

import io

import numpy as np
import pytest

from vidal.errors import InputError
from vidal.evaluate.average_precision import ScoredDetections
from vidal.evaluate.clip_scores import ClipScores, read_clip_scores, tagged, write_clip_scores

CLASSES = ("car", "pedestrian", "wheelchair")


def some_scores(seed=0, clips=9, rows=60, *, absent=(), ties=False):
    """A model's judged detections; every clip has cars, few have wheelchairs."""
    rng = np.random.default_rng(seed)
    clip = np.sort(rng.integers(clips, size=rows))
    labels = rng.choice(3, size=rows, p=[0.6, 0.3, 0.1])
    right = rng.random(rows) < 0.5
    scores = (rng.integers(1, 6, size=rows) / 10 if ties else rng.random(rows)).astype(np.float32)
    n_truth = np.zeros((clips, 3), np.int64)
    np.add.at(n_truth, (clip[right], labels[right]), 1)
    n_truth[:, :2] += rng.integers(0, 4, size=(clips, 2))
    for label in absent:
        n_truth[:, label] = 0
        right[labels == label] = False
    names = tuple(f"clip-{n:02d}" for n in range(clips))
    tags = tagged(names, {names[0]: ("night",), names[1]: ("night", "rain")})
    return ClipScores(names, tags, ScoredDetections(CLASSES, clip, scores, labels, right, n_truth))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("absent", [(), (2,), (0, 1, 2)])
def test_every_clip_once_is_the_evaluation_itself(absent, ties):
    for seed in range(20):
        scores = some_scores(seed, absent=absent, ties=ties)
        due = scores.scored.average_precisions()
        np.testing.assert_allclose(
            scores.class_aps(np.ones((1, 9), int))[0], due, rtol=0, atol=1e-12
        )
        known = due[~np.isnan(due)]
        mean = known.mean() if len(known) else np.nan
        np.testing.assert_allclose(scores.ap50(), [mean], rtol=0, atol=1e-12)


def test_a_multiset_of_clips_is_judged_as_its_copies_would_be():
    scores = some_scores(3)
    rng = np.random.default_rng(1)
    samples = [np.sort(rng.integers(9, size=9)) for _ in range(50)]
    weights = np.array([np.bincount(sample, minlength=9) for sample in samples])
    due = [scores.scored.average_precisions(clips=sample) for sample in samples]
    np.testing.assert_allclose(scores.class_aps(weights), due, rtol=0, atol=1e-12)


def test_a_draw_without_a_class_takes_the_mean_of_the_others_and_one_without_any_has_none():
    scores = some_scores(4)
    first = scores.scored.n_truth[:, 2] == 0
    assert first.any()
    assert not first.all()
    weights = np.stack([first, np.zeros(9)]).astype(int)
    each = scores.class_aps(weights)
    assert np.isnan(each[0, 2])
    assert scores.ap50(weights)[0] == pytest.approx(np.mean(each[0, :2]))
    assert np.isnan(scores.ap50(weights)[1])


def test_a_condition_is_judged_by_its_clips_alone():
    scores = some_scores(5)
    assert scores.conditions == ("night", "rain")
    found = scores.by_condition()
    for name, clips in (("night", [0, 1]), ("rain", [1])):
        due = scores.scored.average_precisions(clips=np.array(clips))
        assert found[name] == pytest.approx(np.nanmean(due), abs=1e-12)
    bare = some_scores(5, absent=(0, 1, 2))
    assert bare.by_condition() == {"night": None, "rain": None}


def test_a_model_that_found_nothing_has_an_ap_of_zero():
    nothing = some_scores(6, rows=0)
    assert nothing.ap50() == [0.0]
    assert nothing.class_aps(np.zeros((0, 9), int)).shape == (0, 3)


def test_kept_scores_are_read_as_they_were(tmp_path):
    path = tmp_path / "rows" / "round-001.npz"
    scores = some_scores(7)
    write_clip_scores(path, scores)
    again = read_clip_scores(path)
    assert (again.clips, again.tags) == (scores.clips, scores.tags)
    weights = np.random.default_rng(0).integers(0, 3, size=(20, 9))
    np.testing.assert_array_equal(again.class_aps(weights), scores.class_aps(weights))


def test_scores_that_are_not_there_are_none_and_damaged_ones_are_refused(tmp_path):
    path = tmp_path / "round-001.npz"
    assert read_clip_scores(path) is None
    write_clip_scores(path, some_scores())
    whole = path.read_bytes()
    other = io.BytesIO()
    np.savez(other, a=np.zeros(3))
    for damaged in (b"", whole[:-40], whole[:90] + b"??" + whole[92:], b"text", other.getvalue()):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"round-001\.npz: damaged"):
            read_clip_scores(path)


def test_weights_and_tags_of_another_number_of_clips_are_refused():
    scores = some_scores()
    with pytest.raises(ValueError, match="of 9 clips"):
        scores.ap50(np.ones((1, 8), int))
    with pytest.raises(ValueError, match="8 with tags"):
        ClipScores(scores.clips, scores.tags[:-1], scores.scored)
