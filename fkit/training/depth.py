"""Layer-wise decay of the learning rate: the deeper a layer lies below the head, the less it moves.

Constructors of mmdet, mmseg, mmpose and mmpretrain, on the names of a model's parameters alone: ``lr = base * rate **
(layers - 1 - depth)``, where depth 0 is the stem and the last one the head. See `fkit.training.paramwise` for what a constructor is.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from frozendict import frozendict

from fkit.config.schema import Key, choice, number, table, whole
from fkit.training.inventory import Inventory
from fkit.training.paramwise import (
    DEFAULT_KEYS,
    Place,
    Rows,
    base_of,
    check_paramwise,
    custom_key,
    places,
    refuse_shared,
    scaled,
)
from fkit.tree.error import FkitValueError

__all__ = ["depth_of", "mmpose_layers", "mmpretrain_layers", "mmseg_layers", "mmseg_vit_layers"]

Depth = Callable[[str], tuple[int, int]]
"""``name -> (depth, number of layers)``."""

_BACKBONE = "backbone."
_STEM = ("cls_token", "mask_token", "pos_embed")
_COUNT = Key("num_layers", whole(1), doc="layers of the backbone", required=True)
_RATE = number(above=0)
_LAYER_RATE = Key("layer_decay_rate", _RATE, doc="what a layer's learning rate is multiplied by, for each layer above it", required=True)  # fmt: skip
_MMSEG = table(
    _COUNT, _LAYER_RATE._replace(name="decay_rate"),
    Key("decay_type", choice("layer_wise", "layer_wise_vit", "stage_wise"), "layer_wise", "by layer, or by stage (ConvNeXt's alone)"),
    *DEFAULT_KEYS,
)  # fmt: skip
_MMSEG_VIT = table(_COUNT, _LAYER_RATE, *DEFAULT_KEYS)
_MMPRETRAIN = table(_LAYER_RATE._replace(default=1.0, required=False), *DEFAULT_KEYS)


def mmseg_layers(inventory: Inventory, options: Mapping[str, Any], paramwise_cfg: Mapping[str, Any]) -> Rows:
    """mmdet's and mmseg's ``LearningRateDecayOptimizerConstructor``: ConvNeXt by layer or by stage, a ViT (BEiT, MAE) by layer;
    biases and parameters of one axis have no weight decay. The default constructor's other keys change nothing.

    Raises:
        FkitError: a key that is missing, unknown, or of another shape; a backbone of another family.
    """
    check_paramwise(paramwise_cfg, _MMSEG)
    count, kind = paramwise_cfg["num_layers"], paramwise_cfg.get("decay_type") or "layer_wise"
    names = [place.entry.name for place in places(inventory)]
    if any(name.startswith("backbone.downsample_layers.") for name in names):
        depth = _convnext_stage if kind == "stage_wise" else partial(_convnext_layer, deepest=count)
    elif kind != "stage_wise" and any(name.startswith("backbone.layers.") for name in names):
        depth = _vit_layer
    else:
        known = "ConvNeXt (backbone.downsample_layers)" + (", ViT (backbone.layers)" if kind != "stage_wise" else "")
        raise _unknown(names, f"decay_type={kind!r} knows {known}")

    def at(name: str) -> int:
        inside = depth(name.removeprefix(_BACKBONE)) if name.startswith(_BACKBONE) else None
        return count + 1 if inside is None else inside

    return _layered(inventory, options, paramwise_cfg["decay_rate"], lambda name: (at(name), count + 2), _is_flat)


def mmseg_vit_layers(inventory: Inventory, options: Mapping[str, Any], paramwise_cfg: Mapping[str, Any]) -> Rows:
    """mmseg's ``LayerDecayOptimizerConstructor``: `mmseg_layers` by layer, where the rate is called ``layer_decay_rate``.

    Raises:
        FkitError: as `mmseg_layers`.
    """
    check_paramwise(paramwise_cfg, _MMSEG_VIT)
    cfg = {name: value for name, value in paramwise_cfg.items() if name != "layer_decay_rate"}
    return mmseg_layers(inventory, options, {**cfg, "decay_rate": paramwise_cfg["layer_decay_rate"]})


def mmpose_layers(inventory: Inventory, options: Mapping[str, Any], paramwise_cfg: Mapping[str, Any]) -> Rows:
    """mmpose's ``LayerDecayOptimWrapperConstructor``: a ViT by layer; biases, parameters of one axis and position embeddings have
    no weight decay. The default constructor's other keys, ``custom_keys`` too, change nothing.

    Raises:
        FkitError: a key that is missing, unknown, or of another shape.
    """
    check_paramwise(paramwise_cfg, _MMSEG_VIT)
    count = paramwise_cfg["num_layers"]

    def at(name: str) -> tuple[int, int]:
        inside = _vit_layer(name.removeprefix(_BACKBONE)) if name.startswith(_BACKBONE) else None
        return (count + 1 if inside is None else inside), count + 2

    return _layered(
        inventory,
        options,
        paramwise_cfg["layer_decay_rate"],
        at,
        lambda place: _is_flat(place) or "pos_embed" in place.entry.name,
    )


def mmpretrain_layers(inventory: Inventory, options: Mapping[str, Any], paramwise_cfg: Mapping[str, Any]) -> Rows:
    """mmpretrain's ``LearningRateDecayOptimWrapperConstructor``: ViT, Swin, MixMIM, ConvNeXt and ResNet by layer, see `depth_of`;
    the weight decay by ``custom_keys`` or else by the first of norm, bias, flat that is set and fits. Its other keys change
    nothing.

    Raises:
        FkitError: an unknown key, or one of another shape; a backbone of another family.
    """
    check_paramwise(paramwise_cfg, _MMPRETRAIN)
    rate, base = paramwise_cfg.get("layer_decay_rate"), base_of(options)
    refuse_shared(inventory, {"bypass_duplicate": paramwise_cfg.get("bypass_duplicate")})
    depth = depth_of(place.entry.name for place in places(inventory))
    rows: Rows = []
    for place in places(inventory):
        if not place.entry.trainable:
            continue
        row: dict[str, Any] = {"params": place.entry.name}
        if base["weight_decay"] is not None:
            row |= _mmpretrain_decay(place, base["weight_decay"], paramwise_cfg)
        at, layers = depth(place.entry.name)
        row["lr"] = scaled(base, (1.0 if rate is None else rate) ** (layers - at - 1), "layer_decay_rate")
        rows.append(row)
    return rows


def _mmpretrain_decay(place: Place, decay: float, cfg: Mapping[str, Any]) -> dict[str, Any]:
    """The weight decay of a parameter, and what else one of ``custom_keys`` sets; the learning rate is the depth's affair."""
    key = custom_key(cfg, place.entry.name)
    if key is not None:
        settings: Mapping[str, Any] = cfg["custom_keys"][key]
        others = {name: value for name, value in settings.items() if name not in ("lr", "lr_mult", "decay_mult")}
        return {"weight_decay": decay * settings.get("decay_mult", 1.0), **others}
    fitting = (
        ("norm_decay_mult", place.entry.kind == "norm"),
        ("bias_decay_mult", place.leaf == "bias"),
        ("flat_decay_mult", len(place.entry.shape) == 1),
    )
    return {
        "weight_decay": decay * next((cfg[name] for name, fits in fitting if fits and cfg.get(name) is not None), 1.0)
    }


