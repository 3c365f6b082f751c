"""Matching with ground truth, average precision, quality of error estimates."""
