"""From detections and their tracks to an estimate of the detector's errors."""

from __future__ import annotations

import logging

import numpy as np

from vidal.coherence.candidates import Candidates, candidates
from vidal.coherence.cut import minimum_cut
from vidal.coherence.energy import Graph, support
from vidal.coherence.link import link
from vidal.coherence.options import CoherenceOptions
from vidal.types import BoolArray, Carried, Detections, ErrorEstimate, FloatArray, IntArray, Links

_log = logging.getLogger(__name__)

FEW_LINKS = 0.5
"""Share of linked detections below which the estimate is doubtful: noisy tracks or a large theta
turn most detections into errors."""


def estimate(
    detections: Detections, carried: Carried, options: CoherenceOptions, *, size: tuple[int, int]
) -> ErrorEstimate:
    """Judge every detection, and every place where one may be missing, by its neighbour frames.

    The confidences are local evidence, not probabilities. With m neighbours in the graph of which
    p have an object, weight w and costs a (false positive) and b (missed):
    ``w (m - p) / (w m + a)`` for a detection and ``w p / (w m + b)`` for a candidate. Either is
    above 0.5 exactly where its neighbours alone decide for an error, 0.5 at a tie, and 0 without
    neighbours.

    Args:
        detections: the N rows to judge, as ``prepare`` returns them.
        carried: those rows carried to their neighbour frames (``origin`` counts these rows).
        options: how to link, cluster and cut.
        size: (H, W) of the frames.

    Returns:
        Verdicts; ``rows`` is 0..N-1.

    Raises:
        UsageError: the solver asked for is not installed.
    """
    links = link(detections, carried, options, size=size)
    found = candidates(detections, links, options, size=size)
    graph = build_graph(len(detections), links, found, options)
    cut = minimum_cut(graph, tie=options.tie, solver=options.solver)
    wrong, missing = confidences(graph, cut.exists)
    share = link_share(links, len(detections))
    if np.count_nonzero(detections.scanned) > 1:
        warn_few_links(share, len(detections), options)
    return ErrorEstimate(
        rows=np.arange(len(detections), dtype=np.int64),
        false_positive=~cut.exists[: len(detections)],
        false_positive_confidence=wrong,
        missed_frame=found.frame,
        missed_boxes=found.boxes,
        missed_label=found.labels,
        missed=cut.exists[len(detections) :],
        missed_confidence=missing,
        energy=float(cut.flow),
        link_share=share,
    )


def warn_few_links(share: float, detections: int, options: CoherenceOptions) -> None:
    """Say that an estimate is doubtful, where so few of a clip's detections are linked."""
    if share < FEW_LINKS:
        _log.warning(
            "only %.0f %% of %d detections are linked to another frame; "
            "the motion or theta %g may not suit this clip",
            100 * share,
            detections,
            options.theta,
        )


def frame_counts(errors: ErrorEstimate, frame: IntArray, frames: int) -> FloatArray:
    """(F, 2) float32: estimated false positives and missed objects of every frame.

    Args:
        errors: verdicts on the rows ``errors.rows`` of a table.
        frame: that table's ``frame`` column.
        frames: F, length of the clip.
    """
    false = frame[errors.rows[errors.false_positive]]
    missed = errors.missed_frame[errors.missed]
    counts = [np.bincount(where, minlength=frames) for where in (false, missed)]
    return np.stack(counts, axis=1).astype(np.float32)


def build_graph(rows: int, links: Links, found: Candidates, options: CoherenceOptions) -> Graph:
    """The graph of the judged detections, their links, and the candidates they expect."""
    return Graph(
        detections=rows,
        candidates=len(found),
        src=np.concatenate([links.src, found.origin]),
        dst=np.concatenate([links.dst, found.candidate + rows]),
        weight=options.weight,
        false_positive_cost=options.false_positive_cost,
        false_negative_cost=options.false_negative_cost,
    )


def link_share(links: Links, rows: int) -> float:
    """Share of detections with at least one link, in [0, 1]; 1 where there are none."""
    if not rows:
        return 1.0
    return len(np.unique(np.concatenate([links.src, links.dst]))) / rows


def confidences(graph: Graph, exists: BoolArray) -> tuple[FloatArray, FloatArray]:
    """(N,) and (M,) float32: local evidence of errors, see ``estimate``."""
    degree, present = support(graph, exists)
    n, w = graph.detections, graph.weight
    wrong = w * (degree - present)[:n] / (w * degree[:n] + graph.false_positive_cost)
    missing = w * present[n:] / (w * degree[n:] + graph.false_negative_cost)
    return wrong.astype(np.float32), missing.astype(np.float32)
