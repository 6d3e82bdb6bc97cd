"""The plan of a vision transformer (Dosovitskiy et al. 2021): what mmpretrain's arguments come to."""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import numpy as np
from frozendict import frozendict

from fkit.backbone.arch import VIT, arch_of, outputs_of
from fkit.backbone.patch import out_size, pair
from fkit.backbone.swin import spread
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["FFN_INIT", "TABLE", "VitPlan", "rotation", "vit_layers", "vit_plan", "vit_rules"]

# of a layer's feed-forward network, whatever the model's rules say
FFN_INIT = frozendict(type="Xavier", layer="Linear", distribution="uniform")
# of an attention's biases a displacement
TABLE = frozendict(type="TruncNormal", std=0.02, override=frozendict(name="relative_position_bias_table"))
_OUT = ("raw", "cls_token", "featmap", "avg_featmap")
_LAYER = (
    "embed_dims", "num_heads", "feedforward_channels", "layer_scale_init_value", "drop_rate", "attn_drop_rate",
    "drop_path_rate", "num_fcs", "qkv_bias", "ffn_type", "act_cfg", "norm_cfg",
)  # fmt: skip
_PATCH = ("in_channels", "embed_dims", "conv_type", "kernel_size", "stride", "padding", "dilation", "bias", "norm_cfg",
          "input_size", "init_cfg")  # fmt: skip


class VitPlan(NamedTuple):
    """What a vision transformer is made of.

    Attributes:
        width, depth: channels of tokens; how many layers.
        patch: arguments of the patches' embedding.
        grid: rows and columns of patches of the images that positions are of.
        outputs: the layers whose outputs are given.
        layers: arguments of each layer.
    """

    width: int
    depth: int
    patch: Mapping[str, Any]
    grid: tuple[int, int]
    outputs: tuple[int, ...]
    layers: tuple[Mapping[str, Any], ...]


def vit_plan(
    net: str,
    *,
    arch: Any,
    img_size: Any,
    patch_size: Any,
    in_channels: int,
    out_indices: Any,
    drop_rate: float,
    drop_path_rate: float,
    qkv_bias: bool,
    norm_cfg: Any,
    out_type: str,
    with_cls_token: bool,
    layer_scale_init_value: float,
    patch_cfg: Any,
    layer_cfgs: Any,
    pre_norm: bool,
    table: Mapping[str, Mapping[str, Any]] = VIT,
    shared: Mapping[str, Any] | None = None,
) -> VitPlan:
    """The plan of arguments that are called as mmpretrain calls them.

    Args:
        table: the known architectures.
        shared: of a kin of the network, what its layers are told beside their widths, in place of a vision transformer's.

    Raises:
        FkitError: arguments that do not fit together.
    """
    plan = arch_of(net, arch, table)
    width, depth = plan["embed_dims"], plan["num_layers"]
    if out_type not in _OUT:
        raise FkitValueError(f"{net}: out_type={out_type!r}.", value=out_type, choices=_OUT)
    if out_type == "cls_token" and not with_cls_token:
        raise FkitValueError(f"{net}: out_type='cls_token' needs with_cls_token=True.")
    patch: dict[str, Any] = {
        "in_channels": in_channels, "input_size": img_size, "embed_dims": width, "conv_type": "Conv2d",
        "kernel_size": patch_size, "stride": patch_size, "bias": not pre_norm, "padding": "corner", "dilation": 1,
        **_known(net, "patch_cfg", patch_cfg, _PATCH),
    }  # fmt: skip
    kernel, step, dilation = pair(patch["kernel_size"]), pair(patch["stride"]), pair(patch["dilation"])
    adaptive = isinstance(patch["padding"], str)
    inner = (0, 0) if adaptive else pair(patch["padding"])
    grid = out_size(pair(patch["input_size"]), kernel, step, inner, dilation, adaptive)
    widths = {key: plan[key] for key in ("embed_dims", "num_heads", "feedforward_channels")}
    own = {
        "layer_scale_init_value": layer_scale_init_value, "drop_rate": drop_rate, "qkv_bias": qkv_bias,
        "norm_cfg": norm_cfg,
    }  # fmt: skip
    known = _LAYER if shared is None else (*widths, *shared, "drop_path_rate")
    every = {**widths, **(own if shared is None else shared)}
    layers = vit_layers(net, every, layer_cfgs, spread(drop_path_rate, depth), known)
    outputs = outputs_of(net, out_indices, depth)
    return VitPlan(width, depth, frozendict(patch), (grid[0], grid[1]), outputs, layers)


def vit_layers(
    net: str, shared: Mapping[str, Any], layer_cfgs: Any, rates: tuple[float, ...], known: tuple[str, ...]
) -> tuple[Mapping[str, Any], ...]:
    """The arguments of each layer: those that all share, its rate of stochastic depth, and its own.

    Raises:
        FkitError: there are not as many of the layers' own as layers, or one is unknown.
    """
    several = [layer_cfgs] * len(rates) if isinstance(layer_cfgs, Mapping) else list(layer_cfgs)
    if len(several) != len(rates):
        raise FkitValueError(f"{net}: {len(several)} layer_cfgs for {len(rates)} layers.")
    return tuple(
        frozendict({**shared, "drop_path_rate": rate, **_known(net, "layer_cfgs", one, known)})
        for rate, one in zip(rates, several, strict=True)
    )


def vit_rules(init_cfg: Any, *tables: str) -> Any:
    """Rules for initial weights, and after them those of tables of positions, unless all come from a file.

    Example:
        >>> [rule["type"] for rule in vit_rules(None, "pos_embed")]
        ['TruncNormal']
    """
    if isinstance(init_cfg, Mapping):
        whole = cast("Mapping[str, Any]", init_cfg)
        kind: Any = whole.get("type")
        name = kind.__name__ if isinstance(kind, type) else str(kind)
        if name.rpartition(".")[2].removesuffix("Init") == "Pretrained":
            return whole
    rules = () if init_cfg is None else (init_cfg,) if isinstance(init_cfg, Mapping) else tuple(init_cfg)
    return (*rules, *(frozendict(type="TruncNormal", std=0.02, override=frozendict(name=name)) for name in tables))


def rotation(width: int, grid: tuple[int, int], theta: float = 10000.0) -> tuple[Any, Any]:
    """Cosines and sines (L, width) of angles by which queries and keys are turned: half of the channels by their row, half by
    their column.

    Example:
        >>> [table.shape for table in rotation(8, (2, 3))]
        [(6, 8), (6, 8)]
    """
    half = width // 2
    frequency = 1.0 / theta ** (np.arange(0, half, 2) / half)
    rows, columns = (np.tile((np.arange(side) / side * half)[:, None] * frequency[None, :], (1, 2)) for side in grid)
    down, right = np.broadcast_to(rows[:, None], (*grid, half)), np.broadcast_to(columns[None], (*grid, half))
    angles = np.concatenate((down, right), -1).reshape(grid[0] * grid[1], -1)
    return np.cos(angles), np.sin(angles)


def _known(net: str, what: str, options: Any, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(options, Mapping):
        raise FkitTypeError(f"{net}: {what}={options!r:.80}: a mapping of arguments.")
    for key in options:
        if key not in known:
            raise FkitTypeError(f"{net}: {what} takes no argument {key!r}.", value=str(key), choices=known)
    return options  # pyright: ignore[reportUnknownVariableType]