def _layered(
    inventory: Inventory, options: Mapping[str, Any], rate: float, depth: Depth, bare: Callable[[Place], bool]
) -> Rows:
    """A row a parameter that is trained.

    Args:
        bare: whether a parameter has no weight decay.
    """
    base, rows = base_of(options), []
    if base["weight_decay"] is None:
        raise FkitValueError(
            "layer-wise decay sets the weight decay of each parameter, and the config gives the optimizer none.",
            path="paramwise_cfg",
            repair="Give the optimizer its weight_decay: optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05).",
        )
    for place in places(inventory):
        if place.entry.trainable:
            at, layers = depth(place.entry.name)
            lr = scaled(base, rate ** (layers - at - 1), "the rate of a layer")
            decay = 0.0 if bare(place) else base["weight_decay"]
            rows.append({"params": place.entry.name, "lr": lr, "weight_decay": decay})
    return rows


def _is_flat(place: Place) -> bool:
    return len(place.entry.shape) == 1 or place.leaf == "bias"


def depth_of(names: Iterable[str]) -> Depth:
    """How deep each parameter of a model lies, by the names in its backbone; as mmpretrain's backbones say of themselves.

    Args:
        names: of all parameters.

    Raises:
        FkitValueError: the backbone is of no family whose names are known.

    Example:
        >>> depth = depth_of(["backbone.patch_embed.projection.weight", "backbone.layers.1.ln1.weight", "head.fc.weight"])
        >>> depth("backbone.patch_embed.projection.weight"), depth("backbone.layers.1.ln1.weight"), depth("head.fc.weight")
        ((0, 4), (2, 4), (3, 4))
    """
    names = list(names)
    inside = [name.removeprefix(_BACKBONE) for name in names if name.startswith(_BACKBONE)]
    for pattern, family in _FAMILIES.items():
        if any(re.match(pattern, name) for name in inside):
            return family(inside)
    raise _unknown(names, "known are the names of ViT, BEiT, Swin, MixMIM, ConvNeXt and ResNet")


def _unknown(names: list[str], known: str) -> FkitValueError:
    first = next((name for name in names if name.startswith(_BACKBONE)), names[0] if names else "")
    return FkitValueError(
        f"layer-wise decay does not know the layers of this backbone by their names ({first!r}, ...): {known}.",
        path="paramwise_cfg",
        repair="Register a constructor of your own: a function (inventory, options, paramwise_cfg) -> groups.",
    )


