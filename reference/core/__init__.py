"""The core: deduplicates, sequences, routes to buckets, acknowledges, delivers, keeps presence.

A pure machine: `machine.CoreMachine` is its one entrance.
"""
