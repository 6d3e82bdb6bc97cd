"""What changes a tree: deltas, and the words of a command line."""
