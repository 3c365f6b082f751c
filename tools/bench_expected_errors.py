"""Expected errors on real detectors with real ground truth, against fixed scores.

    python tools/bench_expected_errors.py --data DIR --cache DIR

Four detectors, thresholds 0.3 and 0.5: eight configurations, of which four share data with the
other four. Learned estimates are fitted leave-one-sequence-out. SET_ASIDE names the sequences that
the features were chosen without; they are reported apart. They are no clean test: that every second
model of the ensemble does not see where a box lies was decided with their figures in sight, and
carrying over seven frames was dropped by means over all sequences. ``about`` in the JSON says so.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from judged_detections import Clip, clips, on_frames, on_random, without
from real_detections import CONFIGURATIONS, TFL

from vidal.assemble.simulation import machine
from vidal.evaluate.quality import capture_curve, correlate
from vidal.expected_errors import ErrorModel, ExpectedErrorsOptions, Judged, Rows, fit, fuse
from vidal.report.query_files import plain
from vidal.selection.notes import versions

SET_ASIDE = {
    "RRC car": ("0018", "0020"),
    "RRC pedestrian": ("0014",),
    "PointRCNN car": ("0018", "0020"),
    TFL: ("6514",),
}
EVERY_SEQUENCE = "all sequences, those set aside too"
CHOICES = {
    "features, floor, carry, window, estimator": "all sequences but those set aside",
    "members of the ensemble that do not see where a box lies": EVERY_SEQUENCE,
    "carrying lost objects up to seven frames (not taken)": EVERY_SEQUENCE,
    "corrections (none taken)": EVERY_SEQUENCE,
}
"""What a figure of this file may be too good by."""
THRESHOLDS = (0.3, 0.5)
LABELLED = 0.1
"""Share of the same sequences' frames that is labelled in the practical setting."""
FUSED = "z: (1-score)+sub+.5 TC"
OWN = ("score", "margin", "entropy", "is detection", "height", "width", "aspect", "border x",
       "border y", "bottom", "clip end")  # fmt: skip
FRAME = ("overlap", "overlap better", "overlap strong", "neighbours", "frame strong", "frame weak")
WEAK = (
    "any ",
    "track ",
    "run",
    "lesser run",
    "frame weak",
    "overlap better",
    "neighbours",
)


def fusion(data: Sequence[Clip], weak: bool) -> list[np.ndarray]:
    """The z-fusion of round 0, with or without sub-threshold detections."""
    names = ("sum(1-score)", "TC fp", "sub-threshold", "TC fn")
    parts = [np.stack([clip.signals[name] for name in names], axis=1) for clip in data]
    values = np.concatenate(parts)[:, None, :]
    values[:, :, 2] *= weak
    joined = fuse(values).sum(axis=(1, 2), dtype=np.float64)
    return np.split(joined, np.cumsum([len(part) for part in parts])[:-1])


def narrowed(rows: Rows, columns: Sequence[int]) -> Rows:
    """The rows with these columns only."""
    names = tuple(rows.columns[c] for c in columns)
    return replace(rows, evidence=rows.evidence[:, columns], columns=names)


def fitted(
    train: Judged, options: ExpectedErrorsOptions, columns: Sequence[int], weak: bool
) -> ErrorModel:
    """The model of some columns, with or without sub-threshold detections."""
    names = tuple(train.columns[c] for c in columns)
    use = np.ones(len(train.candidates), np.bool_)
    place = train.columns.index("is detection")
    if not weak:
        use = train.candidates.evidence[:, place] == 0
    cut = Judged(
        names,
        replace(train.detections, evidence=train.detections.evidence[:, columns]),
        replace(train.candidates.keep(use), evidence=train.candidates.evidence[use][:, columns]),
        train.missed,
    )
    return fit(cut, np.random.default_rng(0), options)


