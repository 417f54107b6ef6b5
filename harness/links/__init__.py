"""Every connection of a run goes through a named Toxiproxy proxy on a port of the run's block."""
