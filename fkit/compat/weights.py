"""mmcv's and mmengine's functions on checkpoints, for scripts with a plain torch module.

There the module is changed in place; here too, for that is what such a script means. Nothing of a file is run, and what did
not fit is the answer. A script on the kit's own values has `fkit.training.load.load_from`.
"""

import os
import time
from collections.abc import Iterable, Mapping
from typing import Any, cast

from fkit.catalog.registry import Registry
from fkit.fileio.checkpoint import locate
from fkit.fileio.weights import REVISE, read_content, revised, weights_of
from fkit.tree.check import expect
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError
from fkit.tree.name import open_name
from fkit.tree.place import place_of
from fkit.tree.write import atomic_write

__all__ = [
    "CheckpointLoader",
    "find_latest_checkpoint",
    "get_state_dict",
    "load_checkpoint",
    "load_state_dict",
    "save_checkpoint",
    "weights_to_cpu",
]

_SHOWN = 8


class CheckpointLoader:
    """mmcv's name of what a registry holds: schemes of addresses."""

    @staticmethod
    def load_checkpoint(filename: str | os.PathLike[str], registry: Registry | None = None) -> Mapping[str, Any]:
        """All that lies at an address, as data: arrays are numpy's.

        Raises:
            FkitError: there is nothing, or it cannot be read.
        """
        return read_content(filename, registry).whole

    @staticmethod
    def register_scheme(prefixes: Any = None, loader: Any = None, force: bool = False) -> Any:
        """Nothing is registered globally.

        Raises:
            FkitTypeError: always; the message says what to write.
        """
        raise FkitTypeError(
            "a scheme cannot be registered in CheckpointLoader: nothing is registered globally.",
            repair="Write reg = fkit.registry().register('checkpoint_schemes', function, name='mine'), and pass registry=reg.",
        )


def load_checkpoint(
    model: Any,
    filename: str | os.PathLike[str],
    map_location: Any = None,
    strict: bool = False,
    logger: Any = None,
    revise_keys: Iterable[tuple[str, str]] = REVISE,
    *,
    prefix: str | None = None,
    registry: Registry | None = None,
) -> Mapping[str, Any]:
    """Give a torch module the weights of a checkpoint.

    Args:
        model: a torch.nn.Module; changed in place.
        filename: a path or an address, as `fkit.fileio.weights` has them.
        map_location: taken for mmcv's scripts: weights go where the module's are.
        strict: fail where not all fits.
        logger: what is told of what did not fit: its ``warning`` is called; None is nobody.
        revise_keys: (regular expression, replacement) each, on every name.
        prefix: take the names that begin so, without it.
        registry: where schemes are looked up; None is the built-in one.

    Returns:
        all that the checkpoint holds, arrays as numpy's.

    Raises:
        FkitError: it cannot be read, or with ``strict`` does not fit.
    """
    _expect_module(model)
    content = read_content(filename, registry)
    weights = revised(weights_of(content), content.name, prefix, revise_keys)
    try:
        load_state_dict(model, weights, strict, logger)
    except FkitValueError as error:
        raise FkitValueError(f"{content.name}: {error.what}") from error
    return content.whole


