"""What adapters must do, tried one thing at a time on a running system: `tallystick conform`."""
