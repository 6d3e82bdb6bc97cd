"""Weights under the names and in the layouts of other code for the same network, under the model's own."""

import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkit.array.resample import cubic
from fkit.training.inventory import Inventory

__all__ = ["older"]

Array = NDArray[Any]
Shapes = Mapping[str, tuple[int, ...]]

_TABLE = "relative_position_bias_table"
_PLACES = "absolute_pos_embed"
_STAGE = re.compile(r"(?P<sort>patch_embed|pos_embed|block|norm)(?P<stage>\d)\.?(?P<leaf>.*)")
_QUERY = re.compile(r"(?P<block>block\d\.\d+\.attn)\.q\.(?P<leaf>weight|bias)")


def older(inventory: Inventory, weights: Mapping[str, Array]) -> dict[str, Array]:
    """Weights as the model has them, where it is known how: of a Swin transformer of the original repository (Liu et al. 2021),
    and bias tables of other windows, resampled; of a pyramid vision transformer of its own (Wang et al. 2021). Positions of other grids of patches are
    resampled. All others stay as they are.

    Args:
        inventory: of the model.
        weights: by names that bear the model's prefixes.
    """
    shapes = {entry.name: tuple(entry.shape) for entry in inventory.entries}
    answer = dict(weights)
    mark = "stages.0.blocks.0.attn.w_msa.qkv.weight"
    for head in [name.removesuffix(mark) for name in shapes if name.endswith(mark)]:
        if f"{head}layers.0.blocks.0.attn.qkv.weight" in answer:
            answer = _renamed(answer, head, _swin)
        answer = {name: _resampled(name, array, shapes.get(name)) for name, array in answer.items()}
    mark = "layers.0.0.projection.weight"
    for head in [name.removesuffix(mark) for name in shapes if name.endswith(mark)]:
        if f"{head}block1.0.attn.q.weight" in answer:
            places = int(f"{head}layers.0.1.0.pos_embed" in shapes)
            mixes = f"{head}layers.0.1.{places}.ffn.layers.4.weight" in shapes
            answer = _renamed(_joined(answer, head), head, partial(_pvt, places=places, last=4 if mixes else 3))
    for name, want in shapes.items():
        if name.rpartition(".")[2] == "pos_embed" and name in answer and answer[name].ndim == len(want) == 3:
            answer[name] = _placed(answer[name], want)
    return answer


def _placed(array: Array, want: tuple[int, ...]) -> Array:
    """Positions (1, L, C) of a square grid, after those of a token of the class or two, for another square grid."""
    if array.shape == want or array.shape[2] != want[2]:
        return array
    for tokens in (1, 2, 0):
        sides = [math.isqrt(max(count - tokens, 0)) for count in (array.shape[1], want[1])]
        if [side**2 + tokens for side in sides] == [array.shape[1], want[1]]:
            matrix = cubic(*sides)
            grid = array[0, tokens:].astype(np.float64).reshape(sides[0], sides[0], -1)
            grid = np.einsum("ia,jb,abc->ijc", matrix, matrix, grid).reshape(-1, want[2]).astype(array.dtype)
            return np.concatenate((array[:, :tokens], grid[None]), 1)
    return array[:, 1:] if array.shape[1] == want[1] + 1 else array


def _renamed(
    weights: Mapping[str, Array], head: str, rule: Callable[[str, Array], tuple[str, Array] | None]
) -> dict[str, Array]:
    """Those whose names begin with ``head`` by a rule on what follows; None leaves one out."""
    answer: dict[str, Array] = {}
    for name, array in weights.items():
        if not name.startswith(head):
            answer[name] = array
        elif (pair := rule(name.removeprefix(head), array)) is not None:
            answer[head + pair[0]] = pair[1]
    return answer


