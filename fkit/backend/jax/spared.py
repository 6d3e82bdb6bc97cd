"""What a prediction does not read of a batch is not given to it.

Batches of a validation carry the truth that predictions are scored by, objects and maps of any number and size; JAX compiles
for every shape that it is given, be it read or not. So a program predicts without the truth at first. A model that reads of
it is traced once more, with what it asked for, and is given that from then on.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

import jax

__all__ = ["Spared", "sparing", "unspared"]

_TRUTH = ("gt_", "ignored_")  # how names of what predictions are scored by begin
_Fixed = tuple[tuple[str, ...], frozenset[str]]


class _Asked(BaseException):
    """A model asked for targets that its prediction was not given: no error, and none that a model should catch."""

    def __init__(self, names: frozenset[str]) -> None:
        super().__init__(*sorted(names))
        self.names = names


class Spared(Mapping[str, Any]):
    """A batch's targets, some of which are away: these can be named, and are asked for when they are read.

    As a pytree it is what is here.

    Args:
        here: {name: value}.
        away: names of the others.
    """

    def __init__(self, here: Mapping[str, Any], away: frozenset[str]) -> None:
        self._here, self._away = here, away

    def __getitem__(self, name: str) -> Any:
        if name in self._away:
            raise _Asked(frozenset((name,)))
        return self._here[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._here, *self._away}))

    def __len__(self) -> int:
        return len(self._here) + len(self._away)

    def __contains__(self, name: object) -> bool:
        return name in self._here or name in self._away

    def whole(self, *_: Any) -> NoReturn:
        """All of it is asked for."""
        raise _Asked(self._away)

    copy = __or__ = __ror__ = whole

    def parts(self) -> tuple[tuple[Any, ...], _Fixed]:
        """Its leaves, and what does not change: of a pytree."""
        names = tuple(sorted(self._here))
        return tuple(self._here[name] for name in names), (names, self._away)

    def keyed(self) -> tuple[tuple[Any, ...], _Fixed]:
        """`parts`, each leaf by its name."""
        leaves, fixed = self.parts()
        return tuple((jax.tree_util.DictKey(name), leaf) for name, leaf in zip(fixed[0], leaves, strict=True)), fixed


def _joined(fixed: _Fixed, leaves: Any) -> Spared:
    return Spared(dict(zip(fixed[0], leaves, strict=True)), fixed[1])


jax.tree_util.register_pytree_with_keys(Spared, Spared.keyed, _joined, Spared.parts)


def sparing() -> Callable[[Callable[[Any, Any], Any], Mapping[str, Any], Mapping[str, Any]], Any]:
    """``(call, targets, valid) -> call(targets, valid)`` without the truth that ``call`` does not read.

    What it has read once is given to it ever after.

    Example:
        >>> given = []
        >>> def call(targets, valid):
        ...     given.append(sorted(jax.tree.leaves((targets, valid))))
        ...     return targets["scale"] + targets["gt_boxes"]["x"]
        >>> spare = sparing()
        >>> targets = {"scale": 1, "gt_boxes": {"x": 2}, "gt_map": 3}
        >>> spare(call, targets, {"gt_boxes": 4}), spare(call, targets, {"gt_boxes": 4}), given
        (3, 3, [[1], [1, 2, 4], [1, 2, 4]])
    """
    asked: set[str] = set()

    def spare(call: Callable[[Any, Any], Any], targets: Mapping[str, Any], valid: Mapping[str, Any]) -> Any:
        while True:
            away = frozenset(name for name, value in targets.items() if _is_truth(name, value) and name not in asked)
            try:
                return call(*(_without(one, away) for one in (targets, valid))) if away else call(targets, valid)
            except _Asked as question:
                asked.update(question.names)

    return spare


def unspared(outputs: Any) -> Any:
    """What a model gives back, in which nothing is away: where it passes its targets on, they are asked for."""
    for leaf in jax.tree.leaves(outputs, is_leaf=lambda leaf: isinstance(leaf, Spared)):
        if isinstance(leaf, Spared):
            leaf.whole()
    return outputs


def _is_truth(name: str, value: Any) -> bool:
    """Whether a target may be of another shape in each batch: objects, and maps; not one number an image."""
    return isinstance(value, Mapping) or (name.startswith(_TRUTH) and getattr(value, "ndim", 2) > 1)


def _without(values: Mapping[str, Any], away: frozenset[str]) -> Spared:
    return Spared({name: value for name, value in values.items() if name not in away}, away.intersection(values))
