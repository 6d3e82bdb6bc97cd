"""Cross entropy, by softmax and by sigmoid, and the focal loss: of logits, one number a row or an element."""

from typing import Any

from fkit.array.loss.reduce import raised, trained
from fkit.array.ops import Ops
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["binary_cross_entropy", "chance_entropy", "cross_entropy", "focal", "hot", "known_labels", "powered"]


def cross_entropy(xp: Ops, logits: Any, labels: Any, class_weight: Any = None, ignore: int | None = None) -> Any:
    """How unlikely a softmax makes the labels.

    Args:
        logits: (N, C) or (N, C, ...).
        labels: whole numbers (N,) or (N, ...) in [0, C); or scores of each class, shaped like ``logits``.
        class_weight: (C,), or None.
        ignore: a label that costs nothing.

    Returns:
        (N,) or (N, ...), in the kind of ``logits``, float32 at least.

    Raises:
        FkitTypeError: the shapes do not fit.
        FkitValueError: a label is no class (not told under a trace or on a device that would have to be waited for).

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> cross_entropy(Numpy(), np.zeros((1, 4)), np.array([2])).round(6).tolist()
        [1.386294]
    """
    logits = raised(xp, logits)
    chances = xp.log_softmax(logits, 1)
    if class_weight is not None:
        class_weight = xp.asarray(class_weight, logits)
        if tuple(class_weight.shape) != (logits.shape[1],):
            raise FkitTypeError(
                f"cross entropy: class_weight has the shape {tuple(class_weight.shape)}, and there are {logits.shape[1]} classes.",
                repair="Give class_weight one number a class.",
            )
    if tuple(labels.shape) == tuple(logits.shape):
        if class_weight is not None:
            chances = chances * class_weight.reshape(-1, *(1,) * (len(logits.shape) - 2))
        return -(chances * xp.cast(labels, logits)).sum(1)
    count = logits.shape[1]
    if tuple(labels.shape) != (logits.shape[0], *logits.shape[2:]):
        raise FkitTypeError(
            f"cross entropy: logits have the shape {tuple(logits.shape)}, but their labels {tuple(labels.shape)}.",
            repair="Give one label a row of logits.",
        )
    known_labels(xp, "cross entropy", labels, count, ignore)
    index = xp.lib.where(labels < 0, count, labels)  # no label counts from the end
    if ignore is not None:
        index = xp.lib.where(labels == ignore, 0, index)
    loss = -xp.take_along(chances, index[:, None], 1)[:, 0]
    if class_weight is not None:
        loss = loss * xp.take(class_weight, index)
    return loss if ignore is None else xp.lib.where(labels == ignore, 0, loss)


def known_labels(xp: Ops, name: str, labels: Any, count: int, ignore: int | None = None) -> None:
    """Labels are in [0, count), or the one to ignore; where the host has them at once.

    Raises:
        FkitValueError: one is not.
    """
    right = (labels >= 0) & (labels < count)
    if ignore is not None:
        right = right | (labels == ignore)
    if xp.known(right.all()) is False:
        low, high = int(labels.min()), int(labels.max())
        also = "" if ignore is None else f", or {ignore}, which is ignored"
        raise FkitValueError(
            f"{name}: labels are from {low} to {high}, but there are {count} classes, 0 to {count - 1}{also}.",
            repair="Compare num_classes of the head with the classes of the data set.",
        )


def hot(xp: Ops, labels: Any, count: int) -> Any:
    """(..., count): where each label (...) is; a label outside of [0, count) is nowhere.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> hot(Numpy(), np.array([1, 2]), 2).tolist()
        [[False, True], [False, False]]
    """
    return labels[..., None] == xp.arange(count, labels)


