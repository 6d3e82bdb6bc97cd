"""Losses that remember what they saw: gradient harmonising and the seesaw between classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fkit.array.loss.accuracy import accuracy
from fkit.array.loss.distance import apart
from fkit.array.loss.entropy import binary_cross_entropy, cross_entropy, hot
from fkit.array.loss.harmony import density_weights, seesaw_shift
from fkit.array.loss.reduce import raised, reduced, trained
from fkit.array.ops import Ops
from fkit.detection.loss.base import Loss, sigmoid_only
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["GHMC", "GHMR", "RememberingLoss", "SeesawLoss"]

State = Mapping[str, Any]


class RememberingLoss(Loss):
    """A loss with a state: arrays by name, part of a model's buffers. It is given and comes back; nothing is changed."""

    def initial(self) -> Mapping[str, np.ndarray]:
        """The state before the first call: float32 arrays by name."""
        raise NotImplementedError

    def step(
        self, xp: Ops, state: State, pred: Any, target: Any, weight: Any, avg_factor: Any, override: str | None
    ) -> tuple[Any, State]:
        """The loss, and the state after it; arguments as those of a call."""
        raise NotImplementedError

    def __call__(
        self,
        xp: Ops,
        pred: Any,
        target: Any,
        weight: Any = None,
        avg_factor: Any = None,
        reduction_override: str | None = None,
    ) -> Any:
        """The loss of a first call: what it would remember is dropped. `step` has both."""
        state = {name: xp.asarray(value, "float32") for name, value in self.initial().items()}
        return self.step(xp, state, pred, target, weight, avg_factor, reduction_override)[0]


class _Harmonised(RememberingLoss):
    """Bins of hardness, and running counts of them where there is a momentum."""

    bins: int
    momentum: float

    @property
    def last_edge(self) -> float:
        """Where the last bin ends."""
        raise NotImplementedError

    def initial(self) -> Mapping[str, np.ndarray]:
        edges = np.arange(self.bins + 1, dtype=np.float32) / np.float32(self.bins)
        edges[-1] = self.last_edge
        counts = {"acc_sum": np.zeros(self.bins, np.float32)} if self.momentum > 0 else {}
        return {"edges": edges, **counts}

    def _harmonised(
        self, xp: Ops, state: State, loss: Any, hardness: Any, valid: Any, total: Any, override: str | None
    ) -> tuple[Any, State]:
        edges, counts = xp.cast(state["edges"], loss), state.get("acc_sum")
        total = xp.lib.clip(total, 1, None)
        weights, after = density_weights(xp, xp.detached(hardness), valid, total, edges, counts, self.momentum)
        value = self._reduced(xp, loss, weights, total, override)
        return value, state if counts is None else {**state, "acc_sum": xp.cast(xp.detached(after), counts)}


@dataclass(frozen=True)
class GHMC(_Harmonised):
    """Cross entropy of sigmoids, each element by how few others are as hard.

    Args:
        bins: of hardness, from 0 to 1.
        momentum: of the running counts of bins; 0: each call counts anew.
        use_sigmoid: True.
        loss_weight, reduction: see `Loss`; "sum" is refused, for a mean is over the elements that count.

    Called with ``pred`` (N, C), ``target`` (N, C) of 0 and 1 or labels (N,), ``weight`` of the target's shape, above 0 where
    an element counts; None: all do.
    """

    bins: int = 10
    momentum: float = 0
    use_sigmoid: bool = True
    loss_weight: float = 1.0
    reduction: str = "mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        sigmoid_only(self)

    @property
    def last_edge(self) -> float:
        return 1.0 + 1e-6

    def step(
        self, xp: Ops, state: State, pred: Any, target: Any, weight: Any, avg_factor: Any, override: str | None
    ) -> tuple[Any, State]:
        if len(pred.shape) != len(target.shape):
            target = hot(xp, target, pred.shape[-1])
            weight = None if weight is None or tuple(weight.shape) == tuple(pred.shape) else weight[..., None]
        loss = binary_cross_entropy(xp, pred, target)
        valid = xp.full(tuple(pred.shape), 1, "bool")
        valid = valid if weight is None else valid & (weight > 0)
        hardness = apart(xp, xp.sigmoid(raised(xp, pred)), xp.cast(target, loss))
        return self._harmonised(xp, state, loss, hardness, valid, xp.cast(valid, loss).sum(), override)


@dataclass(frozen=True)
class GHMR(_Harmonised):
    """A smooth distance, each element by how few others have a gradient as great.

    Args:
        mu: below which the distance is smooth.
        bins, momentum, loss_weight, reduction: see `GHMC`.

    ``pred``, ``target`` and ``weight`` have one shape.
    """

    mu: float = 0.02
    bins: int = 10
    momentum: float = 0
    loss_weight: float = 1.0
    reduction: str = "mean"

    @property
    def last_edge(self) -> float:
        return 1e3

    def step(
        self, xp: Ops, state: State, pred: Any, target: Any, weight: Any, avg_factor: Any, override: str | None
    ) -> tuple[Any, State]:
        pred, target = trained(xp, "GHMR", pred, target)
        difference = pred - target
        root = xp.lib.sqrt(difference**2 + self.mu**2)
        weight = xp.lib.ones_like(pred) if weight is None else xp.cast(weight, pred)
        hardness = apart(xp, difference, 0 * difference) / root
        return self._harmonised(xp, state, root - self.mu, hardness, weight > 0, weight.sum(), override)


