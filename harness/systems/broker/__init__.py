"""What adapters of brokers share: ids within messages, an outbox, clients, a server to start."""
