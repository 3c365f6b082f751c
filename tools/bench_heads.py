"""What the trained columns of the score strategies cost, on one core.

    python tools/bench_heads.py --out tools/results/heads.json

Items and regions are made up: a cloud for each class and one for the background, some overlapping.
Times are CPU seconds of this process: what else runs on the machine counts little.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import platform
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vidal.query.portable import fit_classifiers
from vidal.query.svm import margin_of_labelled
from vidal.selection.trained import HEAD_COLUMNS, column_makers
from vidal.types import BACKGROUND, Items

CLASSES = 4
SIZES = ((1_000, 192), (4_000, 192), (4_000, 1_024))
"""Labelled detections, and features of each: those of scenes-tiny, and of ResNet and MobileNet."""
REGIONS = 20_000


def made_up(items: int, width: int, seed: int) -> tuple[Items, Any]:
    """Labelled items, and features of the pool's regions."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(CLASSES + 1, width))
    answers = rng.integers(BACKGROUND, CLASSES, items)
    features = centres[answers] + 1.5 * rng.normal(size=(items, width))
    of_pool = centres[rng.integers(0, CLASSES + 1, REGIONS)]
    pool = (of_pool + 2.0 * rng.normal(size=(REGIONS, width))).astype(np.float16)
    columns = {
        "labels": np.where(rng.random(items) < 0.8, np.maximum(answers, 0), 0),
        "scores": rng.uniform(0.5, 1, items),
        "suppressed": rng.integers(1, 30, items),
    }
    return Items(features, np.full((items, CLASSES + 1), 0.2), answers, columns), pool


def seconds(items: int, width: int, seed: int) -> dict[str, float]:
    """CPU seconds of each column and of the two classifiers that strategies fit themselves."""
    labelled, pool = made_up(items, width, seed)
    found = {}
    for name, make in column_makers().items():
        assert name in HEAD_COLUMNS
        began = time.process_time()
        make(labelled, pool, np.random.default_rng(seed))
        found[name] = round(time.process_time() - began, 3)
    began = time.process_time()
    margin_of_labelled(pool, labelled)
    found["svm-margin"] = round(time.process_time() - began, 3)
    began = time.process_time()
    labels = labelled.column("labels")
    fit_classifiers(
        labels,
        labels == labelled.answers,
        labelled.column("suppressed"),
        labelled.column("scores"),
        CLASSES,
    )
    found["portable-pal"] = round(time.process_time() - began, 3)
    return found


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = [
        {
            "items": items,
            "features": width,
            "regions": REGIONS,
            "seconds": seconds(*each, args.seed),
        }
        for each in SIZES
        for items, width in [each]
    ]
    versions = {name: metadata.version(name) for name in ("numpy", "torch", "scikit-learn")}
    result = {
        "what": "CPU seconds on one core, once; made-up items",
        "seed": args.seed,
        "processor": platform.processor() or platform.machine(),
        "versions": {"python": platform.python_version(), **versions},
        "rows": rows,
    }
    args.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    for row in rows:
        print(row)


if __name__ == "__main__":
    main()
