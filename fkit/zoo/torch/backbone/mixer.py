"""MLP-Mixer (Tolstikhin et al. 2021) and ConvMixer (Trockman and Kolter 2022), with mmpretrain's arguments and parameter names."""

from typing import Any

from frozendict import frozendict
from torch import Tensor, nn

from fkit.backbone.brick import path_drop
from fkit.backbone.mixer import conv_mixer, mlp_mixer
from fkit.backbone.vit import FFN_INIT
from fkit.backend.torch.activation import act_layer
from fkit.backend.torch.layers import norm_layer
from fkit.tree.error import FkitValueError
from fkit.zoo.torch.ffn import FFN
from fkit.zoo.torch.patch import PatchEmbed

__all__ = ["ConvMixer", "MlpMixer"]

_LN = frozendict(type="LN")
_BN = frozendict(type="BN")
_GELU = frozendict(type="GELU")
_NONE = frozendict[str, Any]()


class _Mixing(nn.Module):
    """Layers over the tokens of a channel, then over the channels of a token, each with its norm first."""

    def __init__(
        self,
        tokens: int,
        width: int,
        hidden: tuple[int, int],
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        num_fcs: int = 2,
        act_cfg: Any = _GELU,
        norm_cfg: Any = _LN,
    ) -> None:
        super().__init__()
        short, norm = norm_layer(norm_cfg, width)
        options = (num_fcs, act_cfg, drop_rate, path_drop(drop_path_rate))
        self.norms = (f"{short}1", f"{short}2")
        self.add_module(self.norms[0], norm)
        self.token_mix = FFN(tokens, hidden[0], *options, add_identity=False, init_cfg=FFN_INIT)
        self.add_module(self.norms[1], norm_layer(norm_cfg, width)[1])
        self.channel_mix = FFN(width, hidden[1], *options, init_cfg=FFN_INIT)

    def forward(self, x: Tensor) -> Tensor:
        one, two = (getattr(self, name) for name in self.norms)
        x = x + self.token_mix(one(x).transpose(1, 2)).transpose(1, 2)
        return self.channel_mix(two(x), x)


class MlpMixer(nn.Module):
    """MLP-Mixer, a backbone: images (N, 3, H, W) of one size to a tuple of tokens (N, C, L).

    Args:
        arch: "small", "base" or "large", or a mapping with ``embed_dims``, ``num_layers``, ``tokens_mlp_dims`` and
            ``channels_mlp_dims``.
        img_size: of the images.
        patch_size: side of the patches.
        out_indices: the layers whose outputs are given; -1 is the last.
        drop_path_rate: of every layer.
        patch_cfg, layer_cfgs: arguments of the embedding, and of all layers or of each.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or images of another size.
    """

    def __init__(
        self,
        arch: Any = "base",
        img_size: Any = 224,
        patch_size: Any = 16,
        out_indices: Any = -1,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        norm_cfg: Any = _LN,
        act_cfg: Any = _GELU,
        patch_cfg: Any = _NONE,
        layer_cfgs: Any = _NONE,
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        shared = {"drop_rate": drop_rate, "drop_path_rate": drop_path_rate, "act_cfg": act_cfg, "norm_cfg": norm_cfg}
        plan = mlp_mixer(arch, img_size, patch_size, out_indices, patch_cfg, layer_cfgs, shared)
        self.init_cfg = init_cfg
        self.img_size, self.out_indices = plan.size, plan.outputs
        self.patch_embed = PatchEmbed(**plan.patch)
        self.layers = nn.ModuleList(_Mixing(**one) for one in plan.layers)
        short, norm = norm_layer(norm_cfg, plan.width)
        self.last = f"{short}1"
        self.add_module(self.last, norm)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        if tuple(x.shape[2:]) != self.img_size:
            raise FkitValueError(f"MlpMixer: images of {tuple(x.shape[2:])}, but img_size={self.img_size}.")
        x, _ = self.patch_embed(x)
        outs: list[Tensor] = []
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i == len(self.layers) - 1:
                x = getattr(self, self.last)(x)
            if i in self.out_indices:
                outs.append(x.transpose(1, 2))
        return tuple(outs)


class _Residual(nn.Module):
    """A layer, added to what came in: ``fn``."""

    def __init__(self, fn: nn.Module) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        return self.fn(x) + x


class ConvMixer(nn.Module):
    """ConvMixer, a backbone: images (N, C, H, W) to a tuple of maps of one size.

    Args:
        arch: "768/32", "1024/20" or "1536/20", or a mapping with ``embed_dims``, ``depth``, ``patch_size`` and ``kernel_size``.
        out_indices: the stages whose maps are given; -1 is the last.
        frozen_stages: how many stages, from the first, have no gradient.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    def __init__(
        self,
        arch: Any = "768/32",
        in_channels: int = 3,
        norm_cfg: Any = _BN,
        act_cfg: Any = _GELU,
        out_indices: Any = -1,
        frozen_stages: int = 0,
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        (width, depth, patch, kernel), self.out_indices = conv_mixer(arch, out_indices)
        self.init_cfg, self.frozen_stages = init_cfg, frozen_stages

        def after(conv: nn.Module) -> list[nn.Module]:
            return [conv, act_layer(act_cfg), norm_layer(norm_cfg, width)[1]]

        self.stem = nn.Sequential(*after(nn.Conv2d(in_channels, width, patch, patch)))
        self.stages = nn.Sequential(
            *(
                nn.Sequential(
                    _Residual(nn.Sequential(*after(nn.Conv2d(width, width, kernel, groups=width, padding="same")))),
                    *after(nn.Conv2d(width, width, 1)),
                )
                for _ in range(depth)
            )
        )
        for part in list(self.stages)[:frozen_stages]:
            part.requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.stem(x)
        maps: list[Tensor] = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def train(self, mode: bool = True) -> "ConvMixer":
        """Training mode, but for frozen stages."""
        super().train(mode)
        for part in list(self.stages)[: self.frozen_stages]:
            part.eval()
        return self
