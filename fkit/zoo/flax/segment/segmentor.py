"""Segmentors: backbone, neck, a head of pixels' classes, and heads that help while training; channels last inside."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backend.jax.ops import JaxOps
from fkit.catalog.build import Builder
from fkit.segmentation.decode import predicted, prefixed
from fkit.segmentation.part import part
from fkit.segmentation.window import Slide, slide_of, windows
from fkit.structures.batch import Samples
from fkit.training.pretrained import init_cfg_of
from fkit.tree.error import FkitTypeError, FkitValueError
from fkit.zoo.flax.detector import channels_first

__all__ = ["CascadeEncoderDecoder", "EncoderDecoder", "cascade_encoder_decoder", "encoder_decoder"]

Array = jax.Array

_MODES = ("tensor", "loss", "predict")


class EncoderDecoder(nn.Module):
    """A backbone, a neck and heads; see `encoder_decoder`.

    Attributes:
        backbone, neck, decode_head: modules.
        auxiliary_head: a head, several, or None.
        slide: the windows of prediction; None: the whole picture.
        init_cfg: rules for initial weights.
    """

    backbone: Any
    decode_head: Any
    neck: Any = None
    auxiliary_head: Any = None
    slide: Slide | None = None
    init_cfg: Any = None

    @property
    def init_rules(self) -> Any:
        """``init_cfg``."""
        return self.init_cfg

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
        head = self.auxiliary_head
        return () if head is None else tuple(head) if isinstance(head, (list, tuple)) else (head,)

    def extract_feat(self, inputs: Array, train: bool) -> Any:
        """The maps of the neck, or of the backbone where there is none; (N, H, W, C)."""
        maps = self.backbone(jnp.moveaxis(inputs, 1, -1), train)
        return maps if self.neck is None else self.neck(maps, train)

    def __call__(self, inputs: Any, samples: Samples | None = None, mode: str = "tensor", train: bool = False) -> Any:
        if mode not in _MODES:
            raise FkitValueError(f"mode={mode!r} is unknown.", value=mode, choices=_MODES, label="Modes")
        if mode == "tensor":
            return channels_first(self.raw(inputs, train))
        if mode == "loss":
            return self.loss(self.extract_feat(inputs, train), samples, train)
        return predicted(JaxOps(), self.last_head.logic, jnp.moveaxis(self.logits(inputs), -1, 1))

    def raw(self, inputs: Array, train: bool) -> dict[str, Any]:
        """What each part gives, by its name."""
        maps = self.backbone(jnp.moveaxis(inputs, 1, -1), train)
        parts: dict[str, Any] = {"backbone": maps}
        if self.neck is not None:
            parts["neck"] = maps = self.neck(maps, train)
        parts["decode_head"] = self.decoded(maps, train)
        if several := self.auxiliary_heads:
            said = [head(maps, train) for head in several]
            parts["auxiliary_head"] = said if isinstance(self.auxiliary_head, (list, tuple)) else said[0]
        return parts

    def decoded(self, maps: Any, train: bool) -> Any:
        """What the head says of maps; of several heads, a list."""
        return self.decode_head(maps, train)

    def loss(self, maps: Any, samples: Samples | None, train: bool) -> dict[str, Array]:
        """Losses of all heads, by their names and these."""
        said = self.decode_losses(maps, samples, train)
        for at, head in enumerate(self.auxiliary_heads):
            name = f"aux_{at}" if isinstance(self.auxiliary_head, (list, tuple)) else "aux"
            said |= prefixed(head.loss(maps, samples, train), name)
        return said

    def decode_losses(self, maps: Any, samples: Samples | None, train: bool) -> dict[str, Array]:
        """Those of the head."""
        return prefixed(self.decode_head.loss(maps, samples, train), "decode")

    def logits_of(self, inputs: Array) -> Array:
        """Logits of images (N, C, H, W), of their size: (N, H, W, K)."""
        return self.decode_head.logits(self.extract_feat(inputs, False), inputs.shape[2:])

    def logits(self, inputs: Array) -> Array:
        """Logits of images, of the whole or the mean over windows."""
        if self.slide is None:
            return self.logits_of(inputs)
        height, width = inputs.shape[2:]
        total: Any = None
        count = jnp.zeros((1, height, width, 1), inputs.dtype)
        for top, bottom, left, right in windows((height, width), self.slide):
            said = self.logits_of(inputs[:, :, top:bottom, left:right])
            place = (slice(None), slice(top, bottom), slice(left, right))
            total = jnp.zeros((said.shape[0], height, width, said.shape[-1]), said.dtype) if total is None else total
            total, count = total.at[place].add(said), count.at[place].add(1)
        return total / count


class CascadeEncoderDecoder(EncoderDecoder):
    """A backbone and several heads, each of which takes what the one before it said; see `cascade_encoder_decoder`."""

    @property
    def last_head(self) -> Any:
        """The head whose logits are predictions."""
        return self.decode_head[-1]

    def decoded(self, maps: Any, train: bool) -> Any:
        said = [self.decode_head[0](maps, train)]
        for head in self.decode_head[1:]:
            said.append(head(maps, said[-1], train))
        return said

    def decode_losses(self, maps: Any, samples: Samples | None, train: bool) -> dict[str, Array]:
        losses = prefixed(self.decode_head[0].loss(maps, samples, train), "decode_0")
        said: Any = None
        for at, head in enumerate(self.decode_head[1:], 1):
            before = self.decode_head[at - 1]
            said = before(maps, train) if said is None else before(maps, said, train)  # a second time: see torch's twin
            losses |= prefixed(head.loss(maps, said, samples, train), f"decode_{at}")
        return losses

    def logits_of(self, inputs: Array) -> Array:
        maps = self.extract_feat(inputs, False)
        said = self.decode_head[0](maps)
        for head in self.decode_head[1:-1]:
            said = head(maps, said)
        return self.last_head.logits(maps, said, inputs.shape[2:])


def encoder_decoder(
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
) -> EncoderDecoder:
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

    Returns:
        ``(inputs, samples, mode, train)`` on images (N, C, H, W): "tensor" gives the raw outputs of each part,
        ``{"backbone": ..., "decode_head": (N, K, h, w), ...}``; "loss" a dict of losses; "predict" ``seg_logits`` (N, K, H,
        W) and ``pred_sem_seg`` (N, H, W), of the inputs' size. Classes are ``samples.targets["gt_sem_seg"]``, (N, H, W).
    """
    rules = init_cfg_of(pretrained, init_cfg, "EncoderDecoder")
    return _made(EncoderDecoder, backbone, decode_head, neck, auxiliary_head, test_cfg, rules, build)


