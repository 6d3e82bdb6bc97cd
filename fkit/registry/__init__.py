"""Floor 3: names to makers. Called, it is `fkit.registry.builtin.registry`."""

from fkit.tree.called import called

called(__name__, "fkit.registry.builtin:registry")
