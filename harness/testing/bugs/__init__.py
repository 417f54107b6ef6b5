"""Bugs planted by hand, to prove that the checks find them. One file each; `registry` finds them.

None of them has a switch in `reference/`: each is a machine or function that takes the place of a
real one, in a simulation or in a process started by `harness.testing.launch`.
"""
