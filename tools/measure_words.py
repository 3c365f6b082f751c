"""How often each word of a reason is right, and whether picks are near-copies.

    python tools/measure_words.py --data DIR --cache DIR [--json tools/results/words.json]

Words: real detectors with ground truth (YOLOX-nano on traffic cameras, three KITTI detectors) and
the shipped detector on rendered clips, before there are labels and with the labels of all other
clips. Near-copies: picks of the default strategy on the traffic cameras under several gaps and
turns, their least distance in time, and their true errors.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from measure_estimates import look
from real_detections import CONFIGURATIONS, TFL, sequences
from real_detections import Sequence as Entry

from vidal.boxes import overlapping
from vidal.coherence import CoherenceOptions
from vidal.detect.load import load_detector
from vidal.evaluate.intervals import bootstrap_interval
from vidal.evaluate.matching import ClipMatch, assign, match_clip, overlaps
from vidal.evaluate.true_errors import true_errors
from vidal.evidence.gather import clip_evidence, estimate_errors
from vidal.evidence.judge import judge
from vidal.evidence.verdicts import by_chances, by_cut
from vidal.expected_errors import (
    ErrorModel,
    Evidence,
    ExpectedErrorsOptions,
    Judged,
    fit,
    nothing_judged,
    prior_for,
)
from vidal.query.baselines import EveryNth, RandomR
from vidal.query.expected_errors import ExpectedErrors
from vidal.query.select import lift
from vidal.report.query_files import plain
from vidal.scenes import plan
from vidal.selection.notes import versions
from vidal.selection.pool import PoolClip, build_pool
from vidal.selection.sightings import sightings
from vidal.types import UNKNOWN, BoolArray, Clip, ErrorEstimate, Pool
from vidal.types.verdicts import ALARM, CORRECT, UNSURE, Verdicts

RENDERED = "scenes-tiny rendered"
SEED, RENDERED_CLIPS = 9101, 8
CHOSEN_WITH = (
    "thresholds of expected errors were chosen with all sequences of the four real detectors, and"
    " the rendered clips were looked at only afterwards; the least confidence of temporal"
    " coherence (0.8) was chosen when the figures of the rendered clips were known, too"
)
THRESHOLDS = (0.3, 0.5)
BLOCK = 25
"""Frames that are drawn together by the bootstrap: boxes of neighbouring frames are no new ones."""
SAME, COVERED = 0.3, 0.5
WINDOW = 3
GAPS = (0, 3, 12, "0.5s")
KINDS = {CORRECT: "likely correct", UNSURE: "unsure", ALARM: "likely false alarm"}


@dataclass(frozen=True, slots=True, eq=False)
class Judgeable:
    """One clip with all that words are made of, and the truth."""

    entry: Entry
    match: ClipMatch
    estimate: ErrorEstimate
    evidence: Evidence
    judged: Judged


def rendered() -> Iterator[Entry]:
    """Clips of the shipped detector, which has not seen them."""
    detector = load_detector("scenes-tiny", device="cpu")
    specs = plan(RENDERED_CLIPS, SEED, split="test", frames=(60, 100), rate=25)
    for spec in specs:
        clip, found, motion, truth = look(spec, detector)
        yield Entry(spec.name, found, truth, motion, clip.size)


def judgeable(entry: Entry, number: int, threshold: float) -> Judgeable:
    """One clip's estimates and truth."""
    table, options = entry.detections, ExpectedErrorsOptions(threshold=threshold)
    literal = CoherenceOptions(score_threshold=threshold)
    estimate = estimate_errors(table, entry.motion, literal, size=entry.size)
    match = match_clip(table, entry.truth, score_floor=threshold)
    evidence = clip_evidence(table, entry.motion, estimate, options, size=entry.size)
    judged = judge(evidence, table, entry.truth, threshold=threshold, clip=number)
    return Judgeable(entry, match, estimate, evidence, judged)


