"""Carrying a plan out, and judging what came of it."""
