"""Runs of a simulation that nobody trained: detectors that find more, the more they have gained."""

import numpy as np

from vidal.evaluate.average_precision import ScoredDetections
from vidal.evaluate.clip_scores import ClipScores
from vidal.evaluate.curves import ALL_DATA, Picks, Row

CLASSES = ("car", "pedestrian", "wheelchair")
TAGS = {"night": 8, "rain": 5, "wheelchair": 6}
"""How many test clips show each; the first night, then rain, the last wheelchairs."""


class Truth:
    """Test clips: their tags, objects of each class, and how hard they are."""

    def __init__(self, clips=32, seed=0):
        rng = np.random.default_rng(seed)
        self.names = tuple(f"test-{n:02d}" for n in range(clips))
        tags = [set() for _ in self.names]
        for each in tags[:8]:
            each.add("night")
        for each in tags[6:11]:
            each.add("rain")
        for each in tags[-6:]:
            each.add("wheelchair")
        self.tags = tuple(tuple(sorted(each)) for each in tags)
        self.objects = rng.poisson((30, 14, 0), size=(clips, 3))
        self.objects[-6:, 2] = 8
        self.hardness = rng.normal(0, 0.5, clips) + np.array(["night" in t for t in self.tags])


def judged(truth, skill, rng):
    """What a detector of this skill (one a class) finds; its hits have the higher scores."""
    parts = []
    for clip, objects in enumerate(truth.objects):
        for label in range(3):
            chance = 1 / (1 + np.exp(truth.hardness[clip] - skill[label]))
            hits = rng.binomial(objects[label], chance)
            false = rng.poisson(3 + 6 * (1 - chance))
            scores = np.concatenate([rng.beta(4, 2, hits), rng.beta(1.5, 4, false)])
            right = np.arange(hits + false) < hits
            parts.append((np.full(len(scores), clip), scores, np.full(len(scores), label), right))
    clip, scores, labels, right = (np.concatenate(each) for each in zip(*parts, strict=True))
    table = ScoredDetections(CLASSES, clip, scores, labels, right, truth.objects)
    return ClipScores(truth.names, truth.tags, table)


def a_row(strategy, seed, number, labelled, boxes, scores, picks=None):
    """As a simulation makes it of the judged clips."""
    (each,) = scores.class_aps(np.ones((1, len(scores.clips)), int))
    value = float(scores.ap50()[0])
    return Row(
        strategy=strategy,
        seed=seed,
        round=number,
        labelled=labelled,
        boxes=boxes,
        ap50=value,
        ap50_at_half=0.8 * value,
        classes={n: None if np.isnan(v) else float(v) for n, v in zip(CLASSES, each, strict=True)},
        picks=picks,
        conditions=scores.by_condition(),
    )


def simulated(gains, seeds=8, labelled=(30, 48, 66, 102), *, clips=32, all_data=2.5):
    """Rows and judged clips: {strategy: gain in skill when all labels are there}, or by class.

    All strategies begin with one model a seed; a strategy that gains much picks fuller frames.
    """
    truth = Truth(clips)
    rows, scores = [], {}
    for seed in range(seeds):
        start = np.random.default_rng([seed, 99]).normal((0.4, 0.0, -1.5), 0.15)
        for place, (name, gain) in enumerate(gains.items()):
            rng = np.random.default_rng([seed, place])
            for r, frames in enumerate(labelled):
                share = np.sqrt((frames - labelled[0]) / (labelled[-1] - labelled[0]))
                skill = start + share * (np.asarray(gain) + rng.normal(0, 0.12, 3))
                found = judged(truth, skill, np.random.default_rng([seed, place * (r > 0), r]))
                scores[name, seed, r] = found
                boxes = 200 + int((frames - labelled[0]) * (7 + 2 * np.mean(gain)))
                rows.append(a_row(name, seed, r, frames, boxes, found, some_picks(r, rng, gain)))
        if all_data is not None:
            found = judged(truth, start + all_data, np.random.default_rng([seed, 77]))
            scores[ALL_DATA, seed, 1] = found
            rows.append(a_row(ALL_DATA, seed, 1, 930, 6400, found))
    return rows, scores


def some_picks(number, rng, gain):
    """Of a query; none of the initial round."""
    if number == 0:
        return None
    strength = float(np.mean(gain))
    night, rain, chair = rng.binomial(18, (0.07, 0.1, min(0.05 + 0.1 * strength, 0.9)))
    return Picks(
        18,
        false_positives=int(rng.poisson(20 + 20 * strength)),
        misses=int(rng.poisson(40 + 30 * strength)),
        redundancy=float(rng.uniform(5, 20)),
        balance=float(rng.uniform(0.6, 0.8)),
        score_spearman=float(rng.uniform(0.3, 0.6)),
        conditions={"night": int(night), "rain": int(rain), "wheelchair": int(chair)},
    )
