"""What a recorded case drew at random, as the params of fkit's transforms."""

from collections.abc import Callable, Mapping
from typing import Any

from fkit.data.transform.compose import Compose
from fkit.data.transform.transform import is_random
from tests.golden.replay import mix, mmcv, mmdet, mmpose, mmpretrain, mmseg

TABLES = {"mmcv": (mmcv.PARAMS, mix.PARAMS), "mmpretrain": (mmpretrain.PARAMS, mmcv.PARAMS, mix.PARAMS), "mmdet": (mmdet.PARAMS, mmcv.PARAMS, mix.PARAMS), "mmpose": (mmpose.PARAMS, mmdet.PARAMS, mmcv.PARAMS, mix.PARAMS), "mmseg": (mmseg.PARAMS, mmdet.PARAMS, mmcv.PARAMS, mix.PARAMS)}  # fmt: skip


class Recorded:
    """The draws of a case, taken one after the other.

    Attributes:
        draws: ``{"fn", "args", "kwargs", "value"}`` of each random number, in order.
        params: ``{"cls", "method", "value"}`` of each method that the reference calls its source of randomness, in order.
        others: the samples that a mixing transform was given (``mix_results``).
        seen: the samples that went in so far, for transforms with a cache.
        popped: what such a cache forgot, drawn, in order.
    """

    def __init__(self, package: str, draws: list[Any], params: list[Any]) -> None:
        self.package = package
        self.draws = list(draws)
        self.params = list(params)
        self.others: list[Any] = []
        self.seen: list[Any] = []
        self.popped: list[int] = []

    def draw(self, fn: str = "", args: list[Any] | None = None) -> Any:
        """The next random number, of this function, asked for with these arguments, where they are named."""
        if args is not None:
            while self.draws and (self.draws[0]["fn"], self.draws[0]["args"]) != (fn, args):
                del self.draws[0]  # of steps before, whose params tell what they drew
        return self._next(self.draws, "fn", fn)

    def param(self, method: str = "") -> Any:
        """The next answer of a method that draws."""
        return self._next(self.params, "method", method)

    def ahead(self, method: str) -> bool:
        """Whether such an answer comes next."""
        return bool(self.params) and self.params[0]["method"] == method

    def params_of(self, transform: Any, sample: Mapping[str, Any]) -> Any:
        """What the transform's ``draw`` would have given."""
        if isinstance(transform, Compose):
            drawn: list[Any] = []
            for step in transform.steps:
                drawn.append(self.params_of(step, sample) if sample is not None else None)
                sample = step.apply(sample, drawn[-1]) if sample is not None else sample
            return tuple(drawn)
        for table in TABLES[self.package]:
            function: Callable[..., Any] | None = table.get(type(transform).__name__)
            if function is not None:
                return function(self, transform, sample)
        assert not is_random(transform), f"replay/{self.package}.py has no function for {type(transform).__name__}"
        return transform.draw(sample, None, None)

    @staticmethod
    def _next(rows: list[Any], key: str, name: str) -> Any:
        for place, row in enumerate(rows):
            if not name or row[key] == name:
                del rows[: place + 1]
                return row["value"]
        raise AssertionError(f"the case has no further {name or key}")
