"""Procedural road scenes with exact truth, after the generation table of SYNTHIA-AL."""

from vidal.scenes.render import LOOK, VISIBLE, FrameTruth, annotations, render, render_ids
from vidal.scenes.table import (
    AREAS,
    CLASSES,
    CONDITIONS,
    SPLITS,
    SUBSETS,
    SceneSpec,
    Spawn,
    Subset,
    plan,
)

__all__ = [
    "AREAS",
    "CLASSES",
    "CONDITIONS",
    "LOOK",
    "SPLITS",
    "SUBSETS",
    "VISIBLE",
    "FrameTruth",
    "SceneSpec",
    "Spawn",
    "Subset",
    "annotations",
    "plan",
    "render",
    "render_ids",
]
