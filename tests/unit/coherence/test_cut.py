"""The minimum cut against enumeration of all labellings, and solver against solver.

The numbers are those of the properties that temporal coherence was specified by.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidal.coherence import Graph, energy, four_label_energy, minimum_cut, support, verdicts
from vidal.coherence import cut as cut_module
from vidal.coherence.options import Tie
from vidal.errors import UsageError
from vidal.types import BoolArray

TIES: tuple[Tie, Tie] = ("bottom", "top")


@st.composite
def graphs(draw: st.DrawFn, nodes: int = 12) -> Graph:
    """Small graphs with every kind of edge that links and candidates make, often with ties."""
    n = draw(st.integers(0, nodes))
    m = draw(st.integers(0, nodes - n)) if n else 0
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n + m)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    src, dst = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    cost = st.integers(1, 3)
    return Graph(n, m, src, dst, draw(st.integers(0, 3)), draw(cost), draw(cost))


def all_labellings(nodes: int) -> BoolArray:
    rows = list(product([False, True], repeat=nodes))
    return np.array(rows, dtype=np.bool_).reshape(2**nodes, nodes)


def enumerated(graph: Graph) -> tuple[int, BoolArray, BoolArray]:
    """Least energy, and the least and the largest of the labellings that reach it."""
    labellings = all_labellings(graph.nodes)
    values = np.array([energy(graph, exists) for exists in labellings])
    best = labellings[values == values.min()]
    return int(values.min()), np.logical_and.reduce(best), np.logical_or.reduce(best)


@settings(max_examples=60, deadline=None)
@given(graphs(nodes=9))
def test_labels_and_energy_are_those_of_enumeration(graph: Graph) -> None:
    """Properties 1, 3 and 23."""
    least, bottom, top = enumerated(graph)
    for solver in ("maxflow", "scipy"):
        for tie, expected in (("bottom", bottom), ("top", top)):
            found = minimum_cut(graph, tie=tie, solver=solver)  # type: ignore[arg-type]
            np.testing.assert_array_equal(found.exists, expected)
            assert found.flow == energy(graph, found.exists) == least


def test_labels_are_those_of_enumeration_for_twelve_nodes() -> None:
    """Property 1 at its full size, on graphs that are dense enough to have ties."""
    rng = np.random.default_rng(5)
    ties = 0
    for _ in range(4):
        first, second = np.triu_indices(12, 1)
        keep = (rng.random(len(first)) < 0.35) & (first < 7)
        graph = Graph(7, 5, first[keep], second[keep])
        least, bottom, top = enumerated(graph)
        ties += int((bottom != top).any())
        np.testing.assert_array_equal(minimum_cut(graph, tie="bottom").exists, bottom)
        np.testing.assert_array_equal(minimum_cut(graph, tie="top").exists, top)
        assert minimum_cut(graph).flow == least
    assert ties > 0


@settings(max_examples=25, deadline=None)
@given(graphs(nodes=5))
def test_four_label_energy_has_the_same_minimum_as_the_binary_one(graph: Graph) -> None:
    """Property 2: over all 4^n verdicts."""
    least = min(
        four_label_energy(graph, np.array(labels, dtype=np.int64))
        for labels in product(range(4), repeat=graph.nodes)
    )
    assert least == minimum_cut(graph).flow


@given(graphs())
def test_energy_of_existence_is_the_four_label_energy_of_its_verdicts(graph: Graph) -> None:
    exists = minimum_cut(graph).exists
    for labelling in (exists, ~exists):
        assert four_label_energy(graph, verdicts(graph, labelling)) == energy(graph, labelling)


@pytest.mark.parametrize("tie", TIES)
@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_solvers_give_the_same_labels_bit_for_bit_on_larger_graphs(tie: Tie, seed: int) -> None:
    """Property 23: beyond what can be enumerated; integer weights make ties common."""
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(1, 60)), int(rng.integers(0, 60))
    first, second = np.triu_indices(n + m, 1)
    keep = (rng.random(len(first)) < rng.uniform(0.01, 0.2)) & (first < n)
    costs = (int(cost) for cost in rng.integers(1, 3, size=3))
    graph = Graph(n, m, first[keep], second[keep], *costs)
    one, two = (minimum_cut(graph, tie=tie, solver=solver) for solver in ("maxflow", "scipy"))
    np.testing.assert_array_equal(one.exists, two.exists)
    assert one.flow == two.flow == energy(graph, one.exists)


@given(graphs())
def test_energy_is_at_most_that_of_the_three_simple_answers(graph: Graph) -> None:
    """Property 4: trust everything, call all detections false, call all candidates missed."""
    mixed = int(np.count_nonzero(graph.dst >= graph.detections))
    assert minimum_cut(graph).flow <= min(
        graph.weight * mixed,
        graph.false_positive_cost * graph.detections,
        graph.false_negative_cost * graph.candidates,
    )


@given(graphs())
def test_without_candidates_everything_is_right_at_no_cost(graph: Graph) -> None:
    """Property 5."""
    inside = graph.dst < graph.detections
    bare = replace(graph, candidates=0, src=graph.src[inside], dst=graph.dst[inside])
    for tie in TIES:
        found = minimum_cut(bare, tie=tie)
        assert found.flow == 0
        assert found.exists.all()


@given(graphs(nodes=8), graphs(nodes=8), st.sampled_from(TIES))
def test_an_unrelated_component_changes_no_label_and_adds_its_own_energy(
    one: Graph, other: Graph, tie: Tie
) -> None:
    """Property 6; an isolated detection is the smallest such component."""
    other = replace(
        other,
        weight=one.weight,
        false_positive_cost=one.false_positive_cost,
        false_negative_cost=one.false_negative_cost,
    )
    n = one.detections + other.detections
    places = [
        np.concatenate([np.arange(one.detections), n + np.arange(one.candidates)]),
        np.concatenate(
            [
                one.detections + np.arange(other.detections),
                n + one.candidates + np.arange(other.candidates),
            ]
        ),
    ]
    union = replace(
        one,
        detections=n,
        candidates=one.candidates + other.candidates,
        src=np.concatenate([places[0][one.src], places[1][other.src]]),
        dst=np.concatenate([places[0][one.dst], places[1][other.dst]]),
    )
    found = minimum_cut(union, tie=tie)
    parts = [minimum_cut(graph, tie=tie) for graph in (one, other)]
    for place, part in zip(places, parts, strict=True):
        np.testing.assert_array_equal(found.exists[place], part.exists)
    assert found.flow == sum(part.flow for part in parts)


@given(graphs())
def test_bottom_has_no_object_that_top_has_not(graph: Graph) -> None:
    """Property 7: false positives of bottom contain those of top, missed objects the reverse."""
    bottom, top = (minimum_cut(graph, tie=tie).exists for tie in TIES)
    assert not (bottom & ~top).any()


@given(graphs(), st.integers(0, 2**32 - 1), st.sampled_from(TIES))
def test_order_of_nodes_and_edges_does_not_matter(graph: Graph, seed: int, tie: Tie) -> None:
    """Property 8."""
    rng = np.random.default_rng(seed)
    place = np.concatenate(
        [
            rng.permutation(graph.detections),
            graph.detections + rng.permutation(graph.candidates),
        ]
    )
    edges = rng.permutation(len(graph.src))
    mixed = replace(graph, src=place[graph.src][edges], dst=place[graph.dst][edges])
    flipped = replace(graph, src=graph.dst, dst=graph.src)
    expected = minimum_cut(graph, tie=tie).exists
    for solver in ("maxflow", "scipy"):
        found = minimum_cut(mixed, tie=tie, solver=solver)  # type: ignore[arg-type]
        np.testing.assert_array_equal(found.exists[place], expected)
        again = minimum_cut(flipped, tie=tie, solver=solver)  # type: ignore[arg-type]
        np.testing.assert_array_equal(again.exists, expected)


@given(graphs(), st.integers(2, 50), st.sampled_from(TIES))
def test_scaling_all_costs_changes_no_label(graph: Graph, factor: int, tie: Tie) -> None:
    """Property 10."""
    scaled = replace(
        graph,
        weight=graph.weight * factor,
        false_positive_cost=graph.false_positive_cost * factor,
        false_negative_cost=graph.false_negative_cost * factor,
    )
    one, two = minimum_cut(graph, tie=tie), minimum_cut(scaled, tie=tie)
    np.testing.assert_array_equal(one.exists, two.exists)
    assert two.flow == factor * one.flow


@given(graphs(), st.integers(1, 4))
def test_dearer_false_positives_give_more_objects_and_dearer_misses_fewer(
    graph: Graph, more: int
) -> None:
    """Property 11."""
    exists = minimum_cut(graph).exists
    dearer = replace(graph, false_positive_cost=graph.false_positive_cost + more)
    assert not (exists & ~minimum_cut(dearer).exists).any()
    dearer = replace(graph, false_negative_cost=graph.false_negative_cost + more)
    assert not (minimum_cut(dearer).exists & ~exists).any()


@given(graphs())
def test_candidate_is_missed_exactly_where_its_true_neighbours_outvote_the_rest(
    graph: Graph,
) -> None:
    """Property 12: 2 w p > b + w m; equality is a tie, which bottom and top decide."""
    for tie in TIES:
        exists = minimum_cut(graph, tie=tie).exists
        degree, present = support(graph, exists)
        votes = 2 * graph.weight * present - graph.weight * degree - graph.false_negative_cost
        expected = votes > 0 if tie == "bottom" else votes >= 0
        np.testing.assert_array_equal(exists[graph.detections :], expected[graph.detections :])


def test_maxflow_asked_for_but_not_installed_is_refused_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cut_module, "find_spec", lambda name: None)
    edge = np.array([0]), np.array([1])
    graph = Graph(1, 1, *edge)
    with pytest.raises(UsageError, match=r"pip install 'vidal-al\[maxflow\]'"):
        minimum_cut(graph, solver="maxflow")
    assert minimum_cut(graph, solver="auto").exists.tolist() == [False, False]


def test_hand_computed_graph() -> None:
    """Detections 0, 1 expect candidate 2; detection 3 expects candidates 4 and 5 alone.

    The pair outvotes its candidate (1 < 2): missed, energy 1. Detection 3 is cheaper false (1)
    than against two candidates (2).
    """
    graph = Graph(3, 3, np.array([0, 1, 0, 2, 2]), np.array([3, 3, 1, 4, 5]))
    found = minimum_cut(graph)
    assert found.exists.tolist() == [True, True, False, True, False, False]
    assert found.flow == 2
    assert verdicts(graph, found.exists).tolist() == [0, 0, 1, 3, 2, 2]
