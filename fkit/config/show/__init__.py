"""Trees -> text: Python, YAML, JSON, canonical; where a value came from, and what differs."""
