"""The command line. Every verb imports what it needs itself, so that `--help` stays quick."""
