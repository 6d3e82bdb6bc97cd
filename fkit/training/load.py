"""``load_from``: weights alone into a state, by name; what did not fit is told."""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

from fkit.catalog.registry import Registry
from fkit.fileio.weights import REVISE, Content, read_content, revised, weights_of
from fkit.training.inventory import Inventory
from fkit.training.older import older
from fkit.training.program import Program
from fkit.training.rename import renamed
from fkit.training.state import TrainState
from fkit.training.weight import Fit, fit
from fkit.tree.check import expect
from fkit.tree.error import FkitValueError

__all__ = ["LoadFrom", "Loaded", "chosen", "load_from"]


class LoadFrom(NamedTuple):
    """Which weights to take, and by what names.

    Attributes:
        path: an address, as `fkit.fileio.weights` has them.
        prefix: take those whose names begin so, without it.
        revise_keys: (regular expression, replacement) each, on every name.
        strict: whether everything has to fit.
        weights: "own", or "ema" for their moving average; None takes the average where there is one.
    """

    path: str
    prefix: str | None = None
    revise_keys: tuple[tuple[str, str], ...] = REVISE
    strict: bool = False
    weights: str | None = None


class Loaded(NamedTuple):
    """A state with weights taken over.

    Attributes:
        state: with them.
        fit: what fitted and what did not; ``fit.report()`` is for a person.
        said: what a person should know of the weights that were taken.
    """

    state: TrainState
    fit: Fit
    said: tuple[str, ...]


def load_from(
    program: Program, state: TrainState, source: LoadFrom | str | os.PathLike[str], registry: Registry | None = None
) -> Loaded:
    """A state with weights taken over by name, as OpenMMLab's ``load_from``: no optimizer, no counters.

    Args:
        program: of the model.
        state: what it is now; what does not fit stays as it is there.
        source: an address, or more to say of it.
        registry: where schemes and file backends are looked up; None is the built-in one.

    Raises:
        FkitError: there are no weights to read, none of them fits, or with ``strict`` not all do.
    """
    expect(program, Program, "`program` is a program (fkit.program makes one)")
    expect(state, TrainState, "`state` is a TrainState")
    expect(source, (LoadFrom, str, os.PathLike), "`source` is an address, or a LoadFrom")
    whole = source if isinstance(source, LoadFrom) else LoadFrom(os.fspath(source))
    content = read_content(whole.path, registry)
    answer = chosen(program.inventory, content, whole)
    average = whole.weights is None and content.averaged is not None
    said = (f"{whole.path}: the moving average of its weights is what the run begins with",) if average else ()
    return Loaded(program.load(state, _bare(answer.arrays), strict=False), answer, said)


def chosen(inventory: Inventory, content: Content, source: LoadFrom) -> Fit:
    """What of a checkpoint fits a model.

    Raises:
        FkitValueError: nothing fits, or with ``strict`` not all does.
    """
    expect(source, LoadFrom, "`source` is a LoadFrom")
    weights = revised(weights_of(content, source.weights), content.name, source.prefix, source.revise_keys)
    weights = renamed([entry.name for entry in inventory.entries], weights)
    answer = fit(inventory, older(inventory, weights), strict=False, bare=True)
    # counters that torch's norm layers had not from the beginning, and that change nothing: as OpenMMLab
    missing = tuple(name for name in answer.missing if not name.endswith("num_batches_tracked"))
    answer = answer._replace(missing=missing)
    if not answer.arrays:
        raise FkitValueError(
            f"{content.name}: none of its weights fits the model.\n  {answer.report()}", repair=_REPAIR
        )
    if source.strict and answer.report():
        raise FkitValueError(
            f"{content.name}: the weights do not fit the model.\n  {answer.report()}",
            repair="Leave out strict=True to take what fits.",
        )
    return answer


_REPAIR = (
    "Names are changed by revise_keys=[(PATTERN, REPLACEMENT)], and prefix='backbone' takes a part: "
    "load_from=dict(path=..., prefix=...)."
)


def _bare(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {path.partition("/")[2]: array for path, array in arrays.items()}
