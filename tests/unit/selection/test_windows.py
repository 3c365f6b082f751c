"""A selection from long clips in windows is the selection from the whole clips."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from vidal.assemble.request import SelectionRequest
from vidal.assemble.selection import plan_selection
from vidal.evidence.places import Engines, store_at
from vidal.selection.plan import prepare_selection
from vidal.selection.run import run_selection
from vidal.simulation.simulate import Unwatched
from vidal.store import npz
from vidal.store.usage import prune
from vidal.video import open_clip, read_frames


@pytest.fixture(scope="module")
def videos(rendered, tmp_path_factory):
    """A folder of images, 70 frames of two rendered clips, small."""
    folder = tmp_path_factory.mktemp("videos") / "cam"
    folder.mkdir()
    number = 0
    for path in sorted((rendered / "clips").iterdir())[:2]:
        for frame in read_frames(open_clip(path), range(35)):
            small = cv2.resize(frame.image, (192, 120))
            cv2.imwrite(str(folder / f"{number:06d}.png"), small)
            number += 1
    return folder


def selected(videos: Path, out: Path, window: int | None, strategy: str):
    job = plan_selection(
        SelectionRequest(
            videos=videos,
            out=out,
            budget="8",
            strategy=strategy,
            detector="scenes-tiny",
            device="cpu",
            gap=2,
            seed=3,
            threshold=0.5,
            workers=1,
        )
    )
    plan = job.plan
    if window is not None:
        plan = replace(plan, evidence=replace(plan.evidence, window=window))
    prepared = prepare_selection(plan, engines=Engines(1))
    return run_selection(plan, prepared, engines=Engines(1), watcher=Unwatched())


@pytest.mark.parametrize("strategy", ["expected-errors", "badge"])
def test_windows_choose_the_same_frames_for_the_same_reasons(videos, tmp_path, strategy):
    whole = selected(videos, tmp_path / "whole", None, strategy)
    found = selected(videos, tmp_path / "windows", 16, strategy)
    assert found.query.frames == whole.query.frames
    assert found.query.explanation.words == whole.query.explanation.words
    np.testing.assert_array_equal(found.query.scores, whole.query.scores)
    assert found.notes == whole.notes
    (name,) = whole.clips
    assert whole.load(name).detections == found.load(name).detections
    assert (whole.motion(name) is None) == (strategy == "badge")
    seen = any("seen in" in words for words in whole.query.explanation.words)
    assert seen == (strategy == "expected-errors")


@pytest.mark.parametrize(("how", "window"), [("pruned", None), ("damaged", 16)])
def test_where_boxes_were_carried_is_measured_again_when_it_is_gone(videos, tmp_path, window, how):
    first = selected(videos, tmp_path, window, "expected-errors")
    store = store_at(tmp_path / ".vidal")
    if how == "pruned":
        assert prune(store, stages=["carried"]).entries == 1
    else:
        for path in (tmp_path / ".vidal" / "fresh").rglob("*.npz"):
            with path.open("rb") as file:
                if npz.told(file).stage != "carried":
                    continue
            data = bytearray(path.read_bytes())
            data[len(data) // 3] ^= 1
            path.write_bytes(data)
    again = selected(videos, tmp_path, window, "expected-errors")
    assert again.query.frames == first.query.frames
    assert again.query.explanation.words == first.query.explanation.words
    assert any("seen in" in words for words in again.query.explanation.words)
    assert again.notes == first.notes
