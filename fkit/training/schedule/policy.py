"""What a schedule is: ``init() -> state``, ``step(state, at, value) -> (state, value)``, and where in a run it is asked."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fkit.tree.error import FkitValueError
from fkit.tree.frozen import EMPTY

__all__ = ["INF", "UNKNOWN", "Extent", "Schedule", "Time", "Value", "no_momentum", "still", "targets"]

Value: TypeAlias = NDArray[np.float64]

INF = 10**9
"""The ``end`` of a policy that has none: mmengine's."""


class Time(NamedTuple):
    """Where a run is, as far as a schedule may ask.

    Attributes:
        iteration: training iterations done.
        epoch: training epochs done (0 throughout an iteration-based run).
        metrics: the newest validation result.
    """

    iteration: int
    epoch: int
    metrics: Mapping[str, float] = EMPTY


class Extent(NamedTuple):
    """How long a run is.

    Attributes:
        by_epoch: whether it counts epochs.
        limit: its epochs or iterations; 0 where that is not known.
        length: iterations of an epoch; 0 where that is not known.
    """

    by_epoch: bool = True
    limit: int = 0
    length: int = 0

    @property
    def total(self) -> int:
        """Its iterations; 0 where they are not known."""
        return self.limit * self.length if self.by_epoch else self.limit

    def steps(self, by_epoch: bool) -> int:
        """How many steps a policy sees that counts epochs, or iterations; 0 where that is not known.

        Example:
            >>> Extent(True, 12, 100).steps(False), Extent(False, 900).steps(True)
            (1200, 1)
        """
        if by_epoch:
            return self.limit if self.by_epoch else 1
        return self.total


UNKNOWN = Extent()
"""Of a run of which nothing is known."""


class Schedule(Protocol):
    """One policy for one hyperparameter.

    One of the time alone, with no state, may say so by an attribute ``closed = True``: it is asked ahead of time then,
    and once only where its method ``change(at)`` names the next epoch or iteration at which its value may differ (which
    of the two, its ``by_epoch`` says).
    """

    @property
    def param(self) -> str: ...

    def init(self) -> Any:
        """The state before the first step: data that JSON can hold."""
        ...

    def step(self, state: Any, at: Time, value: Value) -> tuple[Any, Value]:
        """The state and the value in force at ``at``; ``value`` (G,) is what the policies before this one give."""
        ...


def targets(param: str, values: Mapping[str, Any]) -> tuple[str, ...]:
    """The hyperparameters that a policy for ``param`` acts on: of several optimizers, that of each.

    A momentum is ``momentum``, or Adam's ``beta1``.

    Raises:
        FkitValueError: no optimizer has it.

    Example:
        >>> targets("momentum", {"lr": 0.1, "beta1": 0.9}), targets("lr", {"gen.lr": 0.1, "disc.lr": 0.2})
        (('beta1',), ('gen.lr', 'disc.lr'))
        >>> targets("gen.momentum", {"gen.beta1": 0.5, "disc.momentum": 0.9})
        ('gen.beta1',)
    """
    before, _, word = param.rpartition(".")
    names = (param, f"{before}.beta1" if before else "beta1") if word == "momentum" else (param,)
    exact = next((name for name in names if name in values), None)
    if exact is not None:
        return (exact,)
    each = {name.rpartition(".")[0]: name for name in values if name.rpartition(".")[2] == param}
    if param == "momentum":
        betas = {name.rpartition(".")[0]: name for name in values if name.endswith(".beta1")}
        each = {**betas, **each}
    if each:
        return tuple(each.values())
    raise FkitValueError(
        f"a schedule acts on {param!r}, which the optimizer does not have.",
        value=param,
        choices=tuple(name for name in values if not name.startswith("initial_")),
        label="Hyperparameters",
    )


def still(values: Mapping[str, Any]) -> frozenset[str]:
    """The momenta that are 0 in every group: an optimizer made without momentum keeps no velocity to raise one in.

    Example:
        >>> sorted(still({"lr": np.array([0.0]), "momentum": np.array([0.0, 0.0]), "b.momentum": np.array([0.0, 0.9])}))
        ['momentum']
    """
    return frozenset(
        name for name, value in values.items() if name.rpartition(".")[2] == "momentum" and not np.any(value)
    )


def no_momentum(who: str, name: str) -> FkitValueError:
    """The error for who would raise a momentum that is `still`.

    Example:
        >>> print(no_momentum("a schedule acts on", "momentum").what)
        a schedule acts on 'momentum', which is 0: an optimizer without momentum keeps no velocity to raise it in.
    """
    return FkitValueError(
        f"{who} {name!r}, which is 0: an optimizer without momentum keeps no velocity to raise it in.",
        repair="Give the optimizer the momentum that is to be changed.",
    )
