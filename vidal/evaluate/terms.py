"""What a simulation counts and measures, in the words of its table, its report and its files.

Simulations on video and on image pools share rows, comparisons, tables and report; they differ in
these words alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Terms:
    """The words of one kind of simulation.

    Attributes:
        score: the quality that is measured (``Row.ap50``), in prose.
        key: of the quality in files.
        about: how it is measured, in a few words.
        item, items: what is labelled.
        costs: what else labels are counted in (``Row.boxes``).
        tests: what a model is judged on.
        unused: numbers of rows and picks that this kind of simulation has none of.
    """

    score: str
    key: str
    about: str
    item: str
    items: str
    costs: str
    tests: str
    unused: frozenset[str] = field(default_factory=frozenset)

    def name(self, key: str) -> str:
        """Of a number of ``Row`` or ``Picks`` in files."""
        renamed = {"ap50": self.key, "boxes": self.costs.replace(" ", "_"), "frames": self.items}
        return renamed.get(key, key)


FRAMES = Terms(
    score="AP50",
    key="ap50",
    about="score floor 0.05",
    item="frame",
    items="frames",
    costs="boxes",
    tests="test clips",
    unused=frozenset({"wrong", "query_recall", "known", "cost"}),
)
"""Of video, for object detection."""

IMAGES = Terms(
    score="accuracy",
    key="accuracy",
    about="share of the test images that are given their class",
    item="image",
    items="images",
    costs="known images",
    tests="test images",
    unused=frozenset(
        {
            "ap50_at_half",
            "hours",
            "false_positives",
            "misses",
            "redundancy",
            "fp_precision",
            "fp_recall",
            "fn_precision",
            "fn_recall",
            "fp_spearman",
            "fn_spearman",
        }
    ),
)
"""Of image pools, for classification."""
