"""Floor 8: what training is, with no framework in it. Called, it is the fold of `fkit.run.loop.train`."""

from fkit.tree.callable import make_callable

make_callable(__name__, "fkit.run.loop:train")
