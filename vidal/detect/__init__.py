"""Faster R-CNN detectors with the class distribution and ROI feature of every kept box.

``load_detector`` and ``fresh_detector`` make them; torch is imported by these calls, not before.
"""

from vidal.detect.load import DETECTORS, fresh_detector, load_detector
from vidal.detect.options import DetectOptions, TrainOptions

__all__ = ["DETECTORS", "DetectOptions", "TrainOptions", "fresh_detector", "load_detector"]
