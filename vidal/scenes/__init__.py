"""Procedural road scenes with exact truth, after the generation table of SYNTHIA-AL."""
