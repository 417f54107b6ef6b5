"""Faults, one file each, their schedule, and the nemesis that carries it out."""
