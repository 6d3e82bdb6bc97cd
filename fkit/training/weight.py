"""Arrays by name against what a model holds: which fit, which do not."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

from fkit.training.inventory import Inventory
from fkit.tree.error import FkitValueError

__all__ = ["Fit", "fit"]

_SHOWN = 8


class Fit(NamedTuple):
    """Which arrays fit a model.

    Attributes:
        arrays: those that fit, by path (``params/NAME``, ``buffers/NAME``, and every path of another kind).
        missing: names the model holds and the arrays lack.
        unexpected: names the arrays hold and the model lacks.
        misshapen: (name, the model's shape, the array's).
    """

    arrays: dict[str, NDArray[Any]]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]

    def report(self) -> str:
        """What did not fit, a line a kind; empty when all did."""
        rows = [
            ("missing", list(self.missing)),
            ("unexpected", list(self.unexpected)),
            ("of another shape", [f"{name}: model {want}, file {got}" for name, want, got in self.misshapen]),
        ]
        return "\n  ".join(f"{title} ({len(names)}): {_cut(names)}" for title, names in rows if names)


def fit(inventory: Inventory, arrays: Mapping[str, NDArray[Any]], strict: bool = True, bare: bool = False) -> Fit:
    """Compare arrays with an inventory.

    Args:
        arrays: by path (``params/NAME``), or with ``bare`` by torch's ``state_dict`` names.
        strict: raise where something does not fit.

    Raises:
        FkitValueError: with ``strict``, listing what is missing, unexpected or of another shape.
    """
    aliases = dict(inventory.aliases)
    fitting: dict[str, NDArray[Any]] = {}
    unexpected: list[str] = []
    misshapen: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = []
    want = {entry.name: ("buffers/" if entry.buffer else "params/", tuple(entry.shape)) for entry in inventory.entries}
    for path, array in arrays.items():
        prefix, _, name = ("", "", path) if bare else path.partition("/")
        if not bare and prefix not in ("params", "buffers"):
            fitting[path] = array
            continue
        name = aliases.get(name, name)
        if name not in want:
            unexpected.append(name)
        elif want[name][1] != tuple(array.shape):
            misshapen.append((name, want[name][1], tuple(array.shape)))
        else:
            fitting[want[name][0] + name] = array
    wrong = {name for name, _, _ in misshapen}
    missing = [name for name, (prefix, _) in want.items() if prefix + name not in fitting and name not in wrong]
    answer = Fit(fitting, tuple(missing), tuple(sorted(unexpected)), tuple(misshapen))
    if strict and answer.report():
        raise FkitValueError(
            f"the weights do not fit the model.\n  {answer.report()}",
            repair="Take the checkpoint of this very model, or load with strict=False to take what fits.",
        )
    return answer


def _cut(names: list[str]) -> str:
    """Names in a line: a few as they are, many by the part of the model that they are of."""
    if len(names) <= _SHOWN:
        return ", ".join(names)
    parts: dict[str, int] = {}
    for name in names:
        part = name.partition(":")[0].partition(".")[0]
        parts[part] = parts.get(part, 0) + 1
    if len(parts) > _SHOWN // 2 or max(parts.values()) < 2:
        return f"{', '.join(names[:_SHOWN])}, ... ({len(names) - _SHOWN} more)"
    groups = (f"{part}.* ({count})" if count > 1 else f"{part}.*" for part, count in parts.items())
    return f"{', '.join(groups)}: {', '.join(names[: _SHOWN // 2])}, ..."
