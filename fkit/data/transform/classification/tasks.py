"""Packing for several tasks at once: mmpretrain's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from fkit.data.transform.foreign import as_transform
from fkit.data.transform.formatting import PackInputs, names_of
from fkit.data.transform.transform import Sample, Transform
from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError, quoted
from fkit.tree.frozen import frozen

__all__ = ["PackMultiTaskInputs"]


@dataclass(frozen=True, init=False)
class PackMultiTaskInputs(Transform):
    """Pack a sample whose annotations are of several tasks; mmpretrain's PackMultiTaskInputs.

    Args:
        multi_task_fields: keys of the sample that hold a mapping of tasks, such as ``gt_label``.
        input_key: as of `PackInputs`.
        task_handlers: what packs a task, by its name; any other task is packed by `PackInputs`.
        build: of the registry, which calls it; None takes transforms that are made.

    Returns ``{"inputs": (C, H, W), "targets": {task: {...}}, "meta": {...}}``.

    Example:
        >>> import numpy as np
        >>> pack = PackMultiTaskInputs(["gt_label"])
        >>> packed = pack({"img": np.zeros((8, 6, 3)), "gt_label": {"kind": 3, "age": 1}})
        >>> packed["inputs"].shape, packed["targets"]["age"]["gt_label"]
        ((3, 8, 6), 1)
    """

    multi_task_fields: tuple[str, ...]
    input_key: str
    task_handlers: Mapping[str, Transform]

    def __init__(
        self,
        multi_task_fields: Sequence[str],
        input_key: str = "img",
        task_handlers: Mapping[str, Any] | None = None,
        *,
        build: Any = None,
    ) -> None:
        fields = names_of(multi_task_fields, "PackMultiTaskInputs: multi_task_fields")
        expect(input_key, str, "PackMultiTaskInputs: input_key is a name")
        expect(task_handlers, (Mapping, type(None)), "PackMultiTaskInputs: task_handlers is a mapping of tasks")
        handlers: dict[str, Transform] = {}
        for task, one in (task_handlers or {}).items():
            made: Any = build("transforms", one) if build is not None and isinstance(one, Mapping) else one
            handlers[task] = as_transform(made)
        object.__setattr__(self, "multi_task_fields", fields)
        object.__setattr__(self, "input_key", input_key)
        object.__setattr__(self, "task_handlers", frozen(handlers))

    def apply(self, sample: Sample, params: Any) -> Sample:
        expect(sample, Mapping, "`sample` is a mapping")
        common = {key: value for key, value in sample.items() if key not in self.multi_task_fields}
        tasks: dict[str, dict[str, Any]] = {}
        for field in self.multi_task_fields:
            values: Any = sample.get(field, {})
            if not isinstance(values, Mapping):
                raise FkitTypeError(f"the sample's {field} is a mapping of tasks, not {quoted(values)}.")
            for task, value in cast("Mapping[str, Any]", values).items():
                tasks.setdefault(task, {})[field] = value
        usual = PackInputs(self.input_key)
        whole = usual.apply(frozen(common), None)
        targets = {
            task: self.task_handlers.get(task, usual)(frozen({**common, **own}))["targets"]
            for task, own in tasks.items()
        }
        return frozen({**whole, "targets": frozen(targets)})
