"""Classes: what the detector saw, and how the labels of each grow by this query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vidal.report import figures
from vidal.report.evidence import Evidence
from vidal.selection.result import SelectionResult


def class_table(result: SelectionResult, evidence: Evidence) -> list[dict[str, Any]]:
    """One row a class that was detected, the most frequent in the pool first."""
    pool, selected = evidence.overview.pool, evidence.overview.selected
    sums = np.maximum(pool[0].sum(), 1), np.maximum(selected[0].sum(), 1)
    shares = pool[0] / sums[0], selected[0] / sums[1]
    widest = max(float(shares[0].max(initial=0)), float(shares[1].max(initial=0)), 1e-9)
    order = [k for k in np.argsort(-pool[0], kind="stable") if (pool[:, k] + selected[:, k]).any()]
    return [
        {
            "name": result.classes[k],
            "pool": [int(count) for count in pool[:, k]],
            "selected": [int(count) for count in selected[:, k]],
            "pool_share": figures.share(int(pool[0, k]), int(pool[0].sum())),
            "selected_share": figures.share(int(selected[0, k]), int(selected[0].sum())),
            "pool_bar": f"{100 * shares[0][k] / widest:.1f}",
            "selected_bar": f"{100 * shares[1][k] / widest:.1f}",
        }
        for k in order
    ]


def unseen(result: SelectionResult, evidence: Evidence) -> list[str]:
    """Classes without any detection."""
    pool, selected = evidence.overview.pool, evidence.overview.selected
    return [
        name for k, name in enumerate(result.classes) if not (pool[:, k] + selected[:, k]).any()
    ]


def labels_table(result: SelectionResult, evidence: Evidence) -> dict[str, Any] | None:
    """Labelled objects of each class before this query and with it; None where nothing is known.

    What the query adds is what was annotated, once that is known; else what is expected: the
    detections on its frames, less the likely false alarms, and the likely misses.
    """
    answered = result.labels_answered
    if answered is None and not evidence.detected:
        return None
    before = result.labels_before or {}
    added: Mapping[str, int]
    if answered is not None:
        added = answered
    else:
        selected = evidence.overview.selected
        counts = selected[0] - selected[1] + selected[2]
        added = {name: int(n) for name, n in zip(result.classes, counts, strict=True) if n}
    names = [*result.classes, *(n for n in {**before, **added} if n not in result.classes)]
    total = {name: before.get(name, 0) + added.get(name, 0) for name in names}
    names = [name for name in sorted(names, key=lambda n: (n == "", -total[n])) if total[name]]
    most = max(total.values(), default=0) or 1
    return {
        "answered": answered is not None,
        "frames": result.frames_answered,
        "waiting": len(result.query) - result.frames_answered,
        "rows": [
            {
                "name": name or "unknown objects",
                "before": before.get(name, 0),
                "added": added.get(name, 0),
                "after": total[name],
                "before_bar": f"{100 * before.get(name, 0) / most:.1f}",
                "added_bar": f"{100 * added.get(name, 0) / most:.1f}",
            }
            for name in names
        ],
    }
