"""Floor 1: text formats, JSON and YAML: one reader and one writer of each, for configs and for files."""
