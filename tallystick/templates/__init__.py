"""What `tallystick new` copies with names put in; each file runs and type-checks as it is."""