def cascade_encoder_decoder(
    num_stages: int,
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
) -> EncoderDecoder:
    """A backbone and several heads, each of which takes what the one before it said; mmseg's CascadeEncoderDecoder.

    Args:
        num_stages: how many heads.
        decode_head: a config for each head.
        backbone, neck, auxiliary_head, train_cfg, test_cfg, data_preprocessor, pretrained, init_cfg: see `encoder_decoder`.
    """
    if not isinstance(decode_head, (list, tuple)) or len(decode_head) != num_stages:  # pyright: ignore[reportUnknownArgumentType]
        raise FkitTypeError(f"CascadeEncoderDecoder: num_stages={num_stages} takes a list of as many decode_heads.")
    rules = init_cfg_of(pretrained, init_cfg, "CascadeEncoderDecoder")
    return _made(CascadeEncoderDecoder, backbone, decode_head, neck, auxiliary_head, test_cfg, rules, build)


def _made(
    kind: type[EncoderDecoder],
    backbone: Any,
    decode_head: Any,
    neck: Any,
    auxiliary_head: Any,
    test_cfg: Any,
    rules: Any,
    build: Builder,
) -> EncoderDecoder:
    body, head, joint, help_heads = (
        part(build, "models", cfg) for cfg in (backbone, decode_head, neck, auxiliary_head)
    )
    return kind(body, head, joint, help_heads, slide_of(test_cfg), rules)
