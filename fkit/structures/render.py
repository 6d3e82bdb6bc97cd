"""Structures as text."""

from typing import TYPE_CHECKING, Any

from fkit.structures.content import family

if TYPE_CHECKING:
    from fkit.structures.field import Fields

__all__ = ["render"]

_SHOWN = 8  # numbers of an array that are shown


def render(element: "Fields") -> str:
    """An element's fields, a line each; arrays by dtype, shape and, where they are short, their numbers.

    Example:
        >>> import numpy as np
        >>> from fkit.structures.element import DataElement
        >>> print(render(DataElement(metainfo={"h": 4}, box=np.zeros((2, 4)), inner=DataElement(a=np.arange(2)))))
        <DataElement(
          META INFORMATION
            h: 4
          DATA FIELDS
            box: float64 (2, 4)
            inner: <DataElement(
              DATA FIELDS
                a: int64 (2,) [0, 1]
            )>
        )>
    """
    parts = [f"<{type(element).__name__}("]
    for title, fields in (("META INFORMATION", element.metainfo_items()), ("DATA FIELDS", element.items())):
        if fields:
            parts.append(f"  {title}")
            parts += [f"    {name}: {_shown(value)}" for name, value in fields]
    return "\n".join([*parts, ")>"]) if len(parts) > 1 else f"<{type(element).__name__}()>"


def _shown(value: Any) -> str:
    own = family(value)
    text = _array(value, own) if own is not None else repr(value)
    return text.replace("\n", "\n    ")


def _array(value: Any, own: str) -> str:
    shape = tuple(value.shape)
    dtype = str(value.dtype).removeprefix("torch.")
    device = "" if own == "numpy" else f" {own}:{_device(value)}"
    count = 1
    for length in shape:
        count *= length
    # an array without numbers of its own (a tracer, a meta tensor) is shown by its shape alone
    numbers = f" {value.tolist()}" if count <= _SHOWN and len(shape) <= 1 and _concrete(value) else ""
    return f"{dtype} {shape}{device}{numbers}"


def _device(value: Any) -> str:
    device = getattr(value, "device", None)
    return str(device) if isinstance(getattr(device, "type", None), str) else str(getattr(device, "platform", "?"))


def _concrete(value: Any) -> bool:
    return (
        not any(kind.__name__ == "Tracer" for kind in type(value).__mro__)
        and str(getattr(value, "device", "")) != "meta"
    )
