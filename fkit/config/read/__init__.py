"""Files -> frozen trees: .py of both styles, .yaml and .json, with all their bases."""
