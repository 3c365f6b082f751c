"""Strategies for pools that hold objects of none of the classes: one file per paper."""
