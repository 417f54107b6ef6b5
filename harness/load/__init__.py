"""Load: what is sent when by whom, and the processes that do it."""
