"""Floor 9: what a config says of a run: its keys, described once and read once, and the parts that they name."""