@dataclass(frozen=True)
class SeesawLoss(RememberingLoss):
    """Cross entropy for classes of a long tail: rare ones are held down less, and what is taken for another more.

    Args:
        use_sigmoid: False.
        p, q: powers of the two; 0: without.
        num_classes: C.
        eps: the least chance of a label, as a divisor.
        reduction, loss_weight: see `Loss`.
        return_dict: two losses by name, ``loss_cls_objectness`` and ``loss_cls_classes``; else their sum.

    Called with ``pred`` (N, C + 2), scores of classes, of an object, of none; labels (N,), C for none; ``weight`` (N,).
    It remembers how many samples of each class (C + 1,) there have been; those of weight 0 are none.
    """

    use_sigmoid: bool = False
    p: float = 0.8
    q: float = 2.0
    num_classes: int = 1203
    eps: float = 1e-2
    reduction: str = "mean"
    loss_weight: float = 1.0
    return_dict: bool = True

    custom_cls_channels = True
    custom_activation = True
    custom_accuracy = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.use_sigmoid:
            raise FkitValueError("SeesawLoss: use_sigmoid = True, but it is a loss of softmaxes.")

    def initial(self) -> Mapping[str, np.ndarray]:
        return {"cum_samples": np.zeros(self.num_classes + 1, np.float32)}

    def step(
        self, xp: Ops, state: State, pred: Any, target: Any, weight: Any, avg_factor: Any, override: str | None
    ) -> tuple[Any, State]:
        count = self.num_classes
        classes, objectness = self._apart(raised(xp, pred))
        positive = (target >= 0) & (target < count)
        kinds = state["cum_samples"]
        real = xp.lib.ones_like(objectness[:, 0]) if weight is None else xp.cast(weight, objectness)
        drawn = xp.cast(real > 0, kinds)
        kinds = kinds + xp.segment_sum(drawn, xp.lib.clip(target, 0, count), count + 1)
        labels = xp.lib.where(positive, target, 0)
        shifted = classes + seesaw_shift(xp, classes, labels, kinds[:count], self.p, self.q, self.eps)
        of_class = xp.lib.where(positive, cross_entropy(xp, shifted, labels), 0)
        mode = override or self.reduction
        rows = xp.lib.clip(xp.cast(positive & (real > 0), classes).sum(), 1, None)
        if avg_factor is None and mode == "mean":
            first = reduced(xp, of_class, real, "sum") / rows
        else:
            first = reduced(xp, of_class, real, mode, avg_factor)
        second = reduced(xp, cross_entropy(xp, objectness, xp.cast(target == count, "int64")), weight, mode, avg_factor)
        first, second = first * self.loss_weight, second * self.loss_weight
        loss = {"loss_cls_objectness": second, "loss_cls_classes": first} if self.return_dict else first + second
        return loss, {**state, "cum_samples": kinds}

    def _apart(self, scores: Any) -> tuple[Any, Any]:
        if scores.shape[-1] != self.num_classes + 2:
            raise FkitTypeError(
                f"SeesawLoss: {quoted(scores.shape[-1])} scores, but num_classes = {self.num_classes} and two more."
            )
        return scores[..., :-2], scores[..., -2:]

    def get_cls_channels(self, num_classes: int) -> int:
        """How many scores a head of ``num_classes`` has."""
        if num_classes != self.num_classes:
            raise FkitValueError(
                f"SeesawLoss: num_classes = {self.num_classes}, but that of its head is {num_classes}.",
                repair="Give both the same.",
            )
        return num_classes + 2

    def get_activation(self, xp: Ops, scores: Any) -> Any:
        """Probabilities (N, C + 1) of scores (N, C + 2): of each class, and of none."""
        classes, objectness = (xp.softmax(part, -1) for part in self._apart(scores))
        return xp.lib.concat([classes * objectness[..., :1], objectness[..., 1:]], axis=-1)

    def get_accuracy(self, xp: Ops, scores: Any, labels: Any, valid: Any = None) -> Mapping[str, Any]:
        """``acc_objectness``, and ``acc_classes`` of the positive ones; percent."""
        classes, objectness = self._apart(scores)
        positive = labels < self.num_classes
        none = xp.cast(labels == self.num_classes, "int64")
        return {
            "acc_objectness": accuracy(xp, objectness, none, valid=valid),
            "acc_classes": accuracy(xp, classes, labels, valid=positive if valid is None else positive & valid),
        }
