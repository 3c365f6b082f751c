"""vidal: choose which frames of driving video are worth annotating for object detection."""

__version__ = "0.1.0"
