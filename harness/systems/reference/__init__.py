"""The adapter of the reference system; the one place in `harness.systems` that knows it."""
