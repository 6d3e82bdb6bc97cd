"""Segmentors: backbone, neck, a head of pixels' classes, and heads that help while training; as mmseg has them."""

from collections.abc import Mapping, Sequence
from typing import Any

from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backend.torch.ops import Torch
from fkit.catalog.build import Builder
from fkit.segmentation.decode import predicted, prefixed
from fkit.segmentation.part import part
from fkit.segmentation.window import slide_of, windows
from fkit.structures.batch import Samples
from fkit.training.pretrained import init_cfg_of
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["CascadeEncoderDecoder", "EncoderDecoder"]

_MODES = ("tensor", "loss", "predict")


class EncoderDecoder(nn.Module):
    """A backbone, a neck and heads; mmseg's EncoderDecoder.

    Args:
        backbone, decode_head: configs.
        neck: config, or None.
        auxiliary_head: config of a head that helps while training, or of several, or None.
        train_cfg: accepted.
        test_cfg: ``mode`` "whole", or "slide" with ``crop_size`` and ``stride``.
        data_preprocessor: accepted: a run takes it out of the model; inputs here have passed it.
        pretrained: OpenMMLab's older form of the backbone's ``init_cfg``.
        init_cfg: rules for initial weights.

    ``forward(inputs, samples, mode)`` on images (N, C, H, W): "tensor" gives the raw outputs of each part, ``{"backbone":
    ..., "decode_head": (N, K, h, w), ...}``; "loss" a dict of losses; "predict" ``seg_logits`` (N, K, H, W) and
    ``pred_sem_seg`` (N, H, W), of the inputs' size. Classes are ``samples.targets["gt_sem_seg"]``, (N, H, W).
    """

    def __init__(
        self,
        backbone: Any,
        decode_head: Any,
        neck: Any = None,
        auxiliary_head: Any = None,
        train_cfg: Any = None,
        test_cfg: Any = None,
        data_preprocessor: Any = None,
        pretrained: Any = None,
        init_cfg: Any = None,
        *,
        build: Builder,
    ) -> None:
        super().__init__()
        self.init_cfg = init_cfg_of(pretrained, init_cfg, type(self).__name__)
        self.slide = slide_of(test_cfg)
        self.backbone = part(build, "models", backbone)
        if neck is not None:
            self.neck = part(build, "models", neck)
        self.decode_head = _listed(part(build, "models", decode_head))
        if auxiliary_head is not None:
            self.auxiliary_head = _listed(part(build, "models", auxiliary_head))

    @property
    def last_head(self) -> Any:
        """The head whose logits are predictions."""
        return self.decode_head

    @property
    def label_ranges(self) -> Mapping[str, Any]:
        """What labels may be: those of the head's classes, and what it ignores."""
        return frozendict({"gt_sem_seg": self.last_head.logic.label_range})

    @property
    def auxiliary_heads(self) -> Sequence[Any]:
        """The heads that help while training."""
        if not hasattr(self, "auxiliary_head"):
            return ()
        head = self.auxiliary_head
        return tuple(head) if isinstance(head, nn.ModuleList) else (head,)

    def extract_feat(self, inputs: Tensor) -> Any:
        """The maps of the neck, or of the backbone where there is none."""
        maps = self.backbone(inputs)
        return self.neck(maps) if hasattr(self, "neck") else maps

    def forward(self, inputs: Tensor, samples: Samples | None = None, mode: str = "tensor") -> Any:
        if mode not in _MODES:
            raise FkitValueError(f"mode={mode!r} is unknown.", value=mode, choices=_MODES, label="Modes")
        if mode == "tensor":
            return self.raw(inputs)
        if mode == "loss":
            return self.loss(self.extract_feat(inputs), samples)
        return predicted(Torch(inputs.device), self.last_head.logic, self.logits(inputs))

    def raw(self, inputs: Tensor) -> dict[str, Any]:
        """What each part gives, by its name."""
        maps = self.backbone(inputs)
        parts: dict[str, Any] = {"backbone": maps}
        if hasattr(self, "neck"):
            parts["neck"] = maps = self.neck(maps)
        parts["decode_head"] = self.decoded(maps)
        if several := self.auxiliary_heads:
            said = [head(maps) for head in several]
            parts["auxiliary_head"] = said if isinstance(self.auxiliary_head, nn.ModuleList) else said[0]
        return parts

    def decoded(self, maps: Any) -> Any:
        """What the head says of maps; of several heads, a list."""
        return self.decode_head(maps)

    def loss(self, maps: Any, samples: Samples | None) -> dict[str, Tensor]:
        """Losses of all heads, by their names and these."""
        said = self.decode_losses(maps, samples)
        several = self.auxiliary_heads
        for at, head in enumerate(several):
            name = f"aux_{at}" if isinstance(self.auxiliary_head, nn.ModuleList) else "aux"
            said |= prefixed(head.loss(maps, samples), name)
        return said

    def decode_losses(self, maps: Any, samples: Samples | None) -> dict[str, Tensor]:
        """Those of the head."""
        return prefixed(self.decode_head.loss(maps, samples), "decode")

    def logits_of(self, inputs: Tensor) -> Tensor:
        """Logits of images, of their size."""
        return self.decode_head.logits(self.extract_feat(inputs), inputs.shape[2:])

    def logits(self, inputs: Tensor) -> Tensor:
        """Logits of images, of the whole or the mean over windows."""
        if self.slide is None:
            return self.logits_of(inputs)
        height, width = inputs.shape[2:]
        total: Any = 0.0
        count = inputs.new_zeros((1, 1, height, width))
        for top, bottom, left, right in windows((height, width), self.slide):
            edges = (left, width - right, top, height - bottom)
            total = total + F.pad(self.logits_of(inputs[:, :, top:bottom, left:right]), edges)
            count[:, :, top:bottom, left:right] += 1
        return total / count


