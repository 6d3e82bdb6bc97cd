"""Where weights come from: an address is resolved, fetched, read; what comes is arrays by name, whoever wrote them.

=============================================  ================================================================
address                                        what is read
=============================================  ================================================================
``work_dirs/a``, ``work_dirs/a/checkpoints/..``  the kit's own checkpoint: the newest of a run, or that very one
``a.pth``, ``a.pt``, ``a.safetensors``         a file, of whatever name: its content says what it is
``file://...``                                 the same
``http(s)://...``                              a file of the net, kept (`fkit.fileio.fetch`)
``torchvision://``, ``open-mmlab://``, ...     a name that stands for one of these (kind ``checkpoint_schemes``)
``s3://...`` and the like                      through the file backend of that prefix
=============================================  ================================================================

A scheme of one's own is one registration::

    reg = fkit.registry().register("checkpoint_schemes", lambda name: f"https://my.org/{name}.pth", name="mine")
"""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from frozendict import frozendict
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors

from fkit.catalog.builtin import registry as built_in
from fkit.catalog.registry import Registry
from fkit.fileio.checkpoint import locate, read_folder
from fkit.fileio.fetch import fetch
from fkit.fileio.operation import get
from fkit.fileio.part import parse_uri_prefix
from fkit.format.pth import read_pth
from fkit.tree.check import expect
from fkit.tree.error import FkitError, FkitKeyError, FkitTypeError, FkitValueError, quoted
from fkit.tree.place import not_there

__all__ = ["REVISE", "Content", "located", "mmcv_average", "read_content", "revised", "weights_of"]

Arrays = Mapping[str, NDArray[Any]]

REVISE: tuple[tuple[str, str], ...] = ((r"^module\.", ""),)
"""What names of weights lose by default, as OpenMMLab's `load_checkpoint` has it: the prefix of a parallel wrapper."""

_KIND = "checkpoint_schemes"
_HOPS = 8  # a name may stand for a name, so often
_WEIGHTS = ("state_dict", "model", "model_state_dict", "module")
_RUN = ("optimizer", "param_schedulers", "message_hub", "ema_state_dict")


class Content(NamedTuple):
    """What a checkpoint holds, whoever wrote it.

    Attributes:
        name: where it was read, for messages.
        kind: "fkit", "pth" or "safetensors".
        weights: by torch's ``state_dict`` names; where there is an average, the weights of training.
        averaged: their moving average, where the file holds one.
        whole: all that is there: of a ``.pth`` its keys, of the kit's own its arrays by path and meta.json under "meta".
    """

    name: str
    kind: str
    weights: Arrays
    averaged: Arrays | None
    whole: Mapping[str, Any]


def read_content(address: str | os.PathLike[str], registry: Registry | None = None) -> Content:
    """What lies at an address; no code of it is run.

    Args:
        address: see the table above.
        registry: where schemes and file backends are looked up; None is the built-in one.

    Raises:
        FkitError: there is nothing, it cannot be fetched or read, or it holds no weights.
    """
    place = located(address, registry)
    if isinstance(place, Mapping):
        return _of_pth(os.fspath(address), place)
    name = str(place)
    if isinstance(place, str):
        return _of_bytes(name, get(place, registry=registry))
    if place.is_dir() or place.name == "latest":
        return _of_folder(locate(place))
    if not place.exists():
        raise not_there(
            place, f"{place}: is not there", "Name a checkpoint's file or folder, or the work folder of a run."
        )
    if place.name in ("state.safetensors", "meta.json") and (place.parent / "meta.json").is_file():
        return _of_folder(place.parent)
    return _of_bytes(name, get(place))


def located(address: str | os.PathLike[str], registry: Registry | None = None) -> Path | str | Mapping[str, Any]:
    """Where an address leads: a local path, fetched where it has to be; an address of a file backend; or, of a scheme of
    one's own, what is loaded.

    Raises:
        FkitKeyError: no scheme of that name.
        FkitError: what the scheme or the server says.

    Example:
        >>> located("file:///a/b.pth"), located("s3://bucket/a.pth")
        (PosixPath('/a/b.pth'), 's3://bucket/a.pth')
    """
    expect(address, (str, os.PathLike), "the address of weights is a text or a path")
    expect(registry, (Registry, type(None)), "`registry` is a fkit.Registry or None")
    reg = built_in() if registry is None else registry
    text = os.fspath(address)
    for _ in range(_HOPS):
        scheme = parse_uri_prefix(text)
        if not scheme:
            return Path(os.path.expanduser(text))
        if scheme == "file":
            return Path(text.partition("://")[2])
        if (_KIND, scheme) in reg:
            answer: Any = _asked(reg.get(_KIND, scheme), scheme, text.partition("://")[2])
            if isinstance(answer, Mapping):
                return cast("Mapping[str, Any]", answer)
            text = answer
        elif scheme in ("http", "https"):
            return fetch(text)
        elif ("file_backends", scheme) in reg:
            return text
        else:
            raise FkitKeyError(
                f"{text}: there is no scheme {scheme!r}.", value=scheme, label="Schemes",
                choices=sorted({*reg.names(_KIND), *reg.names("file_backends")}), more=f"fkit registry {_KIND}",
            )  # fmt: skip
    raise FkitValueError(f"{os.fspath(address)}: a name stands for a name, and so on, more than {_HOPS} times.")


