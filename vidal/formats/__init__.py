"""Data sets and annotations on disk, one file per format."""
