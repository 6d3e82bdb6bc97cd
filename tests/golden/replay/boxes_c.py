"""How fkit is called for cases of the book ``boxes``: losses and accuracy."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from frozendict import frozendict

import fkit
from fkit.array.loss.accuracy import accuracy
from tests.golden.replay.arithmetic import with_gradient

# what is left in float32 of the distance of two boxes that are nearly one depends on which operations a compiler joins
APART = ("BoundedIoULoss",)


def call_loss(xp: Any, args: Any, case: Any) -> Any:
    more = {key: value for key, value in args.items() if key not in ("cfg", "pred", "target")}
    loss = fkit.registry().build("models", plain(args["cfg"]), scope="mmdet")
    whole = type(loss).__name__ not in APART
    value, gradient = with_gradient(xp, lambda pred: loss(xp, pred, args["target"], **more), args["pred"], whole)
    return {"loss": value, "grad_pred": gradient}


def plain(cfg: Any) -> Any:
    """A config with Python's numbers in place of numpy's."""
    if isinstance(cfg, Mapping):
        return {key: plain(value) for key, value in cfg.items()}
    if isinstance(cfg, list):
        return [plain(value) for value in cfg]
    return cfg.item() if isinstance(cfg, np.generic) else cfg


def call_accuracy(xp: Any, args: Any, case: Any) -> Any:
    found = accuracy(xp, args["pred"], args["target"], args.get("topk", 1), args.get("thresh"))
    return [one.reshape(1) for one in found] if isinstance(found, list) else found.reshape(1)


ADAPTERS: Mapping[str, Callable[[Any, Any, Any], Any]] = frozendict(loss=call_loss, accuracy=call_accuracy)