def _asked(scheme: Any, name: str, rest: str) -> str | Mapping[str, Any]:
    try:
        answer = scheme(rest)
    except FkitError:
        raise
    except Exception as cause:
        raise FkitValueError(f"{name}://{rest}: its scheme fails: {type(cause).__name__}: {cause}.") from cause
    if not isinstance(answer, str | os.PathLike | Mapping):
        raise FkitTypeError(
            f"{name}://{rest}: its scheme gives {quoted(answer)}.",
            repair="It gives an address, a path, or a state_dict.",
        )
    return answer if isinstance(answer, Mapping) else os.fspath(cast(Any, answer))  # pyright: ignore[reportUnknownVariableType]


def _of_folder(folder: Path) -> Content:
    shelved = read_folder(folder)
    weights = {
        path.split("/", 1)[1]: a for path, a in shelved.arrays.items() if path.startswith(("params/", "buffers/"))
    }
    return Content(
        str(folder), "fkit", frozendict(weights), _average(shelved.arrays, weights),
        frozendict({**shelved.arrays, "meta": shelved.meta}),
    )  # fmt: skip


def _average(arrays: Arrays, weights: Arrays) -> Arrays | None:
    """The weights with the average of a slot in their place: the slot that has all parameters, each under its name."""
    names = [path.removeprefix("params/") for path in arrays if path.startswith("params/")]
    slots = dict.fromkeys(path.split("/")[1] for path in arrays if path.startswith("slots/"))
    for slot in slots:
        if names and "grad" not in slot and all(f"slots/{slot}/{name}" in arrays for name in names):
            over = {name: arrays[f"slots/{slot}/{name}"] for name in weights if f"slots/{slot}/{name}" in arrays}
            return frozendict({**weights, **over})
    return None


def _of_bytes(name: str, data: bytes) -> Content:
    if name.endswith(".safetensors") or data[8:10] == b'{"':
        try:
            arrays = load_tensors(data)
        except (SafetensorError, KeyError, ValueError, OverflowError, MemoryError) as cause:
            raise FkitValueError(
                f"{name}: is no file of safetensors, is truncated, or of a type that numpy lacks: {cause}."
            ) from cause
        return Content(name, "safetensors", frozendict(arrays), None, frozendict(state_dict=frozendict(arrays)))
    return _of_pth(name, read_pth(data, name))


def _of_pth(name: str, whole: Any) -> Content:
    """The weights of what torch saved: under "state_dict" or "model", or all of it."""
    content: Any = whole
    if isinstance(whole, Mapping):
        keys = cast("Mapping[str, Any]", whole)
        content = next((keys[key] for key in _WEIGHTS if isinstance(keys.get(key), Mapping)), keys)
    if not isinstance(content, Mapping):
        raise FkitValueError(f"{name}: no state_dict in it: it holds a {type(whole).__name__}.")
    entries = cast("Mapping[str, Any]", content)
    arrays = {key: _array(value) for key, value in entries.items() if hasattr(value, "shape")}
    if not arrays and (entries or content is whole):
        held = ", ".join(str(key) for key in entries) or "nothing"
        raise FkitValueError(f"{name}: no weights are in it; it holds {held}.")
    mcv = _mmcv_names(arrays)
    weights = frozendict({key: value for key, value in arrays.items() if key not in mcv})
    average = cast("Mapping[str, Any]", whole).get("ema_state_dict")
    averaged: Arrays | None = None
    if isinstance(average, Mapping):  # mmengine puts the average where the weights are looked for, and these here
        averaged = weights
        held = cast("Mapping[str, Any]", average)
        under = {key.removeprefix("module."): _array(held[key]) for key in held if key.startswith("module.")}
        weights = frozendict({**weights, **under})
    return Content(name, "pth", weights, averaged, cast("Mapping[str, Any]", whole))


