"""Expected errors: a learned estimate of how many errors a detector makes in each frame.

A journey: ``gather_evidence`` of a clip -> annotations judge it (``vidal.evidence.judge``) ->
``fit`` -> ``ErrorModel.counts`` of other clips. Without labels: ``signals`` of every clip ->
``fuse`` over the pool.
"""

from vidal.expected_errors.examples import Examples, Judged, Misses
from vidal.expected_errors.features import Evidence, Rows, gather_evidence
from vidal.expected_errors.foreign import weighed
from vidal.expected_errors.fusion import SIGNALS, fuse, fuse_with, signals
from vidal.expected_errors.model import (
    ErrorModel,
    cross_probabilities,
    fit,
    frame_sums,
    model_totals,
    refit,
)
from vidal.expected_errors.options import ExpectedErrorsOptions
from vidal.expected_errors.prior import nothing_judged, prior_for
from vidal.expected_errors.totals import Totals

__all__ = [
    "SIGNALS",
    "ErrorModel",
    "Evidence",
    "Examples",
    "ExpectedErrorsOptions",
    "Judged",
    "Misses",
    "Rows",
    "Totals",
    "cross_probabilities",
    "fit",
    "frame_sums",
    "fuse",
    "fuse_with",
    "gather_evidence",
    "model_totals",
    "nothing_judged",
    "prior_for",
    "refit",
    "signals",
    "weighed",
]
