"""The estimate of a stretch of a clip that is, to the bit, the part of the whole clip's.

Links and candidates look a few frames around them; the minimum cut does not, in principle: labels
may depend on labels along a chain of links of any length. But the energy is submodular, so that the
labels of its least (or greatest) minimiser rise with the labels that are given at the ends of a
stretch (Topkis 1978; persistency of min-cuts: Hammer, Hansen and Simeone 1984). The stretch is
therefore cut twice, with no object at all at its open ends and with objects everywhere: where both
agree, the whole clip's cut agrees with them, whatever lies beyond. Where they do not, more of the
clip has to be looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidal.coherence.candidates import candidates
from vidal.coherence.cut import minimum_cut
from vidal.coherence.energy import Graph
from vidal.coherence.estimate import build_graph, confidences
from vidal.coherence.link import link
from vidal.coherence.options import CoherenceOptions
from vidal.types import BoolArray, Carried, Detections, ErrorEstimate, IntArray, Links


@dataclass(frozen=True, slots=True)
class Part:
    """Frames ``start`` to ``stop`` of a stretch are wanted.

    Attributes:
        start, stop: half-open, counted from the first frame of the stretch.
        before, after: whether the clip goes on before and after the stretch.
    """

    start: int
    stop: int
    before: bool
    after: bool


def least_halo(options: CoherenceOptions) -> int:
    """Frames around the wanted ones without which nothing can be said."""
    return 4 * options.window


def estimate_part(
    detections: Detections,
    carried: Carried,
    options: CoherenceOptions,
    part: Part,
    *,
    size: tuple[int, int],
) -> ErrorEstimate | None:
    """The verdicts on the wanted frames of a stretch; see ``estimate``.

    Args:
        detections: the N rows of the stretch to judge, as ``prepare`` returns them.
        carried: those rows carried to their neighbour frames within the stretch.
        options: how to link, cluster and cut.
        part: which frames are wanted; at least ``least_halo`` from an open end.
        size: (H, W) of the frames.

    Returns:
        ``rows`` count rows of ``detections``, ``missed_frame`` counts from the wanted part's first
        frame; ``energy`` is its share of the whole clip's. None: the ends are too near to tell.
    """
    links = link(detections, carried, options, size=size)
    found = candidates(detections, links, options, size=size)
    graph = build_graph(len(detections), links, found, options)
    frame = np.concatenate([detections.frame, found.frame])
    cut = _cut(graph, frame, options, part, detections.frames)
    if cut is None:
        return None
    wrong, missing = confidences(graph, cut)
    mine = (frame >= part.start) & (frame < part.stop)
    rows, places = mine[: len(detections)], mine[len(detections) :]
    return ErrorEstimate(
        rows=np.flatnonzero(rows),
        false_positive=~cut[: len(detections)][rows],
        false_positive_confidence=wrong[rows],
        missed_frame=found.frame[places] - part.start,
        missed_boxes=found.boxes[places],
        missed_label=found.labels[places],
        missed=cut[len(detections) :][places],
        missed_confidence=missing[places],
        energy=float(_energy(graph, cut, mine)),
        link_share=_share(links, rows),
    )


def _cut(
    graph: Graph, frame: IntArray, options: CoherenceOptions, part: Part, frames: int
) -> BoolArray | None:
    """(N + M,) bool: nodes with an object; those near an open end may be wrong."""
    # Candidates of the outermost ``window`` frames may lack tracks; nodes of the next ones, links.
    known = np.ones(len(frame), np.bool_)
    if part.before:
        known &= frame >= 2 * options.window
    if part.after:
        known &= frame < frames - 2 * options.window
    if known.all():
        return minimum_cut(graph, tie=options.tie, solver=options.solver).exists
    inner = known[graph.src] | known[graph.dst]
    inside = Graph(
        graph.detections,
        graph.candidates,
        graph.src[inner],
        graph.dst[inner],
        graph.weight,
        graph.false_positive_cost,
        graph.false_negative_cost,
    )
    least, most = (
        minimum_cut(
            inside, tie=options.tie, solver=options.solver, held=np.where(known, 0, label)
        ).exists
        for label in (-1, 1)
    )
    # The neighbours of what is wanted say how sure a verdict is.
    asked = frame >= part.start - options.window
    asked &= frame < part.stop + options.window
    return None if (least != most)[asked].any() else least


def _energy(graph: Graph, exists: BoolArray, mine: BoolArray) -> int:
    """Of some nodes, and of the edges that begin at them."""
    first = mine[graph.src]
    differ = np.count_nonzero(exists[graph.src[first]] != exists[graph.dst[first]])
    absent = np.count_nonzero(~exists[: graph.detections] & mine[: graph.detections])
    found = np.count_nonzero(exists[graph.detections :] & mine[graph.detections :])
    return int(
        graph.false_positive_cost * absent
        + graph.false_negative_cost * found
        + graph.weight * differ
    )


def _share(links: Links, rows: BoolArray) -> float:
    """Share of some rows with a link; 1 where there are none."""
    total = int(np.count_nonzero(rows))
    linked = np.unique(np.concatenate([links.src, links.dst]))
    return int(np.count_nonzero(rows[linked])) / total if total else 1.0
