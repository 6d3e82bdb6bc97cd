"""What a model may not do in forward, seen from outside: write into what it was given, keep state of its own."""

import warnings
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

from fkit.backend.torch.drop import RandomLayer
from fkit.structures import DataElement, tree_parts
from fkit.structures.batch import Samples
from fkit.tree.error import FkitRuntimeError

__all__ = [
    "Marks",
    "Memory",
    "marks_of",
    "memory_of",
    "places_of",
    "refuse_assigned",
    "refuse_replaced",
    "refuse_state_writes",
    "refuse_writes",
    "state_marks",
    "tell_memory",
]

_SHOWN = 5
_PLAIN = (int, float, str, bytes, bool, tuple)
_RESTING = "A buffer changes in training alone: write to it under `if self.training:`."


class Marks(NamedTuple):
    """Tensors and how often each was written to in place (torch counts, but for writes through ``.data``)."""

    tensors: list[Tensor]
    versions: list[int]


def marks_of(inputs: Any, samples: Samples) -> Marks:
    """The marks of all tensors of a batch on its device."""
    tensors = [inputs] if isinstance(inputs, Tensor) else list(_leaves(inputs))
    for tree in samples:
        for value in tree.values():
            if isinstance(value, Tensor):
                tensors.append(value)
            else:
                tensors += _leaves(value)
    return Marks(tensors, _versions(tensors))


def _versions(tensors: list[Tensor]) -> list[int]:
    try:
        return [tensor._version for tensor in tensors]
    except RuntimeError:  # of torch.inference_mode: those have no count
        return [-1 if tensor.is_inference() else tensor._version for tensor in tensors]


def _leaves(tree: Any) -> Iterable[Tensor]:
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from _leaves(value)
    elif isinstance(tree, (list, tuple)):
        for value in tree:
            yield from _leaves(value)
    elif isinstance(tree, DataElement):
        yield from _leaves(tree_parts(tree)[0])


def refuse_writes(marks: Marks) -> None:
    """Refuse that a model has written into its batch.

    Raises:
        FkitRuntimeError: it has; the caller's arrays, which share memory with the tensors, may be changed.
    """
    if _versions(marks.tensors) != marks.versions:
        raise FkitRuntimeError(
            "the model writes into its inputs or samples by an operation in place: the batch is no longer what it was.",
            repair="Make a new tensor (x = x - mean, not x -= mean; no inplace=True in a first layer), or x = x.clone().",
        )


def state_marks(params: Mapping[str, Tensor], buffers: Mapping[str, Tensor]) -> Marks:
    """The marks of a state's tensors."""
    tensors = [*params.values(), *buffers.values()]
    return Marks(tensors, _versions(tensors))


def refuse_state_writes(names: Iterable[str], marks: Marks) -> None:
    """Refuse that a model has written into the tensors of a state while evaluating.

    Raises:
        FkitRuntimeError: it has.
    """
    after = _versions(marks.tensors)
    if after != marks.versions:
        names = [name for name, one, two in zip(names, marks.versions, after, strict=True) if one != two]
        raise FkitRuntimeError(f"evaluating, the model writes into {_listed(names)} of the state.", repair=_RESTING)


def refuse_assigned(names: Iterable[str]) -> None:
    """Refuse that a model has put other values in the place of buffers while evaluating.

    Raises:
        FkitRuntimeError: it has.
    """
    names = list(names)
    if names:
        raise FkitRuntimeError(f"evaluating, the model assigns to {_listed(names)} of its buffers.", repair=_RESTING)


def places_of(params: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Where parameters have their memory."""
    return tuple([_place(tensor) for tensor in params.values()])


def refuse_replaced(params: Mapping[str, Tensor], places: tuple[int, ...], others: Iterable[str]) -> None:
    """Refuse that a model has put other values in the place of parameters, which nobody would keep.

    Args:
        places: of the parameters, before.
        others: names of those that are other tensors now.

    Raises:
        FkitRuntimeError: it has; by an assignment, or by one to ``.data``.
    """
    moved = [
        name for name, place, tensor in zip(params, places, params.values(), strict=True) if place != _place(tensor)
    ]
    names = list(dict.fromkeys((*others, *moved)))
    if names:
        raise FkitRuntimeError(
            f"forward puts other values in the place of {_listed(names)} of its parameters: they would be lost.",
            repair="Write into them (with torch.no_grad(): self.weight.copy_(value)); or register a buffer.",
        )


def _place(tensor: Tensor) -> int:
    try:
        return tensor.data_ptr()
    except RuntimeError:  # of torch.func's transforms: those have no memory of their own
        return 0


Memory = Mapping[str, tuple[Any, Any]]
"""{attribute's path: (value, what its content was)}."""


def memory_of(module: nn.Module) -> Memory:
    """The attributes of a user's modules, the buffers that no state holds, and the names of what is registered."""
    memory: dict[str, tuple[Any, Any]] = {}
    for path, part in module.named_modules():
        if type(part).__module__.startswith("torch.") or isinstance(part, RandomLayer):
            continue
        prefix = f"{path}." if path else ""
        loose = part._non_persistent_buffers_set  # pyright: ignore[reportPrivateUsage]
        values = {
            name: value
            for name, value in part.__dict__.items()
            if name not in ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set")
        }
        for kind in ("_parameters", "_modules", "_buffers"):
            values.update((name, tensor if name in loose else kind) for name, tensor in part.__dict__[kind].items())
        memory.update({prefix + name: (value, _content(value)) for name, value in values.items()})
    return memory


def tell_memory(before: Memory, module: nn.Module) -> None:
    """Warn of attributes that a forward pass has set, parameters, buffers and modules that it makes among them: they are in no state, so neither saved nor resumed, and threads
    have each their own.
    """
    after = memory_of(module)
    changed = [
        name
        for name in (*after, *(name for name in before if name not in after))
        if not (name in before and name in after and _same(before[name], after[name]))
    ]
    if changed:
        warnings.warn(
            f"{type(module).__name__}: forward sets {_listed(changed)}: hidden state, which is not in the train state, "
            "so neither saved nor resumed, nor shared by threads. Register a buffer, or set it in __init__.",
            UserWarning,
            stacklevel=2,
        )


def _content(value: Any) -> Any:
    if isinstance(value, Tensor):
        return _versions([value])
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    return list(value) if isinstance(value, (list, set)) else None


def _same(one: tuple[Any, Any], other: tuple[Any, Any]) -> bool:
    (value, content), (now, content_now) = one, other
    if value is not now and not (type(value) is type(now) and isinstance(value, _PLAIN) and value == now):
        return False
    if content is None or content_now is None:
        return content is content_now
    return len(content) == len(content_now) and all(
        a is b or (isinstance(a, _PLAIN) and a == b) for a, b in zip(content, content_now, strict=True)
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(repr(name) for name in names[:_SHOWN]) + more
