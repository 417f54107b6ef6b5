"""The wire protocol: bytes to typed messages and back, without any input or output of its own."""
