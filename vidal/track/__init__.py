"""Propagators: carry boxes from a frame to its neighbours."""
