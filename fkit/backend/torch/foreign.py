"""What torch saves: values with numpy's arrays in them as the bytes of a ``.pth``."""

import inspect
import io
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch

from fkit.backend.torch.interop import tensor_of
from fkit.tree.error import FkitTypeError

__all__ = ["pth_bytes"]


def pth_bytes(content: Any) -> bytes:
    """The bytes of a ``.pth`` that torch reads with ``weights_only=True``.

    Args:
        content: mappings, sequences, texts, numbers, and arrays, which become tensors. Of the state of an optimizer, with
            its ``type``, the groups are given the options of torch's class that they lack.

    Raises:
        FkitTypeError: it holds something else.

    Example:
        >>> pth_bytes({"state_dict": {"w": np.zeros(2)}})[:2]
        b'PK'
    """
    file = io.BytesIO()
    torch.save(_plain(content), file)
    return file.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return tensor_of(np.array(value))
    if isinstance(value, Mapping):
        table = cast("Mapping[Any, Any]", value)
        if "param_groups" in table and "type" in table:
            table = _with_defaults(table)
        return {key: _plain(item) for key, item in table.items()}
    if isinstance(value, list | tuple):
        items = [_plain(item) for item in cast("list[Any]", value)]
        return items if isinstance(value, list) else tuple(items)
    if value is None or isinstance(value, str | int | float | bytes | torch.Tensor):
        return value
    raise FkitTypeError(f"a file of torch's is made of data, not of a {type(value).__name__}.")


def _with_defaults(state: Mapping[str, Any]) -> dict[str, Any]:
    kind: Any = getattr(torch.optim, str(state["type"]), None)
    defaults: dict[str, Any] = {}
    if isinstance(kind, type):
        names = inspect.signature(kind).parameters
        known = {key: value for key, value in state["param_groups"][0].items() if key in names and key != "params"}
        defaults = {
            k: v
            for k, v in kind([torch.zeros(1, requires_grad=True)], **known).param_groups[0].items()
            if k != "params"
        }
    groups = [{**defaults, **group} for group in state["param_groups"]]
    others = {key: value for key, value in state.items() if key != "type"}
    if "base_param_settings" in others:
        others["base_param_settings"] = {**defaults, **others["base_param_settings"]}
    return {**others, "param_groups": groups}
