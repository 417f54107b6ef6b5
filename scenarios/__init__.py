"""The scenarios that come with Tallystick: one module each, read like a specification."""
