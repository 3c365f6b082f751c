"""Statues: objects of no class, which change nothing of scenes without them."""

from dataclasses import replace

import numpy as np
import pytest

from vidal.errors import UsageError
from vidal.formats import coco_video
from vidal.scenes import CLASSES, SceneSpec, annotations, plan, render
from vidal.scenes.scene_files import write_scenes
from vidal.types import UNKNOWN

SPEC = SceneSpec("s", frames=2, size=(96, 160), seed=5, statues=0.8)


def test_statues_are_labelled_as_objects_of_no_class_and_stand_still_in_the_world():
    truths = [truth for _, truth in render(SPEC)]
    table = annotations(truths)
    assert table.classes == CLASSES
    rows = table.labels == UNKNOWN
    assert rows.any()
    assert (table.labels[~rows] >= 0).all()


def test_all_other_objects_are_where_they_are_without_statues():
    def known(spec):
        table = annotations([truth for _, truth in render(spec)])
        return {(f, t) for f, t, k in zip(table.frame, table.track, table.labels, strict=True)
                if k != UNKNOWN}  # fmt: skip

    without = known(replace(SPEC, statues=0.0))
    assert known(SPEC) <= without  # a statue may stand before one
    assert without


def test_a_plan_with_statues_is_the_same_plan_but_for_them():
    shares = {"default": 1, "town": 1}
    bare = plan(20, 3, shares=shares)
    some = plan(20, 3, shares=shares, statues=0.25)
    assert [replace(spec, statues=0.0) for spec in some] == bare
    standing = [spec for spec in some if spec.statues]
    assert len(standing) == 5
    assert all(spec.area != "highway" for spec in standing)
    assert plan(20, 3, shares=shares, statues=0.25) == some


def test_a_spec_without_statues_is_described_as_before_there_were_any():
    assert "statues" not in SceneSpec("a").described()
    assert SPEC.described()["statues"] == 0.8


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_what_is_no_share_is_refused(share):
    with pytest.raises(UsageError, match="statues"):
        plan(3, 0, statues=share)
    with pytest.raises(UsageError, match="statues"):
        SceneSpec("a", statues=share)


def test_files_keep_them_apart_from_the_classes(tmp_path):
    write_scenes(tmp_path, [SPEC])
    (clip,) = coco_video.read(tmp_path / "labels.coco.json")
    assert clip.annotations.classes == CLASSES
    expected = annotations([truth for _, truth in render(SPEC)])
    np.testing.assert_array_equal(clip.annotations.labels, expected.labels)


def test_a_layout_without_a_word_for_them_is_refused(tmp_path):
    with pytest.raises(UsageError, match="statues"):
        write_scenes(tmp_path, [SPEC], layout="synthia-al")
    assert not list(tmp_path.rglob("*.json"))
