"""How fkit is called for cases of the book ``boxes``: anchors, points, coders, assigners, samplers, costs."""

from collections.abc import Callable, Mapping
from typing import Any

from frozendict import frozendict

ADAPTERS: Mapping[str, Callable[[Any, Any, Any], Any]] = frozendict()
