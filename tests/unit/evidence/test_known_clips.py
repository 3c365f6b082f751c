"""Clips that were opened before are known by their content: elsewhere, copied, touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import vidal
from vidal.errors import UnreadableClip
from vidal.evidence import clips as opening
from vidal.evidence.clips import open_clips, open_paths
from vidal.evidence.places import Engines, store_at
from vidal.store import FileStore, keys
from vidal.types import Clip, Stored
from vidal.video import write_video

ENGINES = Engines(1, "cpu")
RATE = Fraction(10)


def pictures(count: int, seed: int = 3) -> list[np.ndarray]:
    """A textured picture that moves by two pixels a frame."""
    rng = np.random.default_rng(seed)
    wide = cv2.resize(rng.integers(0, 255, (24, 60, 3), dtype=np.uint8), (240, 96))
    return [np.ascontiguousarray(wide[:, 2 * n : 2 * n + 128]) for n in range(count)]


def image_folder(folder: Path, seed: int) -> Path:
    folder.mkdir(parents=True)
    for number, picture in enumerate(pictures(4, seed)):
        cv2.imwrite(str(folder / f"{number:04d}.bmp"), picture)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two videos and a folder of images."""
    root = tmp_path / "first" / "clips"
    (root / "day").mkdir(parents=True)
    for seed, name in enumerate(("day/a.mp4", "b.mp4")):
        write_video(root / name, pictures(4 + seed, seed), Fraction(25))
    image_folder(root / "drive", 7)
    return root


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were written a moment ago may be remembered by their times."""
    monkeypatch.setattr(opening, "_SETTLED", 0.0)


def opened(root: Path, store: Path, rate: Fraction = RATE) -> dict[str, Clip]:
    store_at.cache_clear()
    clips, skipped = open_clips(root, engines=ENGINES, store=store, image_rate=rate)
    assert not skipped
    return {clip.path.relative_to(root).as_posix(): clip for clip in clips}


def no_more(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """From here on, nobody may call these."""

    def refuse(path: Path, **options: Any) -> Any:
        raise UnreadableClip(path, "was opened")

    for name in names:
        monkeypatch.setattr(opening, name, refuse)


def same(a: Mapping[str, Clip], b: Mapping[str, Clip]) -> bool:
    return a.keys() == b.keys() and all(
        a[name].id == b[name].id
        and np.array_equal(a[name].pts, b[name].pts)
        and np.array_equal(a[name].keyframes, b[name].keyframes)
        and (a[name].size, a[name].rate, a[name].reader)
        == (b[name].size, b[name].rate, b[name].reader)
        for name in a
    )


def test_files_that_did_not_change_are_not_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(folder, tmp_path / "store")
    no_more(monkeypatch, "identify", "open_clip")
    assert same(opened(folder, tmp_path / "store"), first)
    FileStore(tmp_path / "store").pack()
    assert same(opened(folder, tmp_path / "store"), first)


def test_clips_elsewhere_copied_or_touched_are_not_opened_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(folder, tmp_path / "store")
    no_more(monkeypatch, "open_clip")
    copy = tmp_path / "copy" / "videos"
    shutil.copytree(folder, copy)
    for path in folder.rglob("*.*"):
        os.utime(path, (1e9, 1e9))
    assert same(opened(folder, tmp_path / "store"), first)
    moved = tmp_path / "mount"
    folder.rename(moved)
    for root in (moved, copy):
        again = opened(root, tmp_path / "store")
        assert same(again, first)
        assert all(clip.path.is_relative_to(root.resolve()) for clip in again.values())


@pytest.mark.parametrize("name", ["day/a.mp4", "drive/0002.bmp"])
def test_change_in_place_is_noticed_whatever_the_time_stamp_says(
    name: str, folder: Path, tmp_path: Path
) -> None:
    first = opened(folder, tmp_path / "store")
    path = folder / name
    before, data = path.stat(), bytearray(path.read_bytes())
    data[-5] ^= 1
    with path.open("r+b") as stream:
        stream.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    clip = "drive" if name.startswith("drive") else name
    again = opened(folder, tmp_path / "store")
    assert again[clip].id != first[clip].id
    assert {n for n in again if again[n].id != first[n].id} == {clip}


def test_added_image_makes_another_clip(folder: Path, tmp_path: Path) -> None:
    first = opened(folder, tmp_path / "store")
    cv2.imwrite(str(folder / "drive" / "0004.bmp"), pictures(1)[0])
    again = opened(folder, tmp_path / "store")
    assert (first["drive"].frames, again["drive"].frames) == (4, 5)


def test_rate_of_images_is_that_of_the_run(folder: Path, tmp_path: Path) -> None:
    for rate in (RATE, Fraction(5), RATE):
        assert opened(folder, tmp_path / "store", rate)["drive"].rate == rate


def test_what_changed_a_moment_ago_is_known_by_its_content_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_SETTLED", 60.0)
    first = opened(folder, tmp_path / "store")
    no_more(monkeypatch, "open_clip")
    assert same(opened(folder, tmp_path / "store"), first)
    no_more(monkeypatch, "identify")
    with pytest.raises(vidal.errors.NoClips, match="was opened"):
        opened(folder, tmp_path / "store")


def test_clip_whose_table_was_forgotten_is_opened_again(folder: Path, tmp_path: Path) -> None:
    put: dict[str, Stored] = {}
    keep = FileStore.put

    def watched(store: FileStore, key: str, arrays: Any, about: Stored | None = None) -> None:
        put[key] = about or Stored("")
        keep(store, key, arrays, about)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FileStore, "put", watched)
        first = opened(folder, tmp_path / "store")
    store = FileStore(tmp_path / "store")
    store.drop([key for key, about in put.items() if about.stage == "clip"])
    assert same(opened(folder, tmp_path / "store"), first)


def test_nothing_is_written_where_nothing_is_kept(folder: Path, tmp_path: Path) -> None:
    paths = [(folder / "b.mp4", folder)]
    found = open_paths(
        paths, engines=ENGINES, store=tmp_path / "store", image_rate=RATE, keep=False
    )
    assert [type(each) for each in found] == [Clip]
    assert not (tmp_path / "store").exists()


_AS_NOBODY = """
import encodings.cp437, os, sys
from fractions import Fraction
from pathlib import Path
from vidal.evidence import clips
from vidal.evidence.places import Engines
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
root = Path(sys.argv[1])
found = clips.open_paths(
    [(root / name, root) for name in ("b.mp4", "day/a.mp4")],
    engines=Engines(1, "cpu"), store=Path(sys.argv[2]), image_rate=Fraction(10), keep=False,
)
print([getattr(each, "reason", "known") for each in found])
"""


def test_file_that_may_not_be_read_any_more_is_not_known(folder: Path, tmp_path: Path) -> None:
    for path in (folder, *folder.parents):
        if "pytest" in str(path):
            path.chmod(0o755)
    opened(folder, tmp_path / "store")
    for path in (tmp_path / "store").rglob("*"):
        path.chmod(0o755)
    (folder / "b.mp4").chmod(0)
    done = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, str(folder), str(tmp_path / "store")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "['permission denied', 'known']\n", done.stderr


# ---- evidence


def materials(root: Path, folder: Path) -> None:
    """Clips, and detections and labels of theirs, as files."""
    shutil.copytree(folder, root / "clips")
    names = ("day/a", "b", "drive")
    for name in names:
        path = root / "detections" / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        boxes = "".join(f"{n},{8 + 2 * n},8,{40 + 2 * n},40,0.9\n" for n in range(4))
        path.write_text(boxes)


def test_evidence_of_copied_clips_is_known_and_no_key_holds_a_path(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    checked, keep = keys._checked, FileStore.put
    put: list[str] = []

    def noting(value: Any) -> Any:
        told.append(json.dumps(value, default=str))
        return checked(value)

    def watched(store: FileStore, key: str, arrays: Any, about: Stored | None = None) -> None:
        put.append(key)
        keep(store, key, arrays, about)

    monkeypatch.setattr(keys, "_checked", noting)
    monkeypatch.setattr(FileStore, "put", watched)
    results = []
    for place in ("here", "there"):
        root = tmp_path / place
        materials(root, folder)
        put.clear()
        chosen = vidal.select(
            root / "clips",
            budget=3,
            strategy="temporal-coherence",
            detections=root / "detections",
            cache=tmp_path / "cache",
            progress=False,
        )
        results.append([(frame.clip, frame.index) for frame in chosen.frames])
    hints = 3
    assert len(put) == hints
    assert results[0] == results[1]
    with_path = [text for text in told if str(tmp_path) in text]
    assert all(opening_hint(text) for text in with_path)


def opening_hint(text: str) -> bool:
    """Whether this is what a hint is made of, or part of it: a path, its root, states of files."""
    value = json.loads(text)
    return isinstance(value, str) or (len(value) == 3 and "|" in value[2][0])