def models(clips: Sequence[Judgeable], threshold: float) -> Iterator[tuple[str, list[ErrorModel]]]:
    """What expects errors, one a clip: before labels, and with the labels of all other clips."""
    options, rng = ExpectedErrorsOptions(threshold=threshold), np.random.default_rng(0)
    columns = clips[0].judged.columns
    if prior_for(columns, options) is not None:
        before = fit(nothing_judged(columns), rng, options)
        yield "expected errors, no labels", [before] * len(clips)
    after = ExpectedErrorsOptions(threshold=threshold, prior=0.0)
    rest = [Judged.join([other.judged for other in clips if other is not clip]) for clip in clips]
    yield (
        "expected errors, labels of other clips",
        [fit(each, np.random.default_rng(0), after) for each in rest],
    )


def verdicts_of(clip: Judgeable, model: ErrorModel, *, learned: bool) -> Verdicts:
    """As a selection gives them."""
    rows = clip.evidence
    alarm, missed = model.false_positive(rows.detections), model.missed(rows.candidates)
    return by_chances(rows, alarm, missed, learned=learned)


Counted = dict[str, list[tuple[np.ndarray, np.ndarray]]]
"""Word -> of each clip (n,) blocks of frames and (n,) bool, whether it is right there."""


def count(clip: Judgeable, said: Verdicts, words: Counted) -> None:
    """Add what a clip's verdicts say, and whether it is so."""
    match = clip.match
    use = ~match.ignored[said.rows] & match.judged[said.rows]
    frame = match.detections.frame[said.rows]
    error, on = match.false_positive[said.rows], on_object(clip, said.rows)
    for kind, word in KINDS.items():
        mine = use & (said.kind == kind)
        block = frame[mine] // BLOCK
        is_so = f"{word}: is false (no object at IoU 0.5)" if kind == UNSURE else word
        words[is_so].append((block, error[mine] == (kind != CORRECT)))
        if kind != CORRECT:
            words[f"{word}: lies on no object (IoU {SAME})"].append((block, ~on[mine]))
    right, usable = right_misses(said, match)
    words["likely miss"].append((said.missed_frame[usable] // BLOCK, right[usable]))
    seen = np.array([bool(each) for each in seen_at(clip, said)], np.bool_)
    there = place_holds_object(clip, said)
    told = usable & seen
    words["seen in frames a-b, not in c: an object is there"].append(
        (said.missed_frame[told] // BLOCK, there[told])
    )


def on_object(clip: Judgeable, rows: np.ndarray) -> BoolArray:
    """(N,) whether detections lie on an object, whatever its class and whoever has it."""
    table, truth = clip.match.detections, clip.match.truth
    left, _, _ = overlapping(
        (table.frame[rows], table.boxes[rows]), (truth.frame, truth.boxes), SAME
    )
    found = np.zeros(len(rows), np.bool_)
    found[left] = True
    return found


def place_holds_object(clip: Judgeable, said: Verdicts) -> BoolArray:
    """(M,) whether an object lies at the place of a likely miss, detected or not."""
    truth = clip.match.truth
    left, _, _ = overlapping(
        (said.missed_frame, said.missed_boxes), (truth.frame, truth.boxes), SAME
    )
    found = np.zeros(len(said.missed_frame), np.bool_)
    found[left] = True
    return found


def seen_at(clip: Judgeable, said: Verdicts) -> list[tuple[int, ...]]:
    """Of places without any detection: the neighbouring frames that show the object."""
    places = said.missed_frame, said.missed_boxes
    found = sightings(
        clip.match.detections,
        clip.entry.motion,
        places,
        np.full(len(places[0]), -1),
        threshold=clip_threshold(clip),
        window=WINDOW,
        size=clip.entry.size,
    )
    bare = (said.missed_score == 0).tolist()
    return [each.seen if none else () for each, none in zip(found, bare, strict=True)]


def clip_threshold(clip: Judgeable) -> float:
    """Of the detections that were judged."""
    scores = clip.match.detections.scores[clip.evidence.rows]
    return float(np.nextafter(scores.min(initial=1.0), 0))


def right_misses(said: Verdicts, match: ClipMatch) -> tuple[BoolArray, BoolArray]:
    """(M,) places on a missed object, one each, and those that count at all.

    As ``vidal.evidence.judge.judge_candidates``: IoU of 0.3, the surest first, ignore regions out.
    """
    frame, truth = said.missed_frame, match.truth
    left, right, _ = overlapping((frame, said.missed_boxes), (truth.frame, truth.boxes))
    iou, cover = overlaps(said.missed_boxes[left], truth.boxes[right])
    agrees = said.missed_label[left] == truth.labels[right]
    pairs = agrees & match.missed[right] & (iou >= SAME)
    order = np.argsort(-said.missed, kind="stable")
    rank = np.empty(len(frame), np.int64)
    rank[order] = np.arange(len(frame))
    hit = assign(left[pairs], right[pairs], iou[pairs], priority=rank, targets=len(truth)) >= 0
    region = truth.ignore[right] & (cover > COVERED) & (agrees | (truth.labels[right] == UNKNOWN))
    inside = np.zeros(len(frame), np.bool_)
    inside[left[region]] = True
    return hit, match.known[frame] & (hit | ~inside)


def summary(words: Counted) -> dict[str, Any]:
    """How many of each word, the share that is right, and its 95 % interval over blocks."""
    found: dict[str, Any] = {}
    for word, clips in words.items():
        blocks = [
            right[block == each] for block, right in clips for each in np.unique(block).tolist()
        ]
        total = sum(map(len, blocks))
        if not total:
            found[word] = {"given": 0}
            continue

        def share(at: np.ndarray, blocks: list[np.ndarray] = blocks) -> float:
            return float(np.concatenate([blocks[n] for n in at]).mean())

        spread = bootstrap_interval(len(blocks), share, np.random.default_rng(0), draws=300)
        by_clip = [float(right.mean()) for _, right in clips if len(right)]
        found[word] = {
            "given": total,
            "right": spread.value,
            "interval": [spread.low, spread.high],
            "by clip": [min(by_clip), max(by_clip)],
        }
    return found


def measure_words(entries: Sequence[Entry], threshold: float) -> dict[str, Any]:
    """Estimate -> word -> figures."""
    clips = [judgeable(entry, number, threshold) for number, entry in enumerate(entries)]
    result = {}
    words: Counted = defaultdict(list)
    for clip in clips:
        count(clip, by_cut(clip.estimate), words)
    result["temporal coherence"] = summary(words)
    for name, fitted in models(clips, threshold):
        words = defaultdict(list)
        for clip, model in zip(clips, fitted, strict=True):
            count(clip, verdicts_of(clip, model, learned="labels of" in name), words)
        result[name] = summary(words)
    return result


def a_pool(entries: Sequence[Entry], threshold: float) -> tuple[Pool, np.ndarray]:
    """The traffic cameras before labels, and (F,) true errors."""
    clips = [judgeable(entry, number, threshold) for number, entry in enumerate(entries)]
    options = ExpectedErrorsOptions(threshold=threshold)
    model = fit(nothing_judged(clips[0].judged.columns), np.random.default_rng(0), options)
    parts = []
    for clip in clips:
        table = clip.match.detections
        every = np.ones(table.frames, np.bool_)
        video = Clip(
            clip.entry.name,
            Path(clip.entry.name),
            np.arange(table.frames),
            Fraction(1, 25),
            Fraction(25),
            clip.entry.size,
        )
        told = model.counts(clip.evidence, len(table.classes))
        parts.append(PoolClip(video, every, ~every, table, clip.estimate, told=told, prior=1.0))
    needs = ExpectedErrors().needs
    pool = build_pool(parts, classes=("vehicle",), needs=needs, threshold=threshold)
    true = np.concatenate([true_errors(clip.match).per_frame.sum(axis=1) for clip in clips])
    return pool, true.astype(np.float64)


def near_copies(entries: Sequence[Entry], threshold: float, budget: int) -> dict[str, Any]:
    """Way of choosing -> true errors a pick, its spread, and how near picks lie in time."""
    pool, true = a_pool(entries, threshold)
    rng = np.random.default_rng
    ways: dict[str, Callable[[int], np.ndarray]] = {}
    for gap in GAPS:
        for turns in ("clips", "none", "weighted"):
            chosen = lift(ExpectedErrors(spread="clips"), gap, turns)  # type: ignore[arg-type]
            ways[f"expected-errors, gap {gap}, turns {turns}"] = lambda seed, chosen=chosen: (
                chosen.select(pool, budget, rng(seed))
            )
    for gap in (3, "0.5s"):
        for name, plain_ in (("every-nth", EveryNth()), ("random-r", RandomR())):
            chosen = lift(plain_, gap)
            ways[f"{name}, gap {gap}"] = lambda seed, chosen=chosen: chosen.select(
                pool, budget, rng(seed)
            )
    result: dict[str, Any] = {"all frames": {"true errors a frame": float(true.mean())}}
    for name, way in ways.items():
        seeds = range(40 if name.startswith("random") else 1)
        picks = [way(seed) for seed in seeds]
        values = np.array([true[each].mean() for each in picks])
        one = true[picks[0]]
        result[name] = {
            "true errors a pick": float(values.mean()),
            "standard error": float(one.std(ddof=1) / np.sqrt(len(one))),
            "least seconds apart": least_apart(pool, picks[0]),
            "picks within 0.5 s of another": near(pool, picks[0]),
        }
    return result


def _apart(pool: Pool, picks: np.ndarray) -> np.ndarray:
    """(n,) seconds from each pick to the nearest other of its clip."""
    clip, at = pool.frames.clip[picks], pool.frames.index[picks]
    away = np.abs(at[:, None] - at[None]) / 25.0
    away[(clip[:, None] != clip[None]) | np.eye(len(picks), dtype=bool)] = np.inf
    return away.min(axis=1, initial=np.inf)


def least_apart(pool: Pool, picks: np.ndarray) -> float | None:
    """Seconds between the nearest two picks of a clip."""
    least = float(_apart(pool, picks).min(initial=np.inf))
    return least if np.isfinite(least) else None


def near(pool: Pool, picks: np.ndarray) -> int:
    """Picks with another less than half a second away."""
    return int(np.count_nonzero(_apart(pool, picks) < 0.5))


def table(results: dict[str, Any]) -> str:
    """The figures as Markdown: one row an estimate and word, one column a detector."""
    names = list(results)
    rows: dict[tuple[str, str], list[str]] = {}
    for name, estimates in results.items():
        for estimate, words in estimates.items():
            for word, one in words.items():
                cells = rows.setdefault((estimate, word), ["-"] * len(names))
                if one["given"]:
                    low, high = (100 * value for value in one["interval"])
                    cells[names.index(name)] = (
                        f"{100 * one['right']:.0f} % [{low:.0f}, {high:.0f}] of {one['given']:,}"
                    )
    lines = [f"| estimate | word | {' | '.join(names)} |", "|---" * (2 + len(names)) + "|"]
    lines += [f"| {a} | {b} | {' | '.join(cells)} |" for (a, b), cells in sorted(rows.items())]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    words: dict[str, Any] = {}
    for name in (*CONFIGURATIONS, RENDERED):
        entries = list(rendered() if name == RENDERED else sequences(given.data, name, given.cache))
        for threshold in THRESHOLDS:
            words[f"{name}, threshold {threshold}"] = measure_words(entries, threshold)
        print(table({key: each for key, each in words.items() if key.startswith(name)}), flush=True)
    entries = list(sequences(given.data, TFL, given.cache))
    copies = {
        f"{budget} frames, threshold {threshold}": near_copies(entries, threshold, budget)
        for threshold in THRESHOLDS
        for budget in (14, 40)
    }
    print(json.dumps(plain(copies), indent=1))
    if given.json:
        record = {
            "about": {
                "chosen with": CHOSEN_WITH,
                "rendered": {"clips": RENDERED_CLIPS, "seed": SEED},
                "interval": f"95 %, bootstrap over blocks of {BLOCK} frames",
                "versions": versions(),
            },
            "words": words,
            "near copies": copies,
        }
        given.json.write_text(json.dumps(plain(record), indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
