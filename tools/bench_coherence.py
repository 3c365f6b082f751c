"""Cost of temporal coherence after flow, against the same computed box by box.

    python tools/bench_coherence.py --frames 250 --objects 6

The box-by-box version is written as one would at first: loops over detections, steps and frames,
one ``add_edge`` a link. Its verdicts are compared with the library's before anything is timed.
Times are CPU times of this process.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable
from typing import Any

import maxflow
import numpy as np

from vidal.coherence import CoherenceOptions, build_graph, candidates, estimate, link, minimum_cut
from vidal.track import FlowField, propagate
from vidal.types import Detections, ErrorEstimate

SIZE = (300, 480)
Box = tuple[float, float, float, float]


def scene(frames: int, objects: int, rng: np.random.Generator) -> tuple[Detections, FlowField]:
    """Objects on a ground that pans; 10 % misses, 0.15 false boxes a frame, 4 % jitter."""
    flow = np.tile(np.float16([2, 0.5]), (frames - 1, 75, 120, 1))
    valid = np.ones(frames - 1, dtype=np.bool_)
    field = FlowField(flow, -flow, valid, SIZE)
    side = rng.uniform(14, 60, (objects, 2))
    start = rng.uniform(0, np.array([480, 300]) - side)
    place = (start + np.arange(frames)[:, None, None] * [2, 0.5]) % (np.array([480, 300]) - side)
    seen = rng.random((frames, objects)) > 0.1
    frame, number = np.nonzero(seen)
    corner, sides = place[frame, number], side[number]
    false = np.repeat(np.arange(frames), rng.poisson(0.15, frames))
    frame = np.concatenate([frame, false])
    corner = np.concatenate([corner, rng.uniform(0, [420, 240], (len(false), 2))])
    sides = np.concatenate([sides, rng.uniform(14, 60, (len(false), 2))])
    corner = corner + rng.normal(0, 0.04, corner.shape) * sides
    labels = np.concatenate([number % 3, rng.integers(0, 3, len(false))])
    order = np.argsort(frame, kind="stable")
    n = len(frame)
    table = Detections(
        classes=("car", "person", "cyclist"),
        scanned=np.ones(frames, dtype=np.bool_),
        frame=frame[order],
        boxes=np.concatenate([corner, corner + sides], axis=1)[order],
        scores=np.full(n, 0.9),
        labels=labels[order],
        probs=np.zeros((n, 4)),
        features=np.zeros((n, 0)),
        embedding=np.zeros((frames, 0)),
    )
    return table, field


def overlap(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def clipped(box: Box) -> Box:
    height, width = SIZE
    return (
        min(max(box[0], 0), width),
        min(max(box[1], 0), height),
        min(max(box[2], 0), width),
        min(max(box[3], 0), height),
    )


def naive_tracks(table: Detections, field: FlowField, window: int) -> dict[tuple[int, int], Box]:
    """(row, frame) -> box, one box and one step at a time."""
    tracks = {}
    for row in range(len(table)):
        for direction in (1, -1):
            box, frame = table.boxes[row : row + 1], int(table.frame[row])
            for _ in range(window):
                if not 0 <= frame + direction < table.frames:
                    break
                box, _ = field.step(np.array([frame]), np.array([frame + direction]), box)
                frame += direction
                whole: Box = tuple(float(value) for value in box[0])  # type: ignore[assignment]
                part = clipped(whole)
                own = (whole[2] - whole[0]) * (whole[3] - whole[1])
                if (part[2] - part[0]) * (part[3] - part[1]) < 0.25 * own:
                    break
                tracks[row, frame] = whole
    return tracks


def naive_links(
    table: Detections, tracks: dict[tuple[int, int], Box], theta: float
) -> tuple[set[tuple[int, int]], dict[int, list[tuple[int, Box]]]]:
    """Links, and the unmatched tracks of every frame."""
    boxes = [clipped(tuple(map(float, box))) for box in table.boxes]  # type: ignore[arg-type]
    rows: dict[int, list[int]] = {}
    for row, frame in enumerate(table.frame.tolist()):
        rows.setdefault(frame, []).append(row)
    links = set()
    for (row, frame), box in tracks.items():
        for other in rows.get(frame, []):
            same = table.labels[row] == table.labels[other]
            if same and overlap(clipped(box), boxes[other]) > theta:
                links.add((min(row, other), max(row, other)))
    linked = {(a, int(table.frame[b])) for a, b in links}
    linked |= {(b, int(table.frame[a])) for a, b in links}
    unmatched: dict[int, list[tuple[int, Box]]] = {}
    for (row, frame), box in tracks.items():
        if (row, frame) not in linked:
            unmatched.setdefault(frame, []).append((row, clipped(box)))
    return links, unmatched


def naive_clusters(
    table: Detections, unmatched: dict[int, list[tuple[int, Box]]]
) -> list[tuple[int, list[int]]]:
    """Frame and detections of every connected component of overlap above 0.5."""
    clusters = []
    for frame, found in unmatched.items():
        groups: list[list[tuple[int, Box]]] = []
        for track in found:
            near = [
                group
                for group in groups
                if any(
                    table.labels[track[0]] == table.labels[row] and overlap(track[1], box) > 0.5
                    for row, box in group
                )
            ]
            groups = [group for group in groups if not any(group is other for other in near)]
            groups.append([track, *(member for group in near for member in group)])
        clusters += [(frame, [row for row, _ in group]) for group in groups]
    return clusters


def naive_estimate(
    table: Detections, tracks: dict[tuple[int, int], Box], options: CoherenceOptions
) -> tuple[list[bool], list[int], int]:
    """False positives, frames of missed objects, energy."""
    links, unmatched = naive_links(table, tracks, options.theta)
    clusters = naive_clusters(table, unmatched)
    graph = maxflow.GraphInt()
    for _ in range(len(table) + len(clusters)):
        graph.add_nodes(1)
    for row in range(len(table)):
        graph.add_tedge(row, 0, 1)
    for number, (_, rows) in enumerate(clusters):
        graph.add_tedge(len(table) + number, 1, 0)
        for row in rows:
            graph.add_edge(row, len(table) + number, 1, 1)
    for first, second in links:
        graph.add_edge(first, second, 1, 1)
    energy = graph.maxflow()
    false = [graph.get_segment(row) == 0 for row in range(len(table))]
    missed = [
        frame
        for number, (frame, _) in enumerate(clusters)
        if graph.get_segment(len(table) + number) == 1
    ]
    return false, sorted(missed), energy


def per_frame(work: Callable[[], Any], frames: int, repeat: int) -> float:
    """ms of CPU a frame, the best of ``repeat`` runs."""
    best = float("inf")
    for _ in range(repeat):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return 1000 * best / frames


def check(errors: ErrorEstimate, naive: tuple[list[bool], list[int], int]) -> None:
    same = (
        errors.false_positive.tolist() == naive[0]
        and errors.missed_frame[errors.missed].tolist() == naive[1]
        and errors.energy == naive[2]
    )
    if not same:
        raise SystemExit("the two versions disagree")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=250)
    parser.add_argument("--objects", type=int, default=6)
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    f, options = given.frames, CoherenceOptions()
    table, field = scene(f, given.objects, np.random.default_rng(given.seed))
    carried = propagate(table, field, window=options.window, size=SIZE)
    errors = estimate(table, carried, options, size=SIZE)
    tracks = naive_tracks(table, field, options.window)
    check(errors, naive_estimate(table, tracks, options))
    print(
        f"{f} frames, {len(table) / f:.1f} detections a frame, {len(carried)} carried boxes, "
        f"{len(errors.missed)} candidates, {100 * errors.link_share:.0f} % linked; both agree"
    )
    links = link(table, carried, options, size=SIZE)
    found = candidates(table, links, options, size=SIZE)
    graph = build_graph(len(table), links, found, options)

    def carry() -> object:
        return propagate(table, field, window=options.window, size=SIZE)

    def judge() -> object:
        return estimate(table, carried, options, size=SIZE)

    own = per_frame(carry, f, given.repeat), per_frame(judge, f, given.repeat)
    slow = (
        per_frame(lambda: naive_tracks(table, field, options.window), f, 1),
        per_frame(lambda: naive_estimate(table, tracks, options), f, 1),
    )
    for name, mine, theirs in zip(("propagate", "link + candidates + cut"), own, slow, strict=True):
        print(f"{name:26} {mine:.4f} ms a frame; box by box {theirs:.3f}; {theirs / mine:.0f} x")
    print(f"{'together':26} {sum(own):.4f} ms a frame, {1000 / sum(own):,.0f} frames a second")
    for name, work in (
        ("  link", lambda: link(table, carried, options, size=SIZE)),
        ("  candidates", lambda: candidates(table, links, options, size=SIZE)),
        ("  cut, PyMaxflow", lambda: minimum_cut(graph, solver="maxflow")),
        ("  cut, SciPy", lambda: minimum_cut(graph, solver="scipy")),
    ):
        print(f"{name:26} {per_frame(work, f, given.repeat):.4f} ms a frame")


if __name__ == "__main__":
    main()
