"""``fkit convert``: weights of torch as flax's variables, and back."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save as save_tensors

from fkit.catalog.registry import Registry
from fkit.cli.command import add_command
from fkit.cli.option import add_trust
from fkit.cli.reach import open_registry
from fkit.config.change.action import add_option
from fkit.config.config import load_config
from fkit.edge.target import file_target
from fkit.fileio.operation import get
from fkit.fileio.weights import Content, read_content, revised, weights_of
from fkit.training.load import LoadFrom, chosen
from fkit.tree.error import FkitImportError, FkitValueError
from fkit.tree.name import open_name
from fkit.tree.write import atomic_write

__all__ = ["add"]

_EXAMPLES = (
    (
        "fkit convert resnet18.pth --to flax --config resnet18.py --out resnet18.safetensors",
        "checked against the model",
    ),
    ("fkit convert net.pth --to flax --out net.msgpack", "by names and shapes alone"),
    "fkit convert net.msgpack --to torch --out net.pth",
)
_ENDS = {"flax": (".safetensors", ".msgpack"), "torch": (".pth", ".pt", ".safetensors")}.items()
_TOLD = (
    "without --config names and shapes decide: weights of two axes are taken for linear layers', of more for "
    "convolutions', vectors for norms'"
)

Arrays = dict[str, NDArray[Any]]


def add(commands: Any) -> None:
    """Add the command to the command line."""
    command = add_command(
        commands, "convert", "Write the weights of a checkpoint as flax's variables, or flax's variables as torch's state_dict. "
        "Names and layouts change by one rule: layer1.0.conv1.weight is params/layer1_0/conv1/kernel.",
        _EXAMPLES,
    )  # fmt: skip
    command.add_argument(
        "checkpoint", metavar="CHECKPOINT",
        help="a .pth or .safetensors, a run's work folder, an address; or a file of flax's variables",
    )  # fmt: skip
    command.add_argument("--to", required=True, choices=("flax", "torch"), metavar="WORD", help="flax or torch")
    command.add_argument("--out", required=True, metavar="FILE",
                         help="for flax .safetensors or .msgpack, for torch .pth or .safetensors")  # fmt: skip
    command.add_argument("--config", metavar="CONFIG",
                         help="whose model says which layer is which; by default that of the run's folder")  # fmt: skip
    command.add_argument("--weights", choices=("own", "ema"), metavar="WORD",
                         help="own, or ema: their moving average; by default the average where there is one")  # fmt: skip
    add_option(command)
    add_trust(command)
    command.set_defaults(run=_convert)


def _convert(arguments: argparse.Namespace) -> int:
    source: str = arguments.checkpoint
    place = file_target(arguments.out, "--out", (source,) if os.path.isfile(source) else ())
    ends = dict(_ENDS)[arguments.to]
    if place.suffix not in ends:
        raise FkitValueError(f"--out {place}: a file for {arguments.to} ends with {' or '.join(ends)}.")
    registry = open_registry(arguments)
    flat = _variables(source)
    if flat is not None and arguments.to == "flax":
        raise FkitValueError(f"{source}: holds flax's variables already.", repair="--to torch is the other way.")
    content = read_content(source, registry) if flat is None else None
    plan = _plan(arguments, content, registry)
    if arguments.to == "flax" and content is not None:
        data = _flax_bytes(content, plan, arguments.weights, place)
    elif content is not None:
        data = _torch_bytes(revised(weights_of(content, arguments.weights), content.name), place)
    else:
        data = _torch_bytes(open_name("fkit.interop.weight:torch_form")(flat, plan), place)
    if plan is None and not (content is not None and arguments.to == "torch"):
        sys.stderr.write(f"{_TOLD}\n")
    atomic_write(place, data)
    sys.stdout.write(f"{place}\n")
    return 0


def _variables(source: str) -> Any:
    """flax's arrays in a file, by (collection, *path); None where it is none of flax's."""
    place = Path(source)
    if not (place.is_file() and place.suffix in (".msgpack", ".safetensors")):
        return None
    return _opened("fkit.interop.file:variables_in")(place, get(place))


def _plan(arguments: argparse.Namespace, content: Content | None, registry: Registry) -> Any:
    """What the model holds that the config describes; None where there is no config."""
    file = arguments.config
    if file is None and content is not None and content.kind == "fkit":
        above = (place / "config.py" for place in Path(content.name).absolute().parents)
        file = next((str(place) for place in above if place.is_file()), None)
    if file is None:
        if arguments.cfg_options:
            raise FkitValueError("--cfg-options change a config, and there is none.", repair="Name one by --config.")
        return None
    if arguments.to == "torch" and content is not None:  # torch's own weights: nothing to be told
        return None
    cfg = load_config(file, *(arguments.cfg_options or ()), trust=arguments.trust)
    return _opened("fkit.interop.weight:config_blueprint")(cfg, registry)


def _flax_bytes(content: Content, plan: Any, which: str | None, place: Path) -> bytes:
    weights = revised(weights_of(content, which), content.name)
    if plan is not None:
        found = chosen(plan.inventory, content, LoadFrom(content.name, weights=which))
        if found.missing or found.misshapen:
            raise FkitValueError(
                f"{content.name}: does not hold the model's weights.\n  {found.report()}",
                repair="Name the config of this very model.",
            )
        if found.unexpected:
            sys.stderr.write(f"{content.name}: left out, for the model has them not: {found.report()}\n")
        weights = {path.partition("/")[2]: array for path, array in found.arrays.items()}
    return _opened("fkit.interop.file:variables_bytes")(_opened("fkit.interop.weight:flax_form")(weights, plan), place)


def _torch_bytes(weights: Arrays, place: Path) -> bytes:
    if place.suffix == ".safetensors":
        return save_tensors({name: np.asarray(array, order="C") for name, array in weights.items()})
    return open_name("fkit.backend.torch.foreign:pth_bytes")({"state_dict": weights, "meta": {}})


def _opened(name: str) -> Any:
    try:
        return open_name(name)
    except FkitImportError as error:
        lacking = getattr(error.__cause__, "name", None)
        if lacking is None or lacking.split(".")[0] == "fkit":
            raise
        what = f"`fkit convert` needs the package {lacking!r}, which is not installed."
        raise FkitImportError(what, repair="pip install 'fkit-vision[jax]'") from error.__cause__
