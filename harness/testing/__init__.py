"""What tests share: simulators, planted bugs, example histories and results."""
