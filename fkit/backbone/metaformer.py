"""The plans of PoolFormer (Yu et al. 2022) and RIFormer (Wang et al. 2023)."""

from typing import Any, NamedTuple

from frozendict import frozendict

from fkit.backbone.arch import arch_of, outputs_of
from fkit.tree.error import FkitValueError

__all__ = ["Meta", "meta_former"]

_SMALL, _WIDE = (64, 128, 320, 512), (96, 192, 384, 768)
_KNOWN = frozendict(
    {
        name: frozendict(layers=layers, embed_dims=widths, mlp_ratios=(4,) * 4, layer_scale_init_value=scale)
        for name, layers, widths, scale in (
            ("s12", (2, 2, 6, 2), _SMALL, 1e-5),
            ("s24", (4, 4, 12, 4), _SMALL, 1e-5),
            ("s36", (6, 6, 18, 6), _SMALL, 1e-6),
            ("m36", (6, 6, 18, 6), _WIDE, 1e-6),
            ("m48", (8, 8, 24, 8), _WIDE, 1e-6),
        )
    }
)


class Meta(NamedTuple):
    """A stage of blocks, or, with no rates, the convolution between two.

    Attributes:
        inner, width: channels in and out.
        hidden: of the layers a pixel.
        rates: of the blocks' stochastic depth.
    """

    inner: int
    width: int
    hidden: int = 0
    rates: tuple[float, ...] = ()


def meta_former(
    net: str, arch: Any, drop_path_rate: float, indices: Any, frozen: int
) -> tuple[tuple[Meta, ...], tuple[int, ...], float]:
    """The parts of the network, which of them give maps, and what factors a channel begin with.

    Raises:
        FkitError: arguments that do not fit together.

    Example:
        >>> parts, outputs, scale = meta_former("PoolFormer", "s12", 0.0, -1, -1)
        >>> [len(part.rates) for part in parts], outputs
        ([2, 0, 2, 0, 6, 0, 2], (6,))
    """
    whole = {**arch} if hasattr(arch, "items") else arch
    if isinstance(whole, dict):
        count = len(whole.get("layers", ()))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType, reportUnknownVariableType]
        whole = {"mlp_ratios": (4,) * count, "layer_scale_init_value": 1e-5, **whole}
    plan = arch_of(net, whole, _KNOWN)
    layers, widths = plan["layers"], plan["embed_dims"]
    total, before, parts = sum(layers), 0, list[Meta]()
    for i, (depth, width) in enumerate(zip(layers, widths, strict=True)):
        if i and widths[i - 1] != width:
            parts.append(Meta(widths[i - 1], width))
        rates = tuple(drop_path_rate * (before + j) / max(total - 1, 1) for j in range(depth))
        parts.append(Meta(width, width, int(width * plan["mlp_ratios"][i]), rates))
        before += depth
    if frozen > len(parts):
        raise FkitValueError(f"{net}: frozen_stages={frozen}, but there are {len(parts)} parts.")
    return tuple(parts), outputs_of(net, indices, len(parts)), plan["layer_scale_init_value"]
