"""What a config says of the weights to begin with."""

from collections.abc import Mapping
from typing import Any

from fkit.config.config import Config
from fkit.training.load import LoadFrom
from fkit.tree.check import expect

__all__ = ["load_of"]


def load_of(tree: Config) -> LoadFrom | None:
    """``load_from`` of a settled config: an address, or a mapping with ``path``; None where there is none.

    Example:
        >>> load_of(Config({"load_from": {"path": "a.pth", "prefix": "backbone"}})).prefix
        'backbone'
    """
    expect(tree, Config, "`tree` is a Config")
    node: Any = tree.get("load_from")
    if node is None or not isinstance(node, Mapping):
        return None if node is None else LoadFrom(str(node))
    options: dict[str, Any] = {str(name): value for name, value in node.items() if value is not None}  # pyright: ignore
    if "revise_keys" in options:
        options["revise_keys"] = tuple((str(pattern), str(by)) for pattern, by in options["revise_keys"])
    return LoadFrom(**options)
