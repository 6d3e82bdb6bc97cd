"""Floor 0: values. Frozen trees, dotted paths, and the one family of errors."""
