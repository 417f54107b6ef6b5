"""Systems under test: the port that every adapter fills, and one file or folder per system."""
