"""A law on the parameters of a model: what both rooms do alike to start its slots and to move by it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from fkit.array.ops import Ops
from fkit.training.law import Law, Move
from fkit.training.optimizer import Optimizer

__all__ = ["Lawful"]

Arrays = Mapping[str, Any]


class Lawful(NamedTuple):
    """An optimizer whose update is a law.

    Attributes:
        law: the update.
        order: the names of its slots.
        settings: the options of each setting.
        groups: the parameters of each setting.
    """

    law: Law
    order: tuple[str, ...]
    settings: tuple[Mapping[str, Any], ...]
    groups: tuple[tuple[str, ...], ...]

    @staticmethod
    def of(law: Law, optimizer: Optimizer, groups: tuple[tuple[str, ...], ...]) -> "Lawful":
        """Of the parameters of each setting."""
        return Lawful(law, optimizer.slots(), tuple(optimizer.settings(i) for i in range(len(groups))), groups)

    def fresh(self, params: Arrays, full: Callable[[Any, float], Any], number: Callable[[Any, float], Any]) -> Any:
        """The slots before the first step, {slot: {name: array}}.

        Args:
            full: an array shaped like a parameter, of one value.
            number: a 0-d one, float32, where that parameter is.
        """
        return {
            slot: {
                name: (number if slot == "step" else full)(params[name], self.law.start(slot, self.settings[i]))
                for i, group in enumerate(self.groups)
                for name in group
            }
            for slot in self.order
        }

    def moves(
        self, xp: Ops, rows: Callable[[Sequence[str], Arrays], Iterable[Sequence[str]]], pack: Callable[[Sequence[Any]], Any],
        widen: Callable[[Any], Any], params: Arrays, grads: Arrays, slots: Mapping[str, Arrays], numbers: Sequence[Arrays],
    ) -> Iterator[tuple[Sequence[str], Any, Mapping[str, Any]]]:  # fmt: skip
        """(names, parameters, slots) after the step, of each row of parameters that have gradients.

        Args:
            rows: (names of one setting, params) -> those that one call moves together, in rows.
            pack: what stands for the arrays of a row in the law's arithmetic.
            widen: makes a packed ``step`` the widest float: 1 - 0.999 ** step has few digits in single.
            numbers: {hyperparameter: value} of each setting.
        """
        norm = xp.norm(list(grads.values()), 2.0) if self.law.whole else None
        for i, group in enumerate(self.groups):
            for names in rows([name for name in group if name in grads], params):
                held = {slot: pack([slots[slot][name] for name in names]) for slot in self.order}
                if "step" in held:
                    held["step"] = widen(held["step"])
                param, grad = pack([params[name] for name in names]), pack([grads[name] for name in names])
                yield names, *self.law.move(xp, Move(param, grad, held, numbers[i], self.settings[i], norm))
