"""Help that teaches: the text and the order of the verbs, away from what they do."""

from __future__ import annotations

ROOT_HELP = """Prove, by running it, that a messaging system loses nothing and keeps order.

Every link goes through Toxiproxy, load is open loop, faults come from a seeded schedule, and the
verdict is folded from the recorded history, message by message.
"""

ROOT_EPILOG = """\b
Examples:
  tallystick list                         what there is
  tallystick show global_fan_in           its claim, parameters, checks
  tallystick run offline-messaging        one; see results/latest
  tallystick run global_fan_in --seed 4711 --set duration_s=10
  tallystick run ./late_login.py          a scenario of your own
  tallystick verify --profile smoke       all scenarios, quickly
  tallystick new scenario late_login      a file to start it from
  tallystick check results/latest         judge again, from history
  tallystick report results/latest        one HTML page of it
  tallystick compare results/a results/b  what changed between two
  tallystick explain A1                   what an anomaly means
  tallystick selftest                     do the checks see planted bugs

\b
Exit codes: 0 PASS, 1 FAIL and only FAIL, 2 wrong usage, 3 UNKNOWN,
  4 PASS with limits missed, 70 ERROR, 129, 130 or 143 interrupted.
"""
