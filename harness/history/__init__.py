"""The history of a run: what was invoked and what came back, as ranges in columns."""
