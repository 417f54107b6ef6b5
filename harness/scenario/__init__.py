"""The vocabulary in which scenarios are written, and how they are found."""
