"""Rendered scenes as files: videos with COCO-video labels, or the folders of SYNTHIA-AL.

Work that an earlier run finished from the same specs is kept: beside each clip a small record says
which spec it shows and which version of the renderer drew it.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from vidal import __version__, scenes
from vidal.engine import LocalEngine, report
from vidal.errors import FormatError, OutputError, UnknownName, UsageError
from vidal.formats import coco_video, synthia_al
from vidal.protocols import Engine
from vidal.scenes import (
    AREAS,
    CONDITIONS,
    LOOK,
    SUBSETS,
    FrameTruth,
    SceneSpec,
)
from vidal.store import atomic, lock
from vidal.store.own import OwnFiles
from vidal.types import Annotations, Image, LabelledClip
from vidal.video.write import VideoWriter

Layout = Literal["video", "synthia-al"]
LAYOUTS: tuple[Layout, ...] = ("video", "synthia-al")
Progress = Callable[[str, int, int], None]
_RECORDS = ".scenes"
_LISTING = "scenes.json"
_FILES = {"video": ("labels.coco.json", _LISTING), "synthia-al": (_LISTING,)}


def write_scenes(
    out: Path,
    specs: Sequence[SceneSpec],
    *,
    layout: Layout = "video",
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Render clips to files; those that an earlier run finished are kept.

    ``video`` gives ``clips/<name>.mp4`` and ``labels.coco.json``; ``synthia-al`` gives
    ``train/<scene>/<time stamp>/...`` (or ``test/``). Both give ``scenes.json``: specs and version.

    Args:
        out: folder; made if it is not there.
        specs: the clips; their names differ.
        layout: of the files.
        engine: where clips are rendered; None = in this process.
        progress: called after each clip with its name, how many are done, and of how many.

    Returns:
        The video files or the clips' folders, in the order of ``specs``.

    Raises:
        OutputBusy: another run is writing there.
        OutputError: a place that cannot be written, or a file that vidal did not write.
        UsageError: two clips of one name, or statues where the layout cannot name them.
        UnknownName: no such layout.
    """
    if layout not in LAYOUTS:
        raise UnknownName("layout", layout, LAYOUTS)
    if layout == "synthia-al" and any(spec.statues for spec in specs):
        raise UsageError(
            "statues are objects of no class, and the layout synthia-al has no word for them.",
            hint="Render them in the layout video.",
        )
    if len({spec.name for spec in specs}) != len(specs):
        raise UsageError("two scenes of one name.")
    out = Path(out)
    _make(out)
    with lock.locked(out):
        return _write(out, specs, layout, engine, progress)


def _write(
    out: Path,
    specs: Sequence[SceneSpec],
    layout: Layout,
    engine: Engine | None,
    progress: Progress | None,
) -> list[Path]:
    """``write_scenes`` in a folder that nobody else writes to."""
    own = OwnFiles(out, _FILES[layout], earlier=lambda: _is_listing(out / _LISTING))
    own.check()
    _check_clips(out, specs, layout)
    _make(out / _RECORDS)
    paths = []
    jobs = [SceneJob(out, spec, layout) for spec in specs]
    for path in (engine or LocalEngine()).map(write_scene, jobs):
        paths.append(path)
        if progress is not None:
            progress(specs[len(paths) - 1].name, len(paths), len(specs))
    if layout == "video":
        with own.replacing("labels.coco.json") as path:
            coco_video.write(path, _labelled(out, specs))
    listing = {"vidal": __version__, "look": LOOK, "layout": layout}
    text = json.dumps({**listing, "clips": [spec.described() for spec in specs]}, indent=1) + "\n"
    with own.replacing(_LISTING) as path:
        atomic.write_text(path, text)
    return paths


@dataclass(frozen=True, slots=True)
class SceneJob:
    """One clip to render to files below ``out``."""

    out: Path
    spec: SceneSpec
    layout: Layout


def write_scene(job: SceneJob) -> Path:
    """Render one clip, unless an earlier run has; tells the engine how far it is."""
    one = _video if job.layout == "video" else _folder
    return one(job.out, job.spec)


