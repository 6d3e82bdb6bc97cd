"""Several runs of one program as one step on torch: one vmapped forward and backward pass, and each run's own update.

The parameters of the runs lie in one tensor each, (K, ...); a run's own are views of it, which its optimizer writes into.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from frozendict import frozendict
from torch import Tensor
from torch.func import functional_call
from torch.utils import _pytree as pytree

from fkit.array.ops import Numpy
from fkit.array.random import call_key, fold
from fkit.backend.torch.gradient import reached, told
from fkit.backend.torch.loss import number
from fkit.backend.torch.model import Model
from fkit.backend.torch.ops import Torch
from fkit.backend.torch.optimizer import Numbers, Update
from fkit.data.label import check_targets
from fkit.structures.batch import Batch, Samples
from fkit.training.loss import numbers_of
from fkit.training.phase import Part
from fkit.training.state import Hyperparams, TrainState
from fkit.training.together import Together
from fkit.training.transform import Context, apply

__all__ = ["together"]

_CONVOLUTIONS = ("Conv1d", "Conv2d", "Conv3d", "ConvTranspose2d")
_WORD = 0xFFFFFFFF

Words = Callable[[Any], tuple[int, int]]
Moved = Callable[..., Mapping[str, Any]]


class _Joined(NamedTuple):
    """The states of K runs.

    Attributes:
        params, buffers: {name: (K, ...)}.
        mine: of each run, {name: its view of the parameter}.
        opt, slots, updates: of each run.
        keys: the two words of each run's key, (K, 1) uint32 each.
        iteration: of all.
    """

    params: dict[str, Tensor]
    buffers: dict[str, Tensor]
    mine: tuple[Mapping[str, Tensor], ...]
    opt: tuple[Any, ...]
    slots: tuple[Any, ...]
    updates: tuple[Any, ...]
    keys: tuple[Any, Any]
    iteration: Any
    key: tuple[Any, ...]


def together(
    model: Model, parts: tuple[Part, ...], updates: Mapping[str, Update], numbers: Callable[..., tuple[Numbers, ...]],
    moved: Moved, words: Words,
) -> tuple[Together | None, str]:  # fmt: skip
    """The step for several runs; None, and why, where separate steps are the better form.

    Args:
        numbers, moved, words: of the program's own step: hyperparameters by phase, an optimizer's update, a key's two words.
    """
    why = _unfit(model, parts)
    if why:
        return None, why
    runs = _Runs(model, parts[0], updates, numbers, moved, words)
    return Together(runs.join, runs.step, runs.part, "one vmapped pass for all runs, and each run's own update"), ""


class _Runs:
    """The three functions of `Together`, over one template, which is vmapped."""

    def __init__(
        self, model: Model, only: Part, updates: Mapping[str, Update], numbers: Callable[..., tuple[Numbers, ...]],
        moved: Moved, words: Words,
    ) -> None:  # fmt: skip
        self._model, self._only, self._updates = model, only, updates
        self._numbers, self._moved, self._words = numbers, moved, words
        self._template = model.training.take()  # for good
        paths = {id(module): path for path, module in self._template.module.named_modules()}
        self._keys = tuple(f"{paths[id(layer)]}.key".lstrip(".") for layer in self._template.layers)

    def join(self, states: Sequence[TrainState]) -> _Joined:
        rows = [state.consume() for state in states]
        params = {name: torch.stack([row[0][name] for row in rows]) for name in rows[0][0]}
        buffers = {name: torch.stack([row[1][name] for row in rows]) for name in rows[0][1]}
        mine = tuple(frozendict({name: one[place] for name, one in params.items()}) for place in range(len(rows)))
        return _Joined(
            params, buffers, mine, tuple(row[2] for row in rows), tuple(row[3] for row in rows),
            tuple(row[5] for row in rows), _columns([self._words(row[6]) for row in rows]), rows[0][4],
            tuple(row[6] for row in rows),
        )  # fmt: skip

    def step(
        self, joined: _Joined, batches: Sequence[Batch], hyperparams: Sequence[Hyperparams]
    ) -> tuple[_Joined, Sequence[Mapping[str, Any]]]:
        only, model = self._only, self._model
        values = [self._numbers((only,), one)[0] for one in hyperparams]
        for batch in batches:
            check_targets(model.inventory.labels, batch.targets, batch.valid)
        trees: list[Any] = []
        for batch in batches:
            inputs, samples = model.feed(batch)
            trees.append((inputs, dict(samples.targets), dict(samples.valid)))
        done = int(joined.iteration)
        rows = self._rows(joined.keys, done)
        leaves = {name: joined.params[name].detach().requires_grad_() for name in only.names}
        held = {**{name: joined.params[name] for name in only.others}, **leaves}
        stacked: Any = pytree.tree_map(lambda *one: torch.stack(one), *trees)
        with model.cast(model.half):
            found, after = torch.vmap(self._losses, in_dims=(0, 0, None if rows is None else 0, 0, 0, 0))(
                held, joined.buffers, rows, *stacked
            )
        objective = reached(only, found)
        # the runs do not meet: the gradient of the sum is each run's own
        grads: Any = torch.autograd.grad(objective.sum(), tuple(leaves.values()), allow_unused=True)
        named = {name: grad for name, grad in zip(leaves, grads, strict=True) if grad is not None}
        return self._updated(joined, after, named, told(only, found, objective), values)

    def part(self, joined: _Joined, place: int) -> TrainState:
        buffers = frozendict({name: one[place].clone() for name, one in joined.buffers.items()})
        params = frozendict({name: one.clone() for name, one in joined.mine[place].items()})
        return TrainState(
            params, buffers, _copied(joined.opt[place]), joined.slots[place], joined.iteration, joined.updates[place],
            joined.key[place],
        )  # fmt: skip

    def _losses(self, values: Any, buffers: Any, rows: Any, inputs: Any, targets: Any, valid: Any) -> tuple[Any, Any]:
        """Of one run, as vmap traces it: its losses, and its buffers after them."""
        held = {**values, **buffers}
        if rows is not None:
            keys, firsts = rows
            held |= dict(zip(self._keys, keys.unbind(), strict=True))
            for layer, first in zip(self._template.layers, firsts.unbind(), strict=True):
                layer.calls, layer.words, layer.given = 0, None, (first[0], first[1])
        samples, mode = Samples(targets, valid), self._only.phase.mode
        outputs = functional_call(self._template.module, held, (inputs, samples), {"mode": mode}, strict=False)
        return numbers_of(outputs, number), {name: held[name] for name in buffers}

    def _updated(
        self, joined: _Joined, after: Any, grads: Mapping[str, Tensor], logs: Mapping[str, Tensor], values: Any
    ) -> tuple[_Joined, Sequence[Mapping[str, Any]]]:
        """Each run's transforms and update, which writes into its views."""
        only, said_of = self._only, list[Mapping[str, Any]]()
        opts, slots, moves = list(joined.opt), list(joined.slots), list(joined.updates)
        for place, mine in enumerate(joined.mine):
            own = {name: grad[place] for name, grad in grads.items()}
            context = Context(int(joined.iteration), mine, only.total)
            own, changed, wanted, said = apply(only.transforms, Torch(self._model.device), own, slots[place], context)
            if changed:
                whole = slots[place]
                slots[place] = frozendict({**whole, **{k: frozendict({**whole[k], **v}) for k, v in changed.items()}})
            if own and wanted is not False:
                opts[place] = self._moved(only, self._updates, mine, own, opts[place], values[place], wanted)
                moves[place] = moves[place] + wanted
            said_of.append({**{name: value[place] for name, value in logs.items()}, **said})
        return joined._replace(
            buffers={name: value.detach() for name, value in after.items()}, opt=tuple(opts), slots=tuple(slots),
            updates=tuple(moves), iteration=joined.iteration + 1,
        ), said_of  # fmt: skip

    def _rows(self, keys: tuple[Any, Any], done: int) -> tuple[Tensor, Tensor] | None:
        """The keys of the random layers of each run, and those of their first calls, (K, L, 2) int32 each; None where nothing
        draws."""
        if not self._template.layers:
            return None
        xp = Numpy()
        for word in (done & _WORD, self._only.place):
            keys = fold(xp, keys, np.uint32(word))
        layers = fold(xp, keys, np.array(self._template.tags, np.uint32))
        both = (layers, call_key(xp, layers, 0))
        first, second = (torch.from_numpy(np.stack(pair, -1).view(np.int32)).to(self._model.device) for pair in both)
        return first, second


def _unfit(model: Model, parts: tuple[Part, ...]) -> str:
    """Why a model's runs do not step together; "" where they do."""
    spec, layers = model.spec, {entry.layer for entry in model.inventory.entries}
    if model.device.type == "cpu" and layers.intersection(_CONVOLUTIONS):
        return "on a CPU, convolutions of several runs in one call are no faster than one after the other"
    if len(parts) != 1 or parts[0].phase.every != 1:
        return "there are several phases"
    if parts[0].scale is not None:
        return "the loss is scaled"
    if spec.compile:
        return "the step is compiled"
    if spec.preprocess is not None:
        return "batches pass a preprocessor on the device"
    if model.training.first.random:
        return "a layer draws from torch's own generator"
    if not spec.donate:
        return "states are not used up (donate=False)"
    return ""


def _copied(tree: Any) -> Any:
    if isinstance(tree, Mapping):
        return frozendict({name: _copied(value) for name, value in tree.items()})  # pyright: ignore[reportUnknownVariableType]
    return tree.clone() if isinstance(tree, Tensor) else tree


def _columns(keys: Sequence[tuple[int, int]]) -> tuple[Any, Any]:
    first, second = (np.array([pair], np.uint32).T for pair in zip(*keys, strict=True))
    return first, second
