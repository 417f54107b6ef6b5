"""The harness: load, history, checks, faults, systems, reports; independent of any one system."""
