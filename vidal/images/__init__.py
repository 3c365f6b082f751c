"""Pools of single pictures for classification: the benchmark of the active learning papers.

The strategies are those of video: an image is a frame with one region (``vidal.images.evidence``).
"""

from vidal.images.splits import class_uniform_set, initial_set, noise_mixture, open_split

__all__ = ["class_uniform_set", "initial_set", "noise_mixture", "open_split"]
