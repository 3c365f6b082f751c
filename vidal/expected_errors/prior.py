"""What other detectors teach about errors before there are labels: rows that come with vidal.

Judged rows of detectors of different strength on rendered clips (``tools/make_prior.py``). A model
of them says how many errors to expect of a frame when nothing is labelled yet; it was not learned
from the user's labels, and everything that it says is marked as a prior.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.expected_errors.examples import Examples, Judged
from vidal.types import FloatArray

PRIOR = Path(__file__).with_name("prior.npz")
"""The rows that come with the package."""
_KINDS = ("detections", "candidates")


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """Judged rows of other detectors.

    Attributes:
        judged: the rows.
        about: how they were made: seeds, strength of the detectors; JSON values.
    """

    judged: Judged
    about: Mapping[str, Any]


def write_prior(path: Path, judged: Judged, about: Mapping[str, Any]) -> None:
    """Keep rows as plain arrays, evidence in half precision."""
    arrays: dict[str, NDArray[Any]] = {}
    for kind in _KINDS:
        rows: Examples = getattr(judged, kind)
        arrays[f"{kind}.evidence"] = rows.evidence.astype(np.float16)
        arrays[f"{kind}.error"] = np.packbits(rows.error)
        arrays[f"{kind}.clip"] = rows.clip.astype(np.uint16)
        arrays[f"{kind}.frame"] = rows.frame.astype(np.uint16)
    told = {"columns": judged.columns, "missed": judged.missed, "about": about}
    arrays["@"] = np.frombuffer(json.dumps(told).encode(), np.uint8)
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


@cache
def shipped_prior() -> Prior:
    """The rows that come with the package."""
    with np.load(PRIOR, allow_pickle=False) as arrays:
        told = json.loads(arrays["@"].tobytes())
        kinds = [_examples(arrays, kind) for kind in _KINDS]
    judged = Judged(tuple(told["columns"]), kinds[0], kinds[1], told["missed"])
    return Prior(judged, told["about"])


def _examples(arrays: Mapping[str, NDArray[Any]], kind: str) -> Examples:
    evidence = arrays[f"{kind}.evidence"].astype(np.float32)
    count = len(evidence)
    return Examples(
        evidence,
        np.unpackbits(arrays[f"{kind}.error"], count=count).astype(np.bool_),
        arrays[f"{kind}.clip"].astype(np.int64),
        arrays[f"{kind}.frame"].astype(np.int64),
        np.ones(count, np.bool_),
    )


def with_columns(judged: Judged, columns: tuple[str, ...]) -> Judged:
    """The rows with these columns, in this order; NaN where they do not have one."""
    place = {name: at for at, name in enumerate(judged.columns)}

    def ordered(rows: Examples) -> Examples:
        evidence: FloatArray = np.full((len(rows), len(columns)), np.nan, np.float32)
        for at, name in enumerate(columns):
            if name in place:
                evidence[:, at] = rows.evidence[:, place[name]]
        return Examples(evidence, rows.error, rows.clip, rows.frame, rows.random)

    return Judged(columns, ordered(judged.detections), ordered(judged.candidates), judged.missed)
