"""Temporal coherence: links, candidates, energy, cut, error estimate.

Zolfaghari Bengar et al., "Temporal Coherence for Active Learning in Videos", ICCV Workshops 2019.
A journey: ``prepare`` -> (tracks by ``vidal.track.propagate``) -> ``estimate`` -> ``frame_counts``.
"""

from vidal.coherence.candidates import Candidates, candidates
from vidal.coherence.cut import Cut, minimum_cut
from vidal.coherence.energy import Graph, Verdict, energy, four_label_energy, support, verdicts
from vidal.coherence.estimate import build_graph, estimate, frame_counts, link_share
from vidal.coherence.link import link
from vidal.coherence.options import CoherenceOptions
from vidal.coherence.prepare import Prepared, prepare

__all__ = [
    "Candidates",
    "CoherenceOptions",
    "Cut",
    "Graph",
    "Prepared",
    "Verdict",
    "build_graph",
    "candidates",
    "energy",
    "estimate",
    "four_label_energy",
    "frame_counts",
    "link",
    "link_share",
    "minimum_cut",
    "prepare",
    "support",
    "verdicts",
]
