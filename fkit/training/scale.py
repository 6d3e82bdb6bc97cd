"""The loss scale of mixed precision, as a transform: what torch's GradScaler does, decided on the device."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkit.array.ops import Ops
from fkit.training.transform import Context, Param, Transform
from fkit.tree.check import expect_number
from fkit.tree.error import FkitValueError

__all__ = ["loss_scale"]


def loss_scale(
    init_scale: float = 2.0**16, growth_factor: float = 2.0, backoff_factor: float = 0.5, growth_interval: int = 2000,
    *, dynamic: bool = True,
) -> Transform:  # fmt: skip
    """Differentiate the loss times a scale, so that small gradients do not vanish in float16, and take the scale out of
    the gradients. A step whose gradients are not finite moves nothing. The scale is logged as ``grad_scale``.

    The scale and its growth tracker are slots; nobody waits for the device to know them. The rule is that of
    ``torch.amp.GradScaler.update``: after a step that was skipped the scale is multiplied by ``backoff_factor``, after
    ``growth_interval`` steps in a row that were not, by ``growth_factor``.

    Args:
        init_scale: the first scale.
        dynamic: False keeps the first scale; steps are skipped all the same.

    Raises:
        FkitValueError: a number out of its range.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> scaled = loss_scale(8.0)
        >>> slots = scaled.init({})
        >>> grads, slots, moves, _ = scaled.update(Numpy(), {"a": np.array([16.0])}, slots, Context(0, {}))
        >>> grads["a"].tolist(), bool(moves), slots["scale"].tolist()
        ([2.0], True, 8.0)
        >>> _, slots, moves, _ = scaled.update(Numpy(), {"a": np.array([np.inf])}, slots, Context(1, {}))
        >>> bool(moves), slots["scale"].tolist()
        (False, 4.0)
    """
    expect_number(growth_interval, "loss_scale.growth_interval", whole=True)
    rows = (
        ("init_scale", init_scale, 0.0),
        ("growth_factor", growth_factor, 1.0),
        ("backoff_factor", backoff_factor, 0.0),
    )
    for name, value, least in rows:
        expect_number(value, f"loss_scale.{name}")
        if not (value > least and math.isfinite(value)):
            raise FkitValueError(f"loss_scale.{name} = {value}: above {least:g}.")
    if backoff_factor >= 1 or growth_interval < 1:
        raise FkitValueError(
            f"loss_scale: backoff_factor = {backoff_factor}, growth_interval = {growth_interval}: below 1, and at least 1."
        )

    def init(params: Mapping[str, Param]) -> Mapping[str, NDArray[Any]]:
        return {"scale": np.array(init_scale, np.float32), "growth_tracker": np.array(0, np.int32)}

    def following(xp: Ops, slots: Mapping[str, Any], finite: Any) -> Mapping[str, Any]:
        """The slots after a step."""
        scale, count = slots["scale"], slots["growth_tracker"] + 1
        full = count == growth_interval
        grown = scale * growth_factor
        larger, passed = xp.select(full, [grown, count * 0], [scale, count])
        larger = xp.select(xp.finite(grown), [larger], [scale])[0]
        scale, count = xp.select(finite, [larger, passed], [scale * backoff_factor, count * 0])
        return {"scale": scale, "growth_tracker": count}

    def update(xp: Ops, grads: Mapping[str, Any], slots: Mapping[str, Any], context: Context) -> tuple[Any, ...]:
        if context.moves is False:
            return grads, slots, True
        arrays = xp.scaled(list(grads.values()), 1.0 / slots["scale"])
        finite = xp.finite(xp.norm(arrays, math.inf))
        after = following(xp, slots, finite) if dynamic else slots
        if context.moves is not True and dynamic:
            after = dict(
                zip(after, xp.select(context.moves, list(after.values()), [slots[key] for key in after]), strict=True)
            )
        return dict(zip(grads, arrays, strict=True)), after, finite, {"grad_scale": slots["scale"]}

    return Transform("loss_scale", init, update, scale=lambda slots: slots["scale"])
