"""Floor 3: names -> makers. The function `fkit.registry` gives the built-in registry."""
