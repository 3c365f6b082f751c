"""Clips to frames: discovery, the table of presentation times, decoding, seeking, writing."""
