"""The minimum cut, by either of two solvers, with ties broken by rule and never by a solver.

The optimal labellings form a lattice, so there is one with the fewest objects (*bottom*) and one
with the most (*top*). A node has an object if it is on the sink's side: a detection pays its
false-positive cost on the source's side (edge to the sink), a candidate its false-negative cost on
the sink's side (edge from the source). Bottom = the nodes that can still reach the sink in the
residual graph; top = all but those that the source still reaches.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from vidal.arrays import components
from vidal.coherence.energy import Graph
from vidal.coherence.options import Solver, Tie
from vidal.errors import UsageError
from vidal.types import BoolArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A minimum cut.

    Attributes:
        exists: (N + M,) bool: nodes that have an object.
        flow: value of the maximum flow = the minimum energy.
    """

    exists: BoolArray
    flow: int


def minimum_cut(
    graph: Graph, *, tie: Tie = "bottom", solver: Solver = "auto", held: IntArray | None = None
) -> Cut:
    """The labelling of least energy.

    Components without a candidate need no solver: all their detections are right, at energy 0.

    Args:
        graph: the nodes and edges.
        tie: which of several optimal labellings.
        solver: ``auto`` takes PyMaxflow if it is installed, else SciPy.
        held: (N + M,) 1 and -1 where a node's label is given, with an object and without; else 0.
            With these the energy is the same up to a constant.

    Raises:
        UsageError: ``maxflow`` was asked for and is not installed.
    """
    exists = ~graph.is_candidate
    held = np.zeros(graph.nodes, np.int64) if held is None else held
    active = np.flatnonzero(_with_candidates(graph, held))
    if not len(active):
        return Cut(exists, 0)
    place = np.full(graph.nodes, -1, dtype=np.int64)
    place[active] = np.arange(len(active))
    inside = place[graph.src] >= 0
    solve = _maxflow if _choose(solver) == "maxflow" else _scipy
    candidate = graph.is_candidate[active]
    source = np.where(candidate, graph.false_negative_cost, 0).astype(np.int64)
    sink = np.where(candidate, 0, graph.false_positive_cost).astype(np.int64)
    # More than all that a node could save by another label.
    most = graph.weight * _degree(graph)[active] + source + sink + 1
    source = np.where(held[active] < 0, most, source)
    sink = np.where(held[active] > 0, most, sink)
    ends = place[graph.src[inside]], place[graph.dst[inside]]
    exists[active], flow = solve(source, sink, ends, graph.weight, tie)
    return Cut(exists, flow)


def _choose(solver: Solver) -> Solver:
    installed = find_spec("maxflow") is not None
    if solver == "maxflow" and not installed:
        raise UsageError(
            "solver 'maxflow': PyMaxflow is not installed.",
            hint="Use solver 'scipy' (same labels), or: pip install 'vidal-al[maxflow]'",
        )
    if solver == "auto":
        return "maxflow" if installed else "scipy"
    return solver


def _with_candidates(graph: Graph, held: IntArray) -> BoolArray:
    """(N + M,) bool: nodes of components that have a candidate, or a label that is given."""
    if not graph.candidates and not held.any():
        return np.zeros(graph.nodes, dtype=np.bool_)
    component = components(graph.nodes, graph.src, graph.dst)
    touched = np.zeros(int(component.max()) + 1, dtype=np.bool_)
    touched[component[graph.detections :]] = True
    touched[component[held != 0]] = True
    return touched[component]


def _degree(graph: Graph) -> IntArray:
    """(N + M,) number of edges of every node."""
    ends = np.concatenate([graph.src, graph.dst])
    return np.bincount(ends, minlength=graph.nodes).astype(np.int64)


def _maxflow(
    source: IntArray, sink: IntArray, ends: tuple[IntArray, IntArray], weight: int, tie: Tie
) -> tuple[BoolArray, int]:
    """The Boykov-Kolmogorov solver of PyMaxflow (GPL, optional)."""
    import maxflow

    graph = maxflow.GraphInt(len(source), len(ends[0]))
    nodes = graph.add_nodes(len(source))
    capacity = np.full(len(ends[0]), weight, dtype=np.int64)
    graph.add_edges(*ends, capacity, capacity)
    # It puts on the sink's side exactly what can still reach the sink; for the other extreme
    # source and sink change places.
    if tie == "top":
        source, sink = sink, source
    graph.add_grid_tedges(nodes, source, sink)
    flow = int(graph.maxflow())
    reaches = np.asarray(graph.get_grid_segments(nodes), dtype=np.bool_)
    return (~reaches if tie == "top" else reaches), flow


def _scipy(
    source: IntArray, sink: IntArray, ends: tuple[IntArray, IntArray], weight: int, tie: Tie
) -> tuple[BoolArray, int]:
    """SciPy's maximum flow, and a search of the residual graph from one terminal."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    count = len(source)
    first, last = count, count + 1
    paid, earned = np.flatnonzero(source), np.flatnonzero(sink)
    rows = np.concatenate([ends[0], ends[1], np.full(len(paid), first), earned])
    columns = np.concatenate([ends[1], ends[0], paid, np.full(len(earned), last)])
    # SciPy before 1.14 takes 32-bit indices alone.
    rows, columns = rows.astype(np.int32), columns.astype(np.int32)
    values = np.concatenate([np.full(2 * len(ends[0]), weight), source[paid], sink[earned]])
    shape = (count + 2, count + 2)
    capacity = coo_array((values.astype(np.int32), (rows, columns)), shape=shape).tocsr()
    result = maximum_flow(capacity, first, last)
    residual = (capacity - result.flow).tocsr()
    residual.eliminate_zeros()
    if tie == "bottom":
        residual = residual.T.tocsr()
    start = last if tie == "bottom" else first
    reached = np.zeros(count + 2, dtype=np.bool_)
    reached[breadth_first_order(residual, start, return_predecessors=False)] = True
    side = reached[:count]
    return (side if tie == "bottom" else ~side), int(result.flow_value)