def binary_cross_entropy(xp: Ops, logits: Any, target: Any, positive: Any = None) -> Any:
    """How unlikely a sigmoid of each element makes its target.

    Args:
        logits: any shape.
        target: flags, or numbers in [0, 1], of that shape.
        positive: what the loss of a positive is multiplied by; broadcasts to the shape.

    Returns:
        The shape of ``logits``.

    Raises:
        FkitTypeError: the shapes differ.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> binary_cross_entropy(Numpy(), np.array([0.0, 100.0]), np.array([True, False])).round(6).tolist()
        [0.693147, 100.0]
    """
    if str(target.dtype).endswith("bool"):
        trained(xp, "binary cross entropy", logits, target)
        logits = raised(xp, logits)
        loss = xp.softplus(_turned(xp, target, logits))
        return loss if positive is None else loss * xp.lib.where(target, xp.asarray(positive, logits), 1)
    logits, target = trained(xp, "binary cross entropy", logits, target)
    if positive is None:
        return xp.softplus(logits) - target * logits
    heavier = 1 + (xp.asarray(positive, logits) - 1) * target
    return (1 - target) * logits + heavier * xp.softplus(-logits)


def _turned(xp: Ops, positive: Any, logits: Any) -> Any:
    """Logits, those of positives negated: the greater, the more wrong. One pass in each direction."""
    return logits * xp.lib.where(positive, xp.full((), -1, logits), xp.full((), 1, logits))


def chance_entropy(xp: Ops, chances: Any, target: Any) -> Any:
    """Binary cross entropy of probabilities, each logarithm at least -100.

    Args:
        chances: in [0, 1].
        target: of that shape.
    """
    chances, target = trained(xp, "binary cross entropy", chances, target)
    return -(target * _log(xp, chances) + (1 - target) * _log(xp, 1 - chances))


def _log(xp: Ops, chances: Any) -> Any:
    tiny = (
        3.8e-44 if str(chances.dtype).endswith("64") else 1.2e-38
    )  # exp(-100), or the least that float32 holds in full
    return xp.lib.where(chances > tiny, xp.lib.log(xp.lib.where(chances > tiny, chances, 1)), -100.0)


def powered(a: Any, exponent: float) -> Any:
    """``a ** exponent`` of numbers from 0, in the least work; with a gradient at 0 where the exponent is 0 or whole."""
    if exponent == 0:
        return 1.0
    if exponent == int(exponent):
        exponent = int(exponent)
    return a if exponent == 1 else a * a if exponent == 2 else a**exponent


def focal(xp: Ops, logits: Any, target: Any, gamma: float = 2.0, alpha: float = 0.25, activated: bool = False) -> Any:
    """Binary cross entropy of each class, less of what is told apart well already.

    Args:
        logits: (N, C).
        target: whole labels (N,), where a label of C is of no class; or (N, C), in [0, 1].
        gamma: the power of the modulating factor.
        alpha: the weight of a positive; a negative's is 1 - alpha.
        activated: ``logits`` are probabilities.

    Returns:
        (N, C).

    Raises:
        FkitTypeError: the shapes do not fit.
        FkitValueError: a label is no class (where the host has the labels).

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> focal(Numpy(), np.zeros((1, 2)), np.array([1])).round(4).tolist()
        [[0.13, 0.0433]]
    """
    lib = xp.lib
    if len(target.shape) == len(logits.shape):
        logits, target = trained(xp, "focal loss", logits, target)
        chance = logits if activated else xp.sigmoid(logits)
        wrong = (1 - chance) * target + chance * (1 - target)
        entropy = chance_entropy(xp, logits, target) if activated else binary_cross_entropy(xp, logits, target)
        return entropy * ((2 * alpha - 1) * target + (1 - alpha)) * powered(wrong, gamma)
    if tuple(target.shape) != tuple(logits.shape[:-1]):
        raise FkitTypeError(
            f"focal loss: logits have the shape {tuple(logits.shape)}, but their labels {tuple(target.shape)}.",
            repair="Give one label a row of logits.",
        )
    logits = raised(xp, logits)
    count = logits.shape[-1]
    known_labels(xp, "focal loss", target, count + 1)
    positive = hot(xp, target, count)
    share = lib.where(positive, xp.full((), alpha, logits), xp.full((), 1 - alpha, logits))
    if activated:
        return chance_entropy(xp, logits, positive) * share * powered(lib.where(positive, 1 - logits, logits), gamma)
    turned = _turned(xp, positive, logits)
    return xp.softplus(turned) * share * powered(xp.sigmoid(turned), gamma)
