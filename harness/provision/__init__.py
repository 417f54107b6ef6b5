"""What must be there before a run: Toxiproxy, facts about the machine, room for results.

The modules that the set-up scripts use (`places`, `venv`, `toxiproxy` and its two helpers) import
the standard library only, because the first of them runs before any package is installed.
"""