def _swin(name: str, array: Array) -> tuple[str, Array] | None:
    """The original's layers: patches are merged row of a column first, all channels of a pixel together."""
    if name.endswith(".attn_mask"):
        return None
    if name.startswith("patch_embed."):
        return name.replace(".proj.", ".projection."), array
    if not name.startswith("layers."):
        return name, array
    whole = name.replace("layers.", "stages.", 1).replace(".attn.", ".attn.w_msa.")
    whole = whole.replace(".mlp.fc1.", ".ffn.layers.0.0.").replace(".mlp.fc2.", ".ffn.layers.1.")
    if (
        ".downsample." in name
    ):  # pixels (0, 0), (1, 0), (0, 1), (1, 1) of a window, to channels first and pixels row by row
        parts = array.reshape(-1, 4, array.shape[-1] // 4)[:, [0, 2, 1, 3]]
        array = np.ascontiguousarray(parts.transpose(0, 2, 1).reshape(array.shape))
    return whole, array


def _joined(weights: Mapping[str, Array], head: str) -> dict[str, Array]:
    """The original's queries, and its keys and values, of which each attention has one array here."""
    answer = dict(weights)
    for name in weights:
        match = _QUERY.fullmatch(name.removeprefix(head)) if name.startswith(head) else None
        if match and f"{head}{match['block']}.kv.{match['leaf']}" in weights:
            rows = [answer.pop(f"{head}{match['block']}.{part}.{match['leaf']}") for part in ("q", "kv")]
            answer[f"{head}{match['block']}.attn.in_proj_{match['leaf']}"] = np.concatenate(rows)
    return answer


def _pvt(name: str, array: Array, places: int, last: int) -> tuple[str, Array] | None:
    """The original's layers, where ``places`` modules of positions stand before each stage's blocks, and the ``last`` layer of a
    feed-forward network has that place."""
    match = _STAGE.fullmatch(name)
    if match is None:
        return None if name.startswith(("head", "norm.", "cls_token")) else (name, array)
    at, leaf, sort = int(match["stage"]) - 1, match["leaf"], match["sort"]
    if sort == "pos_embed":
        lone = at == 3 and array.shape[1] == 50  # a class token before 7 x 7 positions
        return f"layers.{at}.1.0.pos_embed", array[:, 1:] if lone else array
    if sort == "patch_embed":
        return f"layers.{at}.0.{leaf.replace('proj.', 'projection.')}", array
    if sort == "norm":
        return f"layers.{at}.2.{leaf}", array
    block, _, leaf = leaf.partition(".")
    if re.fullmatch(r"mlp\.fc\d\.weight", leaf):
        array = array[..., None, None]
    news = (
        ("attn.proj.", "attn.attn.out_proj."),
        ("mlp.fc1.", "ffn.layers.0."),
        ("mlp.dwconv.dwconv.", "ffn.layers.1."),
        ("mlp.fc2.", f"ffn.layers.{last}."),
    )
    for old, new in news:
        leaf = leaf.replace(old, new)
    return f"layers.{at}.1.{int(block) + places}.{leaf}", array


def _resampled(name: str, array: Array, want: tuple[int, ...] | None) -> Array:
    """A table in the shape that the model has, where it differs."""
    if want is None or tuple(array.shape) == want:
        return array
    if name.endswith(_TABLE) and array.ndim == len(want) == 2 and array.shape[1] == want[1]:
        sides = math.isqrt(array.shape[0]), math.isqrt(want[0])
        if (sides[0] ** 2, sides[1] ** 2) == (array.shape[0], want[0]):
            matrix = cubic(*sides)
            grid = array.astype(np.float64).reshape(sides[0], sides[0], -1)
            return np.einsum("ia,jb,abc->ijc", matrix, matrix, grid).reshape(want).astype(array.dtype)
    if name.endswith(_PLACES) and array.ndim == 4 and len(want) == 3:  # maps of the original's, to a row of places
        rows = array.reshape(*array.shape[:2], -1).swapaxes(1, 2)
        return np.ascontiguousarray(rows) if rows.shape == want else array
    return array