def synthia_name(spec: SceneSpec) -> str:
    """The clip's ``<split>/<scene>/<time stamp>``; the stamp follows from its seed."""
    row = SUBSETS[spec.subset]
    usual = SUBSETS["default"].spawn

    def percent(share: float, default: float) -> int | None:
        return None if share == default else round(100 * share)

    scene = synthia_al.SceneName(
        seconds=max(1, round(spec.frames / spec.rate)),
        weather=CONDITIONS.index(spec.condition),
        spawn=AREAS.index(spec.area),
        pedestrian=percent(spec.spawn.pedestrian, usual.pedestrian),
        car=percent(spec.spawn.car, usual.car),
        bicycle=percent(spec.spawn.cyclist, usual.cyclist),
        wheelchair=percent(spec.spawn.wheelchair, usual.wheelchair),
    )
    stamp = datetime(2019, 1, 1) + timedelta(seconds=spec.seed % (20 * 365 * 86_400))
    split = "train" if row.split == "train" else "test"
    return f"{split}/{scene}/{stamp:%d-%m-%Y_%H-%M-%S}"


def _video(out: Path, spec: SceneSpec) -> Path:
    path = out / "clips" / f"{spec.name}.mp4"
    labels = out / _RECORDS / f"{spec.name}.coco.json"
    if path.is_file() and labels.is_file() and _recorded(out, spec, "video"):
        return path
    _make(path.parent)
    _forget(out, spec, "video")
    for stale in path.parent.glob(f".{glob.escape(path.stem)}.*.part{path.suffix}"):
        stale.unlink(missing_ok=True)  # of a run that was killed
    truths: list[FrameTruth] = []
    rate = Fraction(spec.rate)
    with VideoWriter(path, rate) as writer:
        for image, truth in scenes.render(spec):
            writer.write(image)
            truths.append(truth)
            report(len(truths), spec.frames)
    clip = LabelledClip(
        f"clips/{spec.name}", scenes.annotations(truths), path=path, size=spec.size, rate=rate
    )
    coco_video.write(labels, [clip])
    _record(out, spec, "video")
    return path


def _folder(out: Path, spec: SceneSpec) -> Path:
    name = synthia_name(spec)
    path = out / name
    if path.is_dir() and _recorded(out, spec, "synthia-al"):
        return path
    _forget(out, spec, "synthia-al")

    def frames() -> Iterator[tuple[Image, Annotations]]:
        for done, (image, truth) in enumerate(scenes.render(spec), start=1):
            yield image, scenes.annotations([truth])
            report(done, spec.frames)

    synthia_al.write_clip(out, name, frames(), replace=True)
    _record(out, spec, "synthia-al")
    return path


def _labelled(out: Path, specs: Sequence[SceneSpec]) -> Iterator[LabelledClip]:
    for spec in specs:
        yield from coco_video.read(out / _RECORDS / f"{spec.name}.coco.json")


def _state(spec: SceneSpec) -> dict[str, Any]:
    """What a clip's pixels follow from, as JSON gives it back."""
    return json.loads(json.dumps({"look": LOOK, "spec": spec.described()}))


def _record_file(out: Path, spec: SceneSpec, layout: Layout) -> Path:
    return out / _RECORDS / f"{spec.name}.{layout}.json"


def _recorded(out: Path, spec: SceneSpec, layout: Layout) -> bool:
    path = _record_file(out, spec, layout)
    try:
        return bool(json.loads(path.read_text(encoding="utf-8")) == _state(spec))
    except (FileNotFoundError, json.JSONDecodeError):
        return False
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(path, "", f"cannot be read ({error})") from error


def _record(out: Path, spec: SceneSpec, layout: Layout) -> None:
    atomic.write_text(_record_file(out, spec, layout), json.dumps(_state(spec)) + "\n")


def _forget(out: Path, spec: SceneSpec, layout: Layout) -> None:
    """The clip is begun, not finished; what lies there from now on is vidal's."""
    atomic.write_text(_record_file(out, spec, layout), "{}\n")


def _check_clips(out: Path, specs: Sequence[SceneSpec], layout: Layout) -> None:
    """Refuse to replace clips that vidal did not render.

    Raises:
        OutputError: names the first.
    """
    for spec in specs:
        path = out / ("clips/" + spec.name + ".mp4" if layout == "video" else synthia_name(spec))
        if os.path.lexists(path) and not _record_file(out, spec, layout).exists():
            why = "vidal did not write it, and it would be replaced"
            raise OutputError(path, why, hint="Choose another folder with --out.")


def _is_listing(path: Path) -> bool:
    """Whether a ``scenes.json`` is one of vidal's."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"vidal", "look", "layout", "clips"} <= content.keys()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(folder, error.strerror or str(error)) from error