def _array(value: Any) -> NDArray[Any]:
    """numpy's array of what a scheme of the user's own loaded: a tensor of torch's, say."""
    plain = value.detach().cpu().numpy() if hasattr(value, "detach") else value
    return cast("NDArray[Any]", plain)


def _mmcv_names(arrays: Iterable[str]) -> dict[str, str]:
    """The buffers that mmcv 1.x's EMAHook puts beside the weights, each with its weight: ``ema_`` and a name with low lines."""
    names = {f"ema_{name.replace('.', '_')}": name for name in arrays}
    return {buffer: names[buffer] for buffer in arrays if buffer in names}


def mmcv_average(content: Content) -> Arrays:
    """What mmcv 1.x's EMAHook keeps beside the weights in one state_dict, by the names of the weights; empty elsewhere."""
    expect(content, Content, "`content` is what read_content gave")
    if content.kind != "pth":
        return frozendict()
    entries: Any = next(
        (content.whole[key] for key in _WEIGHTS if isinstance(content.whole.get(key), Mapping)), content.whole
    )
    table = cast("Mapping[str, Any]", entries)
    return frozendict({name: _array(table[buffer]) for buffer, name in _mmcv_names(table).items()})


def weights_of(content: Content, which: str | None = None) -> Arrays:
    """The weights of a checkpoint.

    Args:
        which: "ema" is the moving average, "own" the weights of training; None takes the average where there is one, as
            OpenMMLab's files have it.

    Raises:
        FkitValueError: it holds no average.
    """
    expect(content, Content, "`content` is what read_content gave")
    if which not in (None, "ema", "own"):
        raise FkitValueError(f"weights = {quoted(which)} is unknown.", value=str(which), choices=("own", "ema"))
    if which == "ema" and content.averaged is None:
        raise FkitValueError(
            f"{content.name}: holds no moving average.", repair="Leave weights='ema' out to take its weights."
        )
    return content.weights if which == "own" or content.averaged is None else content.averaged


def revised(
    weights: Arrays, name: str, prefix: str | None = None, revise_keys: Iterable[tuple[str, str]] = REVISE
) -> dict[str, NDArray[Any]]:
    """Weights by other names.

    Args:
        weights: by name.
        name: of the file, for messages.
        prefix: take those whose names begin so, without it: ``"backbone"`` is ``"backbone."``.
        revise_keys: (regular expression, replacement) each, on every name in order, before the prefix is looked for.

    Raises:
        FkitValueError: no name begins with the prefix, an expression is none, or two names become one.

    Example:
        >>> import numpy as np
        >>> list(revised({"module.backbone.conv.weight": np.zeros(1)}, "a.pth", prefix="backbone"))
        ['conv.weight']
    """
    expect(weights, Mapping, "`weights` are a mapping of names to arrays")
    rules = [_rule(rule) for rule in revise_keys]
    names: dict[str, str] = {}
    for old in weights:
        new = old
        for pattern, replacement in rules:
            try:
                new = pattern.sub(replacement, new)
            except (re.error, IndexError) as cause:
                raise FkitValueError(f"revise_keys: {replacement!r} is no replacement: {cause}.") from cause
        if prefix:
            head = prefix if prefix.endswith(".") else f"{prefix}."
            if not new.startswith(head):
                continue
            new = new.removeprefix(head)
        if new in names:
            raise FkitValueError(f"{name}: {names[new]!r} and {old!r} both become {new!r} by revise_keys.")
        names[new] = old
    if prefix and not names:
        raise FkitValueError(
            f"{name}: no name of its weights begins with {prefix!r}.", value=prefix.rstrip("."),
            choices=sorted({key.partition(".")[0] for key in weights}), label="They begin with",
        )  # fmt: skip
    return {new: weights[old] for new, old in names.items()}


def _rule(rule: Any) -> tuple[re.Pattern[str], str]:
    if not isinstance(rule, list | tuple) or [type(word) for word in cast("list[Any]", rule)] != [str, str]:
        raise FkitTypeError(f"revise_keys: {quoted(rule)} is no pair of a regular expression and a replacement.")
    pattern, replacement = cast("tuple[str, str]", rule)
    try:
        return re.compile(pattern), replacement
    except re.error as cause:
        raise FkitValueError(f"revise_keys: {pattern!r} is no regular expression: {cause}.") from cause
