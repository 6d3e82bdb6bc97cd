"""Floor 8: what training is, with no framework in it. Called, it is the fold of `fkit.run.loop.train`."""

from fkit.tree.called import called

called(__name__, "fkit.run.loop:train")
