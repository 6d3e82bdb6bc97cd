"""Of mmcv's transforms: recorded draws -> params, by the name of fkit's class."""

from collections.abc import Callable, Mapping
from typing import Any

from frozendict import frozendict


def views(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Any:
    """Of TestTimeAug: what the steps of each view drew."""
    return tuple(recorded.params_of(branch, sample) for branch in transform.branches)


def direction(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Any:
    return recorded.param("_choose_direction")


def grey(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> bool:
    return bool(recorded.param("_random_prob") < transform.prob)


def which_scale(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> int:
    return int(recorded.param("_random_select")[1])


def scale(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Any:
    return recorded.param("_random_scale")


PARAMS: Mapping[str, Callable[..., Any]] = frozendict(
    RandomChoiceResize=which_scale,
    RandomFlip=direction,
    RandomGrayscale=grey,
    RandomResize=scale,
    TestTimeAug=views,
)