def _listed(heads: Any) -> Any:
    return nn.ModuleList(heads) if isinstance(heads, tuple) else heads


class CascadeEncoderDecoder(EncoderDecoder):
    """A backbone and several heads, each of which takes what the one before it said; mmseg's CascadeEncoderDecoder.

    Args:
        num_stages: how many heads.
        backbone: config.
        decode_head: a config for each head.
        more: see `EncoderDecoder`.
    """

    def __init__(self, num_stages: int, backbone: Any, decode_head: Any, *, build: Builder, **more: Any) -> None:
        if not isinstance(decode_head, (list, tuple)) or len(decode_head) != num_stages:
            raise FkitTypeError(f"CascadeEncoderDecoder: num_stages={num_stages} takes a list of as many decode_heads.")
        super().__init__(backbone, decode_head, build=build, **more)

    @property
    def last_head(self) -> Any:
        return self.decode_head[-1]

    def decoded(self, maps: Any) -> Any:
        said = [self.decode_head[0](maps)]
        for head in self.decode_head[1:]:
            said.append(head(maps, said[-1]))
        return said

    def decode_losses(self, maps: Any, samples: Samples | None) -> dict[str, Tensor]:
        losses = prefixed(self.decode_head[0].loss(maps, samples), "decode_0")
        said: Any = None
        for at, head in enumerate(self.decode_head[1:], 1):
            before = self.decode_head[at - 1]
            said = before(maps) if said is None else before(maps, said)  # a second time, as the reference has it
            losses |= prefixed(head.loss(maps, said, samples), f"decode_{at}")
        return losses

    def logits_of(self, inputs: Tensor) -> Tensor:
        maps = self.extract_feat(inputs)
        said = self.decode_head[0](maps)
        for head in self.decode_head[1:-1]:
            said = head(maps, said)
        return self.last_head.logits(maps, said, inputs.shape[2:])
