"""Faster R-CNN detectors with the class distribution and ROI feature of every kept box."""
