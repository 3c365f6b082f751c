"""The images of a simulation on disk, as arrays that worker processes map into memory.

OUT/data/train.npy, test.npy     pixels
OUT/data/about.json              classes, digest, what was left out; written last
OUT/data/labels.npz              labels and names
"""

from __future__ import annotations

import io
import json
from hashlib import blake2b
from pathlib import Path

import numpy as np

from vidal.errors import CampaignError, InputError
from vidal.images.data import ImageData, Pictures
from vidal.store import atomic

_PARTS = ("train", "test")


def digest(data: ImageData) -> str:
    """Of classes, pixels and labels."""
    total = blake2b("\n".join(data.classes).encode(), digest_size=16)
    for part in (data.train, data.test):
        total.update(str(part.pixels.shape).encode())
        total.update(np.ascontiguousarray(part.pixels).data)
        total.update(np.ascontiguousarray(part.labels).data)
    return total.hexdigest()


def store_images(folder: Path, data: ImageData) -> None:
    """Keep a data set, if it is not there.

    Raises:
        CampaignError: another one is there.
        OutputError: it cannot be written.
    """
    own, about = digest(data), folder / "about.json"
    if about.exists():
        if json.loads(about.read_text("utf-8"))["digest"] != own:
            raise CampaignError(
                f"{folder.parent}: its simulation was begun with other images.",
                hint="Name another folder with --out, or remove this one.",
            )
        return
    labels = {f"{name}_labels": getattr(data, name).labels for name in _PARTS}
    names = {f"{name}_names": getattr(data, name).names for name in _PARTS}
    for name in _PARTS:
        with atomic.open_new(folder / f"{name}.npy") as file:
            np.save(file, np.ascontiguousarray(getattr(data, name).pixels), allow_pickle=False)
    buffer = io.BytesIO()
    np.savez(buffer, **labels, **names)
    atomic.write_bytes(folder / "labels.npz", buffer.getvalue())
    content = {"digest": own, "classes": data.classes, "skipped": data.skipped}
    atomic.write_text(about, json.dumps(content, indent=1, allow_nan=False) + "\n")


def stored_images(folder: Path) -> ImageData:
    """What ``store_images`` has kept; pixels are mapped, not read.

    Raises:
        InputError: it is not there, or damaged.
    """
    try:
        about = json.loads((folder / "about.json").read_text("utf-8"))
        with np.load(folder / "labels.npz", allow_pickle=False) as file:
            parts = [
                Pictures(
                    np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False),
                    file[f"{name}_labels"],
                    file[f"{name}_names"],
                )
                for name in _PARTS
            ]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(folder, f"its images cannot be read ({error})") from error
    return ImageData(tuple(about["classes"]), parts[0], parts[1], tuple(about["skipped"]))
