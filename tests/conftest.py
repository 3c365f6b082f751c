"""Paths, the profile of Hypothesis, and rendered clips that several test files share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile(
    "ci", max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``clips/`` (three of 40 frames) and ``labels.coco.json``; do not change it."""
    from vidal.campaign.scene_files import write_scenes
    from vidal.scenes import plan

    out = tmp_path_factory.mktemp("rendered")
    write_scenes(out, plan(3, 5, frames=(40, 40)))
    return out