def load_state_dict(module: Any, state_dict: Mapping[str, Any], strict: bool = False, logger: Any = None) -> str:
    """Give a torch module the weights that fit it, by name.

    Args:
        module: a torch.nn.Module; changed in place.
        state_dict: names to tensors, or numpy's arrays.
        strict: fail where not all fits.
        logger: its ``warning`` is told what did not fit; None is nobody.

    Returns:
        what did not fit, a line a kind; "" where all did. Counters of norm layers may be missing.

    Raises:
        FkitValueError: with ``strict``, what did not fit.
    """
    _expect_module(module)
    expect(state_dict, Mapping, "`state_dict` is a mapping of names to arrays")
    tensor_of = open_name("fkit.backend.torch.interop:tensor_of")
    mine = module.state_dict()
    given = {str(name): tensor_of(value) for name, value in state_dict.items()}
    wrong = [f"{name}: model {tuple(mine[name].shape)}, file {tuple(t.shape)}" for name, t in given.items()
             if name in mine and mine[name].shape != t.shape]  # fmt: skip
    fitting = {name: t for name, t in given.items() if name in mine and mine[name].shape == t.shape}
    missing = [name for name in mine if name not in given and not name.endswith("num_batches_tracked")]
    unexpected = sorted(name for name in given if name not in mine)
    rows = (("missing", missing), ("unexpected", unexpected), ("of another shape", wrong))
    report = "\n  ".join(f"{title} ({len(names)}): {', '.join(names[:_SHOWN])}" for title, names in rows if names)
    if report and strict:
        raise FkitValueError(f"the weights do not fit the module.\n  {report}")
    module.load_state_dict(fitting, strict=False)
    if report and logger is not None:
        logger.warning(report)
    return report


def get_state_dict(module: Any) -> dict[str, Any]:
    """A torch module's ``state_dict``, that of the module in it where it is a parallel wrapper.

    Raises:
        FkitTypeError: it is no module.
    """
    _expect_module(module)
    inner = module.module if type(module).__name__.endswith("Parallel") and hasattr(module, "module") else module
    return dict(inner.state_dict())


def weights_to_cpu(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """The weights on the CPU; a new mapping.

    Raises:
        FkitTypeError: it is no mapping of tensors.
    """
    expect(state_dict, Mapping, "`state_dict` is a mapping of names to tensors")
    return {name: value.cpu() if hasattr(value, "cpu") else value for name, value in state_dict.items()}


def save_checkpoint(
    model: Any, filename: str | os.PathLike[str], optimizer: Any = None, meta: Mapping[str, Any] | None = None
) -> None:
    """Write a torch module's weights as mmcv does: ``state_dict`` on the CPU, ``meta`` with the time, ``optimizer``.

    Args:
        model: a torch.nn.Module. Its ``CLASSES``, where it has some, go into ``meta``.
        filename: the file; written whole or not at all.
        optimizer: one of torch's, or a mapping of several.
        meta: what else to record.

    Raises:
        FkitError: an argument is wrong, or the file cannot be written.
    """
    place = place_of(filename, "`filename` is the path of the new file")
    expect(meta, (Mapping, type(None)), "`meta` is a mapping, or None")
    whole: dict[str, Any] = {"meta": {**(meta or {}), "time": time.asctime()}}
    classes = getattr(model, "CLASSES", None)
    if classes is not None:
        whole["meta"].setdefault("CLASSES", tuple(classes))
    whole["state_dict"] = weights_to_cpu(get_state_dict(model))
    if optimizer is not None:
        several = cast("Mapping[str, Any]", optimizer) if isinstance(optimizer, Mapping) else {"": optimizer}
        for each in several.values():
            if not hasattr(each, "state_dict"):
                raise FkitTypeError(f"`optimizer` is one of torch's or a mapping of them, not {each!r:.60}.")
        states = {name: each.state_dict() for name, each in several.items()}
        whole["optimizer"] = states.get("", states)
    atomic_write(place, open_name("fkit.backend.torch.foreign:pth_bytes")(whole))


def find_latest_checkpoint(path: str | os.PathLike[str]) -> str | None:
    """The newest checkpoint of a work folder: the kit's own, or what mmengine's file ``last_checkpoint`` names; None where
    there is none.

    Example:
        >>> find_latest_checkpoint("no such folder") is None
        True
    """
    folder = place_of(path, "`path` is that of a work folder")
    pointer = folder / "last_checkpoint"
    if pointer.is_file():
        return pointer.read_text(encoding="utf-8").strip()
    try:
        return str(locate(folder))
    except FkitError:
        return None


def _expect_module(model: Any) -> None:
    if not callable(getattr(model, "load_state_dict", None)) or not callable(getattr(model, "state_dict", None)):
        raise FkitTypeError(f"a torch.nn.Module is needed, not {model!r:.60}.")
