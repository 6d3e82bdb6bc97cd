"""Of mmcv's transforms: recorded draws -> params, by the name of fkit's class."""

from collections.abc import Callable, Mapping
from typing import Any

from frozendict import frozendict


def views(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Any:
    """Of TestTimeAug: what the steps of each view drew."""
    return tuple(recorded.params_of(branch, sample) for branch in transform.branches)


PARAMS: Mapping[str, Callable[..., Any]] = frozendict(
    TestTimeAug=views,
)
