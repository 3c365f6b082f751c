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
from vidal.coherence.within import Part, estimate_part, least_halo

__all__ = [
    "Candidates",
    "CoherenceOptions",
    "Cut",
    "Graph",
    "Part",
    "Prepared",
    "Verdict",
    "build_graph",
    "candidates",
    "energy",
    "estimate",
    "estimate_part",
    "four_label_energy",
    "frame_counts",
    "least_halo",
    "link",
    "link_share",
    "minimum_cut",
    "prepare",
    "support",
    "verdicts",
]
