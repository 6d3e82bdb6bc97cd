"""How fkit is called for cases of the book ``boxes``: regions of interest, masks, heat maps."""

from collections.abc import Callable, Mapping
from typing import Any

from frozendict import frozendict

ADAPTERS: Mapping[str, Callable[[Any, Any, Any], Any]] = frozendict()
