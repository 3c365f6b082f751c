"""The stamped clips are encoded once a session; the helper is found beside the tests."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import stamped


@pytest.fixture(scope="session")
def stamped_clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The clip of that name of ``stamped.CLIPS``, encoded on first use."""
    folder = tmp_path_factory.mktemp("clips")

    def clip(name: str) -> Path:
        path = folder / name
        if not path.exists():
            stamped.encode(path, **stamped.CLIPS[name])
        return path

    return clip
