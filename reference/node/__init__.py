"""The anyio driver, the node processes and the real clients: the only place with sockets."""
