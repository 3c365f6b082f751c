"""What was proposed to annotators, kept beside the query: answers that equal it are no answers.

A round's folder holds ``exported/<digest>.coco.json``, a file for each set of boxes that went out.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from vidal.campaign.proposals import EXPORTED
from vidal.exports.archive import workplace
from vidal.exports.bundle import Bundle, tables
from vidal.formats import coco_video
from vidal.store import atomic


def keep_proposals(bundle: Bundle, query: Path) -> None:
    """Remember the boxes of an export.

    Args:
        bundle: what went out.
        query: the folder of the round.

    Raises:
        OutputError: it cannot be written.
    """
    shots = [shot for shot in bundle.shots if not shot.answered and len(shot.boxes)]
    if not bundle.judged or not shots:
        return
    clips, notes = tables(bundle, shots)
    with workplace(query / EXPORTED / "new") as folder:
        path = folder / "proposed.json"
        coco_video.write(path, clips, names=bundle.name, notes=notes, classes=bundle.classes)
        with atomic.reporting(query):
            data = path.read_bytes()
    name = f"{hashlib.blake2b(data, digest_size=8).hexdigest()}.coco.json"
    atomic.write_bytes(query / EXPORTED / name, data)
