"""Floor 3: names to makers. Called, it is `fkit.registry.builtin.registry`."""

from fkit.tree.callable import make_callable

make_callable(__name__, "fkit.registry.builtin:registry")
