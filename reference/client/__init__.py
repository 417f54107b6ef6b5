"""The client's machines: a sender with its outbox, and a receiver's session."""
