"""Files of weights that leave the kit: ``.pth`` for OpenMMLab and torch, and weights alone to be published."""

import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as save_tensors

from fkit.fileio.weights import Content, weights_of
from fkit.run.export import openmmlab_form
from fkit.run.plan import Plan
from fkit.run.start import Saved
from fkit.tree.check import expect
from fkit.tree.error import FkitImportError, FkitValueError
from fkit.tree.name import open_name
from fkit.tree.place import place_of
from fkit.tree.write import atomic_write

__all__ = ["publish", "write_pth"]

_HEX = 8  # digits of a checksum in a file's name, as torch.hub reads them
_META = ("epoch", "iter", "CLASSES", "PALETTE", "dataset_meta", "cfg", "config", "seed", "experiment_name", "time")


def write_pth(plan: Plan, saved: Saved, path: str | os.PathLike[str], *, classes: tuple[str, ...] = ()) -> Path:
    """Write a run's checkpoint as mmengine's and mmcv's runners load it; whole or not at all.

    Args:
        plan: of the run.
        saved: what its checkpoint holds.
        path: the file.
        classes: the names of classes.

    Raises:
        FkitError: the file cannot be written.
    """
    place = place_of(path, "`path` is that of the new file")
    whole = openmmlab_form(plan, saved, classes=classes, time=time.strftime("%Y%m%d_%H%M%S"))
    atomic_write(place, _bytes(whole))
    return place


def publish(content: Content, path: str | os.PathLike[str], which: str | None = None) -> Path:
    """Write weights alone, with the beginning of the file's sha256 in its name, as OpenMMLab's publish_model does.

    Args:
        content: of a checkpoint, whoever wrote it (`fkit.fileio.weights.read_content`).
        path: ``net.pth`` becomes ``net-xxxxxxxx.pth``; ``.safetensors`` is the other form.
        which: "own" or "ema"; None takes the average where there is one.

    Raises:
        FkitValueError: another end of the name.
        FkitError: the file cannot be written.
    """
    expect(content, Content, "`content` is what read_content gave")
    place = place_of(path, "`path` is that of the new file")
    weights = dict(weights_of(content, which))
    if place.suffix == ".safetensors":
        data = save_tensors({name: np.asarray(array, order="C") for name, array in weights.items()})
    elif place.suffix in (".pth", ".pt"):
        meta: Any = content.whole.get("meta")
        kept = (
            {key: meta[key] for key in _META if key in meta}
            if content.kind == "pth" and isinstance(meta, Mapping)
            else {}
        )
        data = _bytes({"state_dict": weights, "meta": kept})
    else:
        raise FkitValueError(f"{place}: is to end with .pth or .safetensors.")
    digest = hashlib.sha256(data).hexdigest()[:_HEX]
    place = place.with_name(f"{place.stem}-{digest}{place.suffix}")
    atomic_write(place, data)
    return place


def _bytes(content: Mapping[str, Any]) -> bytes:
    try:
        return open_name("fkit.backend.torch.foreign:pth_bytes")(content)
    except FkitImportError as error:
        raise FkitImportError(
            "a .pth is written by torch, which is not installed.", repair="pip install torch"
        ) from error
