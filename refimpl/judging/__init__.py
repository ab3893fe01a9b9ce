"""Judging: whether the numbers of a backend are right, and why they are wrong."""
