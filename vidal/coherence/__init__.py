"""Temporal coherence: links, candidates, energy, cut, error estimate."""
