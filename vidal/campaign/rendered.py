"""The clips of a configuration that vidal renders itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from vidal.campaign.config_data import DataConfig, ScenesConfig
from vidal.evidence.places import EngineMaker
from vidal.scenes import LOOK, SceneSpec, plan
from vidal.scenes.scene_files import write_scenes
from vidal.store import content_key

PartName = Literal["train", "test", "start"]
PARTS: tuple[PartName, ...] = get_args(PartName)
"""What a configuration of scenes has clips for."""


@dataclass(frozen=True, slots=True)
class RenderedPart:
    """Rendered clips of one kind.

    Attributes:
        name: ``train``, ``test`` or ``start``.
        videos: folder of the clips.
        labels: their file of labels.
    """

    name: PartName
    videos: Path
    labels: Path


def render(
    data: DataConfig, folder: Path, engines: EngineMaker, *, seed: int | None = None
) -> Iterator[RenderedPart]:
    """Render what is not there yet.

    Each plan has a folder of its own, so that clips of another plan are never found among its.

    Args:
        data: ``scenes`` is read.
        folder: where the clips go.
        engines: where they are rendered.
        seed: of a run of a simulation; matters where clips are drawn by seed.
    """
    scenes = data.scenes or ScenesConfig()
    for name in PARTS:
        specs = specs_of(scenes, name, seed)
        if not specs:
            continue
        key = content_key("scenes", LOOK, [str(spec.described()) for spec in specs], {})
        out = folder / f"{name}-{key[:8]}"
        write_scenes(out, specs, engine=engines(len(specs), heavy=True))
        yield RenderedPart(name, out / "clips", out / "labels.coco.json")


def specs_of(scenes: ScenesConfig, name: PartName, seed: int | None) -> list[SceneSpec]:
    """The clips of one kind; ``seed`` of a run matters where clips are drawn by seed."""
    if not scenes.by_seed or name == "test":
        seed = None
    test_frames = scenes.test_frames or scenes.frames
    count, frames, shares, statues = {
        "train": (scenes.clips, scenes.frames, scenes.shares, scenes.statues),
        "test": (scenes.test_clips, test_frames, scenes.test_shares, scenes.test_statues),
        "start": (
            scenes.start_clips,
            scenes.start_frames,
            scenes.start_shares,
            scenes.start_statues,
        ),
    }[name]
    specs = plan(
        count,
        _seed(scenes.seed, seed, name),
        split="test" if name == "test" else "train",
        subset=scenes.subset if name == "train" else None,
        shares=shares,
        frames=frames,
        rate=scenes.rate,
        size=scenes.size[::-1],
        statues=statues,
    )
    return [replace(spec, name=f"start-{spec.name}") if name == "start" else spec for spec in specs]


def _seed(own: int, run: int | None, name: PartName) -> int:
    """Of a plan: the configured one for clips that all runs share, else one of its own."""
    if run is None and name != "start":
        return own
    entropy = [own, 0 if run is None else 1 + run, PARTS.index(name)]
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])
