"""Processes of a run: start, ready, logs, stop, kill, usage, and nothing left behind."""
