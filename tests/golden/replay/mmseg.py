"""Of mmseg's transforms: recorded draws -> params, by the name of fkit's class."""

from collections.abc import Callable, Mapping
from typing import Any

from frozendict import frozendict

PARAMS: Mapping[str, Callable[..., Any]] = frozendict()
