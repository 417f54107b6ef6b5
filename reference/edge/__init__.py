"""The edge's machine: terminates clients, buffers, gathers, and resends until the core answered."""
