"""The harness judged by itself: bugs planted one at a time, and a check that must name each."""
