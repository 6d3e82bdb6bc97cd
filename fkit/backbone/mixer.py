"""The plans of MLP-Mixer (Tolstikhin et al. 2021) and ConvMixer (Trockman and Kolter 2022)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from frozendict import frozendict

from fkit.backbone.arch import arch_of, outputs_of
from fkit.backbone.patch import out_size, pair
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["MixerPlan", "conv_mixer", "mlp_mixer"]

_MLP_KEYS = ("embed_dims", "num_layers", "tokens_mlp_dims", "channels_mlp_dims")
_MLP = frozendict(
    {
        name: frozendict(zip(_MLP_KEYS, row, strict=True))
        for names, row in (
            (("s", "small"), (512, 8, 256, 2048)),
            (("b", "base"), (768, 12, 384, 3072)),
            (("l", "large"), (1024, 24, 512, 4096)),
        )
        for name in names
    }
)
_CONV_KEYS = ("embed_dims", "depth", "patch_size", "kernel_size")
_CONV = frozendict(
    {
        name: frozendict(zip(_CONV_KEYS, row, strict=True))
        for name, row in (("768/32", (768, 32, 7, 7)), ("1024/20", (1024, 20, 14, 9)), ("1536/20", (1536, 20, 7, 9)))
    }
)
_LAYER = ("drop_rate", "drop_path_rate", "num_fcs", "act_cfg", "norm_cfg")


class MixerPlan(NamedTuple):
    """What an MLP-Mixer is made of.

    Attributes:
        width, depth: channels of tokens; how many layers.
        size: of the images.
        patch: arguments of the patches' embedding.
        outputs: the layers whose outputs are given.
        layers: arguments of each layer.
    """

    width: int
    depth: int
    size: tuple[int, int]
    patch: Mapping[str, Any]
    outputs: tuple[int, ...]
    layers: tuple[Mapping[str, Any], ...]


def mlp_mixer(
    arch: Any, img_size: Any, patch_size: Any, out_indices: Any, patch_cfg: Any, layer_cfgs: Any, shared: Any
) -> MixerPlan:
    """The plan of an MLP-Mixer.

    Args:
        shared: what all layers are told.

    Raises:
        FkitError: arguments that do not fit together.

    Example:
        >>> plan = mlp_mixer("b", 224, 16, -1, {}, {}, {})
        >>> plan.layers[0]["tokens"], plan.outputs
        (196, (11,))
    """
    plan = arch_of("MlpMixer", arch, _MLP)
    depth, size = plan["num_layers"], pair(img_size)
    patch: dict[str, Any] = {"embed_dims": plan["embed_dims"], "kernel_size": patch_size, "stride": patch_size}
    patch |= dict(patch_cfg)
    kernel, step = pair(patch["kernel_size"]), pair(patch["stride"])
    found = out_size(size, kernel, step, (0, 0), (1, 1), True)
    several = [layer_cfgs] * depth if hasattr(layer_cfgs, "items") else list(layer_cfgs)
    if len(several) != depth:
        raise FkitValueError(f"MlpMixer: layer_cfgs has {len(several)} parts for {depth} layers.")
    layers: list[Mapping[str, Any]] = []
    for one in several:
        for name in one:
            if name not in _LAYER:
                raise FkitTypeError(f"MlpMixer: a layer takes no argument {name!r}.", value=name, choices=_LAYER)
        layers.append(
            {
                "tokens": found[0] * found[1],
                "width": plan["embed_dims"],
                "hidden": (plan["tokens_mlp_dims"], plan["channels_mlp_dims"]),
                **shared,
                **one,
            }
        )
    outputs = outputs_of("MlpMixer", out_indices, depth)
    return MixerPlan(plan["embed_dims"], depth, size, patch, outputs, tuple(layers))


def conv_mixer(arch: Any, out_indices: Any) -> tuple[tuple[int, int, int, int], tuple[int, ...]]:
    """Channels, depth, and the sides of patches and filters of a ConvMixer; and the stages whose maps are given.

    Raises:
        FkitError: arguments that do not fit together.

    Example:
        >>> conv_mixer("768/32", -1)
        ((768, 32, 7, 7), (31,))
    """
    plan = arch_of("ConvMixer", arch, _CONV)
    width, depth, patch, kernel = (int(plan[key]) for key in _CONV_KEYS)
    return (width, depth, patch, kernel), outputs_of("ConvMixer", out_indices, depth)
