"""Where the core's log lives: a small port, and the embedded store behind it."""
