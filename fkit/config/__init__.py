"""Floor 2: files -> frozen trees."""
