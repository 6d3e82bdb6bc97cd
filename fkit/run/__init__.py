"""Floor 10: runs as folds of events over a plan."""
