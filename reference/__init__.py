"""The reference system: a compact edge/core messaging system that keeps what it promises.

Everything but ``reference.node`` and ``reference.store`` is a pure, synchronous machine.
"""
