"""Structures as text."""

from collections.abc import Iterable
from typing import Any

from fkit.structures.content import concrete, family
from fkit.structures.freeze import thaw

__all__ = ["render"]

_SHOWN = 8  # numbers of an array that are shown


def render(name: str, meta: Iterable[tuple[str, Any]], data: Iterable[tuple[str, Any]]) -> str:
    """An element's fields, a line each; arrays by dtype, shape and, where they are short, their numbers.

    Example:
        >>> import numpy as np
        >>> print(render("Boxes", [("h", 4)], [("box", np.zeros((2, 4))), ("ids", np.arange(2))]))
        <Boxes(
          META INFORMATION
            h: 4
          DATA FIELDS
            box: float64 (2, 4)
            ids: int64 (2,) [0, 1]
        )>
    """
    lines = [f"<{name}("]
    for title, fields in (("META INFORMATION", tuple(meta)), ("DATA FIELDS", tuple(data))):
        if fields:
            lines.append(f"  {title}")
            lines += [f"    {field}: {_shown(value)}" for field, value in fields]
    return "\n".join([*lines, ")>"]) if len(lines) > 1 else f"<{name}()>"


def _shown(value: Any) -> str:
    library = family(value)
    text = repr(thaw(value)) if library is None else _array(value, library)
    return text.replace("\n", "\n    ")


def _array(value: Any, library: str) -> str:
    shape = tuple(value.shape)
    dtype = str(value.dtype).removeprefix("torch.")
    device = "" if library == "numpy" else f" {library}:{_device(value)}"
    count = 1
    for length in shape:
        count *= length
    short = count <= _SHOWN and len(shape) <= 1
    # an array without numbers of its own (a tracer, a meta tensor) is shown by its shape alone
    numbers = f" {value.tolist()}" if short and concrete(value) else ""
    return f"{dtype} {shape}{device}{numbers}"


def _device(value: Any) -> str:
    device = getattr(value, "device", None)
    return str(device) if isinstance(getattr(device, "type", None), str) else str(getattr(device, "platform", "?"))
