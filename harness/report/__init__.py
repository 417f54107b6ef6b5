"""What a run leaves for programs and people: the result, the terminal, the summaries."""
