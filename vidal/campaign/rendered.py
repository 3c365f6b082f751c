"""The clips of a configuration that vidal renders itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from vidal.campaign.config import DataConfig, ScenesConfig
from vidal.campaign.record import Split
from vidal.evidence.places import EngineMaker
from vidal.scenes import LOOK, SceneSpec, plan
from vidal.scenes.scene_files import write_scenes
from vidal.store import content_key


def render(
    data: DataConfig, folder: Path, engines: EngineMaker
) -> Iterator[tuple[Split | None, Path, Path]]:
    """Render what is not there yet.

    Each plan has a folder of its own, so that clips of another plan are never found among its.

    Args:
        data: ``scenes`` is read.
        folder: where the clips go.
        engines: where they are rendered.

    Yields:
        The split (None = it is drawn), the folder of clips and their labels.
    """
    scenes = data.scenes or ScenesConfig()
    parts: list[tuple[Split | None, str, list[SceneSpec]]] = [
        (None, "train", _plan(scenes, scenes.clips, "train"))
    ]
    if scenes.test_clips:
        parts.append(("test", "test", _plan(scenes, scenes.test_clips, "test")))
    for split, name, specs in parts:
        key = content_key("scenes", LOOK, [str(asdict(spec)) for spec in specs], {})
        out = folder / f"{name}-{key[:8]}"
        write_scenes(out, specs, engine=engines(len(specs), heavy=True))
        yield split, out / "clips", out / "labels.coco.json"


def _plan(scenes: ScenesConfig, clips: int, split: str) -> list[SceneSpec]:
    train = split == "train"
    return plan(
        clips,
        scenes.seed,
        split=split,
        subset=scenes.subset if train else None,
        shares=scenes.shares if train else None,
        frames=scenes.frames,
        rate=scenes.rate,
        size=scenes.size[::-1],
    )
