"""Where a simulation stands, without its plan: what lies in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidal.campaign.folder import recorded
from vidal.campaign.heartbeat import disk, running

_ROWS = ("*/rows/round-*.json", "*/row-*.json")
"""Of trained rounds: of clips, and of pictures."""


def is_simulation(folder: Path) -> bool:
    """Whether a folder holds a simulation, or one that is about to begin, and no campaign."""
    if recorded(folder):
        return False
    return (folder / "runs").is_dir() or running(folder) is not None


def describe_simulation(folder: Path) -> dict[str, Any]:
    """The state of a simulation, of clips or of pictures, as JSON values.

    ``rounds`` counts those of all runs that are done.
    """
    beat = running(folder)
    runs = folder / "runs"
    return {
        "simulation": folder.absolute().name,
        "folder": str(folder),
        "runs": sum(1 for each in runs.glob("*") if each.is_dir()),
        "rounds": sum(1 for form in _ROWS for _ in runs.glob(form)),
        "running": None if beat is None else beat.as_dict(),
        "disk": disk(folder, folder / "evidence"),
    }
