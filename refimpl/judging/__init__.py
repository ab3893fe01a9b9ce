"""Judging: what refimpl says of a backend's numbers, and why they are wrong where they are."""
