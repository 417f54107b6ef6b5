"""Pure checks of a history. A shared index takes records in; each question has a file of its own.

Nothing in here reads files, clocks or random numbers: records go in by time, a judgement comes out.
"""