def applied(
    model: ErrorModel, test: Clip, columns: Sequence[int], weak: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Frame sums (F,) of both kinds and the probabilities of the rows of a test clip."""
    false = model.false_positive(narrowed(test.evidence.detections, columns))
    missed = model.missed(narrowed(test.evidence.candidates, columns))
    if not weak:
        missed = missed * (test.evidence.candidates.column("is detection") == 0)
    frames = test.evidence.frames
    sums = [
        np.bincount(rows.frame, weights=p, minlength=frames)
        for rows, p in ((test.evidence.detections, false), (test.evidence.candidates, missed))
    ]
    return sums[0], sums[1], false, missed


def fold(
    train: Sequence[Judged],
    test: Clip,
    options: ExpectedErrorsOptions,
    columns: Sequence[int],
    weak: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """As ``applied``, by a model of these training rows."""
    return applied(fitted(Judged.join(train), options, columns, weak), test, columns, weak)


def figures(
    data: Sequence[Clip], estimate: Sequence[np.ndarray], kind: slice | int = slice(None)
) -> dict[str, Any]:
    """Rank correlation and capture of estimated with true errors of one kind, or of both."""
    true = [clip.true[:, kind].reshape(len(clip.true), -1).sum(axis=1) for clip in data]
    if not any(values.any() for values in true):
        return {}
    found = correlate(estimate, true)
    curve = capture_curve(estimate, true, np.random.default_rng(0), shares=(0.02, 0.1), gap=3)
    return {
        "pooled": found.pooled,
        "within": found.within,
        "top 2 %": float(curve.over_random[0]),
        "top 10 %": float(curve.over_random[1]),
        "top 10 % of oracle": float(curve.of_oracle[1]),
    }


def interval(
    data: Sequence[Clip], first: Sequence[np.ndarray], second: Sequence[np.ndarray], draws: int
) -> dict[str, list[float]]:
    """95 % bootstrap intervals over sequences: of ``first``, and of its lead over ``second``."""
    rng, rows = np.random.default_rng(0), []
    for _ in range(draws):
        pick = rng.integers(0, len(data), len(data))
        true = [data[i].true.sum(axis=1) for i in pick]
        own, other = (correlate([each[i] for i in pick], true) for each in (first, second))
        rows.append((own.pooled, own.within, own.pooled - other.pooled, own.within - other.within))
    low, high = np.nanpercentile(np.array(rows), [2.5, 97.5], axis=0)
    names = ("pooled", "within", "lead pooled", "lead within")
    return {name: [float(a), float(b)] for name, a, b in zip(names, low, high, strict=True)}


def quality(data: Sequence[Clip], found: Sequence[Any]) -> dict[str, float]:
    """Brier scores next to the base rate's, and expected / true counts."""
    result = {}
    for at, (name, kind) in enumerate((("FP", "detections"), ("miss", "candidates"))):
        p = np.concatenate([each[2 + at] for each in found])
        y = np.concatenate([getattr(clip.judged, kind).error for clip in data])
        result[f"{name} Brier"] = float(((p - y) ** 2).mean())
        result[f"{name} Brier of base rate"] = float(y.mean() * (1 - y.mean()))
        due = sum(clip.true[:, at].sum() for clip in data)
        result[f"{name} expected / true"] = float(p.sum() / due)
        given = p > 0.5
        result[f"{name} precision"] = float(y[given].mean()) if given.any() else float("nan")
        result[f"{name} recall"] = float((y & given).sum() / due)
    return result


def practical(data: Sequence[Clip], options: ExpectedErrorsOptions) -> dict[str, Any]:
    """A tenth of the frames of all sequences labelled, chosen at random or by the fusion.

    All settings are judged on the same frames: those that none of them labels.
    """
    rng, result = np.random.default_rng(1), {}
    scores = fusion(data, True)
    high, higher = np.quantile(np.concatenate(scores), (1 - LABELLED, 1 - 0.75 * LABELLED))
    drawn = [rng.random(len(clip.true)) < LABELLED for clip in data]
    few = [mask & (rng.random(len(mask)) < 0.25) for mask in drawn]
    chosen = [score > high for score in scores]
    mixed = [(score > higher) | mask for score, mask in zip(scores, few, strict=True)]
    used = [a | b | c for a, b, c in zip(drawn, chosen, mixed, strict=True)]
    rest = [without(clip, mask) for clip, mask in zip(data, used, strict=True)]
    short = [replace(clip, true=clip.true[~mask]) for clip, mask in zip(rest, used, strict=True)]

    def judged_by(model: ErrorModel) -> dict[str, Any]:
        rows = [clip.evidence for clip in rest]
        found = [
            (None, None, model.false_positive(r.detections), model.missed(r.candidates))
            for r in rows
        ]
        sums = [model.counts(r, 1).sum(axis=(1, 2))[~m] for r, m in zip(rows, used, strict=True)]
        return {**figures(short, sums), **quality(short, found)}

    for name, labelled, correction in (
        ("random 10 %", drawn, "none"),
        ("chosen 10 %", chosen, "none"),
        ("chosen 10 %, importance", chosen, "importance"),
        ("chosen 7.5 % + random 2.5 %", mixed, "none"),
        ("chosen 7.5 % + random 2.5 %, calibration", mixed, "calibration"),
    ):
        own = replace(options, correction=correction)  # type: ignore[arg-type]
        parts = [
            on_random(on_frames(clip.judged, mask), some)
            for clip, mask, some in zip(data, labelled, few, strict=True)
        ]
        pool = [clip.evidence for clip in rest] if correction == "importance" else ()
        model = fit(Judged.join(parts), np.random.default_rng(0), own, pool=pool)
        result[name] = judged_by(model)
    plain = [clip.signals["sum(1-score)"] for clip in data]
    for name, values in (("sum(1-score)", plain), (FUSED, scores)):
        result[name] = figures(short, [v[~mask] for v, mask in zip(values, used, strict=True)])
    everything = range(len(data[0].evidence.columns))
    sums = []
    for i, (clip, mask) in enumerate(zip(data, used, strict=True)):
        train = [*others(data, i), on_frames(clip.judged, drawn[i])]
        first, second, *_ = fold(train, clip, options, everything, True)
        sums.append((first + second)[~mask])
    result["other sequences + random 10 %"] = figures(short, sums)
    return result


def others(data: Sequence[Clip], left_out: int) -> list[Judged]:
    """The judged rows of all clips but one."""
    return [clip.judged for i, clip in enumerate(data) if i != left_out]


def variants(columns: tuple[str, ...]) -> dict[str, tuple[list[int], bool, str]]:
    """Name -> columns, whether weak detections are used, estimator."""
    everything = list(range(len(columns)))
    own = [c for c in everything if columns[c] in OWN]
    temporal = [c for c in everything if columns[c] not in (*OWN, *FRAME)]
    strong = [c for c in everything if not columns[c].startswith(WEAK)]
    return {
        "learned": (everything, True, "trees"),
        "score and box only": (own, True, "trees"),
        "temporal only": (temporal, True, "trees"),
        "without sub-threshold detections": (strong, False, "trees"),
        "logistic regression": (everything, True, "logistic"),
    }


def measure(root: Path, cache: Path, ensemble: int, draws: int, key: tuple[str, float]) -> Any:
    """All figures of one configuration."""
    name, threshold = key
    data = list(clips(root, cache, name, threshold))
    estimates: dict[str, list[np.ndarray]] = {
        signal: [clip.signals[signal] for clip in data] for signal in data[0].signals
    }
    estimates["z: (1-score)+.5 TC"] = fusion(data, False)
    estimates[FUSED] = fusion(data, True)
    result: dict[str, Any] = {
        "true errors": [int(sum(c.true[:, k].sum() for c in data)) for k in (0, 1)]
    }
    kinds: dict[str, Any] = {}
    for variant, (columns, weak, estimator) in variants(data[0].evidence.columns).items():
        # Ablations have one member, to save time; a second one is worth less than 0.01.
        size = ensemble if variant == "learned" else 1
        options = ExpectedErrorsOptions(threshold, ensemble=size, estimator=estimator)  # type: ignore[arg-type]
        found = [fold(others(data, i), clip, options, columns, weak) for i, clip in enumerate(data)]
        estimates[variant] = [a + b for a, b, *_ in found]
        result[f"quality of {variant}"] = quality(data, found)
        kinds[f"{variant}, FP"] = figures(data, [each[0] for each in found], 0)
        kinds[f"{variant}, FN"] = figures(data, [each[1] for each in found], 1)
    held = [i for i, clip in enumerate(data) if clip.name in SET_ASIDE[name]]
    result["all"] = {each: figures(data, values) for each, values in estimates.items()}
    result["set aside"] = {
        each: figures([data[i] for i in held], [values[i] for i in held])
        for each, values in estimates.items()
    }
    result["kinds"] = kinds
    for rival in ("sum(1-score)", FUSED):
        result[f"interval against {rival}"] = interval(
            data, estimates["learned"], estimates[rival], draws
        )
    result["practical"] = practical(data, ExpectedErrorsOptions(threshold, ensemble=1))
    frames = sum(len(clip.true) for clip in data)
    result["ms a frame"] = 1e3 * sum(clip.seconds for clip in data) / frames
    return result


def means(results: dict[str, Any], part: str) -> dict[str, Any]:
    """Method -> mean of every figure over the configurations."""
    tables = [result[part] for result in results.values()]
    return {
        method: {
            # null in the file = no number, as in what was measured now
            figure: float(np.mean(np.array([table[method][figure] for table in tables], float)))
            for figure in ("pooled", "within", "top 2 %", "top 10 %", "top 10 % of oracle")
        }
        for method in tables[0]
    }


def tell(title: str, table: dict[str, Any]) -> None:
    """One line a method."""
    print(f"\n{title}\n{'':<44}pooled  within  top 2 %  top 10 %  of oracle")
    for name, row in table.items():
        values = [row.get(k, float("nan")) for k in
                  ("pooled", "within", "top 2 %", "top 10 %", "top 10 % of oracle")]  # fmt: skip
        print(f"{name:<44}" + "".join(f"{value:8.3f}" for value in values))


def about(args: argparse.Namespace) -> dict[str, Any]:
    """What has to be known to read the figures."""
    return {
        "machine": machine(),
        "versions": versions(),
        "options": asdict(ExpectedErrorsOptions(ensemble=args.ensemble)),
        "seed of every fit": 0,
        "seed of drawn labels": 1,
        "bootstrap draws": args.draws,
        "set aside": SET_ASIDE,
        "which data influenced which choice": CHOICES,
    }


def main() -> None:
    """Measure, print, write after every configuration."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("tools/results/expected_errors_real.json"))
    parser.add_argument("--only", nargs="*", default=CONFIGURATIONS, choices=CONFIGURATIONS)
    parser.add_argument("--ensemble", type=int, default=ExpectedErrorsOptions().ensemble)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    known = json.loads(args.out.read_text(encoding="utf-8")) if args.out.exists() else {}
    results: dict[str, Any] = known.get("configurations", {})
    keys = list(product(args.only, THRESHOLDS))
    job = partial(measure, args.data, args.cache, args.ensemble, args.draws)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(args.workers) as pool:
        for (name, threshold), result in zip(keys, pool.map(job, keys), strict=True):
            results[f"{name} {threshold}"] = result
            tell(f"{name} {threshold}, errors {result['true errors']}", result["all"])
            tell("sequences set aside while features were chosen", result["set aside"])
            tell("10 % of the same sequences labelled", result["practical"])
            summary = {part: means(results, part) for part in ("all", "set aside", "practical")}
            told = {"about": about(args), "means": summary, "configurations": results}
            text = json.dumps(plain(told), indent=1, allow_nan=False)
            args.out.write_text(text + "\n", encoding="utf-8")
    for part, table in summary.items():
        tell(f"mean of {len(results)} configurations: {part}", table)


if __name__ == "__main__":
    main()
