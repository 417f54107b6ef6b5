"""The machines of the reference in one thread and virtual time, with faults from a plan.

The same machines, the same history records and the same checkers as in a real run; only sockets,
clocks, processes and the disk are simulated. Everything that happens follows from the plan and one
seed, so every run can be replayed.
"""
