"""A selection starts its workers when it opens new clips, and none that it does not need."""

from fractions import Fraction
from multiprocessing import active_children

import numpy as np
import pytest

import vidal
from vidal.engine import hiring, process
from vidal.errors import NoClips
from vidal.video import write_video


@pytest.fixture
def hired(monkeypatch):
    """Who hired each worker that was started: real ones, counted."""
    by, real = [], hiring.hire
    for name, module in (("standby", hiring), ("engine", process)):

        def noted(*given, name=name):
            by.append(name)
            return real(*given)

        monkeypatch.setattr(module, "hire", noted)
    return by


@pytest.fixture
def clips(tmp_path, monkeypatch):
    """Two, as if they had been there for long: what was written a moment ago is read again."""
    monkeypatch.setattr("vidal.evidence.clips._SETTLED", -1.0)
    folder = tmp_path / "clips"
    folder.mkdir()
    rng = np.random.default_rng(5)
    for name in ("a", "b"):
        pictures = [rng.integers(0, 255, (96, 128, 3), dtype=np.uint8) for _ in range(4)]
        write_video(folder / f"{name}.mp4", pictures, Fraction(10))
    return folder


def select(clips, tmp_path, **options):
    given = {"detector": "scenes-tiny", "device": "cpu", "workers": 2, "budget": 1} | options
    return vidal.select(clips, cache=tmp_path / "cache", progress=False, **given)


def test_workers_start_once_while_clips_are_opened_and_a_known_run_starts_none(
    clips, tmp_path, hired
):
    select(clips, tmp_path, strategy="entropy")
    assert hired == ["standby", "standby"]  # the engine took them over
    select(clips, tmp_path, strategy="entropy", seed=1)
    assert hired == ["standby", "standby"]
    select(clips, tmp_path, strategy="expected-errors")  # flow is new, the clips are not
    assert hired == ["standby", "standby", "engine", "engine"]
    assert active_children() == []


def test_no_worker_starts_for_a_strategy_without_a_detector_or_for_one_worker(
    clips, tmp_path, hired
):
    select(clips, tmp_path, strategy="random")
    select(clips, tmp_path / "other", strategy="entropy", workers=1)
    assert hired == []


def test_workers_that_turn_out_not_to_be_needed_end_with_the_refusal(tmp_path, hired):
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4"):
        (folder / name).write_bytes(b"no video")
    with pytest.raises(NoClips):
        select(folder, tmp_path, strategy="entropy")
    assert hired == ["standby", "standby"]
    assert active_children() == []
