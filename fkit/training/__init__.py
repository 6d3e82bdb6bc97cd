"""Floor 8: what training is, with no framework in it. The function `fkit.train` is the fold of `fkit.run.loop`."""
