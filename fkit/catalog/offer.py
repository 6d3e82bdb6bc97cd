"""Optimizers that frameworks offer by name, read from their sources: nothing of them is imported."""

import ast
from collections.abc import Callable, Iterator

from fkit.catalog.describe import Described, described, parsed

__all__ = ["optax_optimizers", "torch_optimizers"]


def torch_optimizers() -> Iterator[Described]:
    """The optimizers of ``torch.optim``: what its package imports, and derives from ``Optimizer``.

    Example:
        >>> "Adamax" in [row.name for row in torch_optimizers()]
        True
    """
    return _offered("torch.optim", "torch", _is_optimizer)


def optax_optimizers() -> Iterator[Described]:
    """The optimizers of optax: the functions that it imports, and that take a ``learning_rate``."""
    return _offered("optax", "jax", _takes_rate)


def _is_optimizer(node: ast.stmt) -> bool:  # one of these derives from another
    return isinstance(node, ast.ClassDef) and any(
        base in ("Optimizer", "Adam") for base in map(ast.unparse, node.bases)
    )


def _takes_rate(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and "learning_rate" in [arg.arg for arg in node.args.args]


def _offered(package: str, backend: str, fits: Callable[[ast.stmt], bool]) -> Iterator[Described]:
    """What a package takes from its own modules, if it fits; nothing where it is not installed."""
    names: dict[str, list[str]] = {}
    for node in parsed(package).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(package) and not node.level:
            names.setdefault(str(node.module), []).extend(alias.name for alias in node.names)
    for module, wanted in names.items():
        source = parsed(module)
        for node in source.body:
            name = getattr(node, "name", "")
            if name in wanted and fits(node):
                yield described("optimizers", name, backend, f"{module}:{name}", source)
