"""The clips of a record: found by content, told where they are lost."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from vidal.campaign.clips import find_clips
from vidal.campaign.config import parse_config
from vidal.campaign.source import entries_of, open_source
from vidal.errors import InputError
from vidal.evidence.places import Engines
from vidal.video import write_video

ENGINES = Engines(1, "cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("d") / "clips"
    for value, name in enumerate(("a", "b", "far/c")):
        path = folder / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        images = [np.full((48, 64, 3), 40 * value + n, np.uint8) for n in range(6)]
        write_video(path, images, Fraction(10))
    return folder


@pytest.fixture
def recorded(data, tmp_path):
    config = parse_config({"data": {"videos": str(data)}}, "x")
    source = open_source(config, engines=ENGINES, store=tmp_path / "e", scenes=tmp_path)
    return list(entries_of(source.clips.values(), tmp_path))


def found(entries, folder):
    return find_clips(
        entries,
        lambda written: folder / written,
        engines=ENGINES,
        store=folder / "e",
        image_rate=Fraction(10),
    )


def test_the_same_clips_are_found_again(recorded, tmp_path):
    again = found(recorded, tmp_path)
    assert list(again.clips) == sorted(entry.id for entry in recorded)
    assert again.lost == ()
    again.need(tmp_path)


def test_a_renamed_clip_keeps_its_id(recorded, data, tmp_path):
    renamed = data / "renamed.mp4"
    renamed.write_bytes((data / "b.mp4").read_bytes())
    entries = [replace(e, path=str(renamed)) if e.id[0] == "b" else e for e in recorded]
    again = found(entries, tmp_path)
    renamed.unlink()
    assert list(again.clips) == [clip.id for clip in again.clips.values()]
    assert again.lost == ()


def test_a_clip_of_another_content_and_one_that_is_gone_are_told_by_name(recorded, tmp_path):
    entries = [
        replace(recorded[0], path=recorded[0].path.replace("a.mp4", "b.mp4")),
        replace(recorded[1], path=recorded[1].path + "x"),
        recorded[2],
    ]
    again = found(entries, tmp_path)
    assert list(again.clips) == [recorded[2].id]
    changed, gone = again.lost
    assert "has changed since the campaign began: the file is now b-" in changed.why
    assert gone.why == "is not there any more"
    with pytest.raises(InputError, match=r"has changed .* \(and 1 more\)") as refused:
        again.need(tmp_path)
    assert "vidal relink" in refused.value.hint
