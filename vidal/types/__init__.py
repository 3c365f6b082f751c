"""Every noun that crosses a wall between rooms: frozen tables of NumPy arrays.

One table per clip, not one object per frame or box. Arrays are checked once, where a table is
built, and are read-only from then on. Boxes are float32 ``xyxy`` in pixels of the decoded frame,
0-based and half-open (width = x2 - x1). Three index spaces, three words: ``index`` (frame of a
clip), ``row`` (of a table), ``pos`` (of a pool).
"""

from vidal.types.arrays import (
    UNKNOWN,
    BoolArray,
    FloatArray,
    HalfArray,
    Image,
    IntArray,
    ScoreArray,
    frozen,
)
from vidal.types.deferred import Deferred
from vidal.types.frames import Clip, Frame, FrameRef, Sample, SkippedClip
from vidal.types.gap import AnyGap, Gap
from vidal.types.items import BACKGROUND, Items
from vidal.types.open_set import Course, HeadSpec, Learned, Looked, Seen, Side
from vidal.types.pool import Explanation, FrameSet, Pool, Query, Regions
from vidal.types.stored import Stored
from vidal.types.summary import FrameSummary
from vidal.types.tables import Annotations, Detections, LabelledClip, Skipped
from vidal.types.verdicts import Carried, ErrorEstimate, Links

__all__ = [
    "BACKGROUND",
    "UNKNOWN",
    "Annotations",
    "AnyGap",
    "BoolArray",
    "Carried",
    "Clip",
    "Course",
    "Deferred",
    "Detections",
    "ErrorEstimate",
    "Explanation",
    "FloatArray",
    "Frame",
    "FrameRef",
    "FrameSet",
    "FrameSummary",
    "Gap",
    "HalfArray",
    "HeadSpec",
    "Image",
    "IntArray",
    "Items",
    "LabelledClip",
    "Learned",
    "Links",
    "Looked",
    "Pool",
    "Query",
    "Regions",
    "Sample",
    "ScoreArray",
    "Seen",
    "Side",
    "Skipped",
    "SkippedClip",
    "Stored",
    "frozen",
]