def _counts(inside: list[str], pattern: str) -> list[int]:
    """How many blocks each stage has.

    Args:
        pattern: finds the numbers of stage and block in a name.
    """
    known = [(int(match[1]), int(match[2])) for name in inside if (match := re.match(pattern, name))]
    return [1 + max((block for stage, block in known if stage == one), default=-1) for one in range(1 + max(known)[0])]


def _around(inside: Callable[[str], int], layers: int, beside: Callable[[str], int] | None = None) -> Depth:
    """The depth of every name: inside the backbone, and of what comes after it, which is the last layer."""

    def depth(name: str) -> tuple[int, int]:
        if name.startswith(_BACKBONE):
            return inside(name.removeprefix(_BACKBONE)), layers
        return (layers - 1 if beside is None else beside(name)), layers

    return depth


def _vit_layer(name: str) -> int | None:
    """Of a name inside a ViT; None is what comes after its layers."""
    if name in _STEM or name.startswith("patch_embed"):
        return 0
    return int(name.split(".")[1]) + 1 if name.startswith("layers.") else None


def _vit(inside: list[str]) -> Depth:
    layers = 3 + max(int(name.split(".")[1]) for name in inside if name.startswith("layers."))

    def at(name: str) -> int:
        depth = None if name == "mask_token" else _vit_layer(name)  # which mmpretrain leaves with the head
        return layers - 1 if depth is None else depth

    return _around(at, layers)


def _hierarchy(inside: list[str], stages: str, stem: tuple[str, ...], after: int) -> Depth:
    """Swin and MixMIM: blocks numbered through all stages; what merges patches goes with the last block of its stage.

    Args:
        stages: what they are called.
        stem: what names of the stem contain.
        after: how many layers before the end what follows the stages lies.
    """
    counts = _counts(inside, rf"{stages}\.(\d+)\.blocks\.(\d+)\.")
    layers = sum(counts) + 2

    def at(name: str) -> int:
        if any(word in name for word in stem):
            return 0
        if not name.startswith(f"{stages}."):
            return layers - after
        parts = name.split(".")
        stage = int(parts[1])
        return sum(counts[:stage]) + int(parts[3]) + 1 if parts[2] == "blocks" else sum(counts[: stage + 1])

    mixed = after == 2
    return _around(at, layers, (lambda name: layers - (2 if name.startswith("neck") else 1)) if mixed else None)


def _convnext_layer(name: str, deepest: int) -> int | None:
    """Of a name inside a ConvNeXt: the third stage by threes of its blocks, the others whole."""
    parts = name.split(".")
    if name in _STEM:
        return 0
    if parts[0] == "downsample_layers":
        return (0, 2, 3, deepest)[int(parts[1])]
    if parts[0] == "stages":
        return (1, 2, 3 + int(parts[2]) // 3, deepest)[int(parts[1])]
    return None


def _convnext_stage(name: str) -> int | None:
    parts = name.split(".")
    if name in _STEM or parts[0] == "downsample_layers":
        return 0
    return int(parts[1]) + 1 if parts[0] == "stages" else None


def _convnext(inside: list[str]) -> Depth:
    deepest = 12 if _counts(inside, r"stages\.(\d+)\.(\d+)\.")[-2] > 9 else 6

    def at(name: str) -> int:
        depth = None if name in _STEM else _convnext_layer(name, deepest)
        return deepest + 1 if depth is None else depth

    return _around(at, deepest + 2)


# blocks of the second and third stage -> how many of each are one layer
_RESNETS: Mapping[tuple[int, int], tuple[int, int]] = frozendict(
    {(4, 6): (2, 3), (4, 23): (2, 3), (8, 36): (4, 4), (24, 36): (4, 4), (30, 48): (5, 6)}
)


def _resnet(inside: list[str]) -> Depth:
    counts = _counts(inside, r"layer(\d+)\.(\d+)\.")[1:]
    if len(counts) < 4 or (counts[1], counts[2]) not in _RESNETS:
        raise FkitValueError(
            f"layer-wise decay knows ResNets of 50, 101, 152, 200 and 269 layers, and this one's stages have {counts} blocks.",
            path="paramwise_cfg",
        )
    second, third = _RESNETS[counts[1], counts[2]]
    middle = math.ceil(counts[1] / second)
    last = 2 + middle + math.ceil(counts[2] / third)

    def at(name: str) -> int:
        match = re.match(r"layer(\d+)\.(\d+)\.", name)
        if match is None:
            return 0
        stage, block = int(match[1]), int(match[2])
        return (1, 2 + block // second, 2 + middle + block // third, last)[stage - 1]

    return _around(at, last + 2)


_FAMILIES: Mapping[str, Callable[[list[str]], Depth]] = frozendict(
    {
        r"downsample_layers\.": _convnext,
        r"stages\.\d+\.blocks\.": partial(_hierarchy, stages="stages", stem=("patch_embed",), after=1),
        r"layers\.\d+\.blocks\.": partial(_hierarchy, stages="layers", stem=("patch_embed", "pos_embed"), after=2),
        r"layers\.\d+\.": _vit,
        r"layer1\.\d+\.": _resnet,
    }
)
