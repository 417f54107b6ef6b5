"""Reach: which rare states the runs of a suite came to, and which ones never."""
