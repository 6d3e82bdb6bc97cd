"""Detectors of one stage: backbone, neck and a dense head; channels last inside."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backend.jax.ops import JaxOps
from fkit.catalog.build import Builder
from fkit.detection.dense import predicted
from fkit.detection.image import Shapes, shapes_of
from fkit.detection.part import part
from fkit.structures.batch import Samples
from fkit.training.pretrained import init_cfg_of
from fkit.tree.error import FkitValueError

__all__ = ["Detector", "SingleStage", "channels_first", "rpn", "single_stage"]

Array = jax.Array

_MODES = ("tensor", "loss", "predict")


class Detector(nn.Module):
    """What detectors share: images (N, C, H, W) to feature maps.

    Attributes:
        backbone: from images, channels last, to a tuple of maps.
        neck: from those to others, or None.
        init_cfg: rules for initial weights.
    """

    backbone: Any
    neck: Any = None
    init_cfg: Any = None

    @property
    def init_rules(self) -> Any:
        """``init_cfg``."""
        return self.init_cfg

    def extract_feat(self, inputs: Array, train: bool) -> tuple[Array, ...]:
        """The maps of the neck, or of the backbone where there is none; (N, H, W, C)."""
        maps = self.backbone(jnp.moveaxis(inputs, 1, -1), train)
        return maps if self.neck is None else self.through_neck(maps, train)

    def through_neck(self, maps: Any, train: bool) -> Any:
        """The maps after the neck, or after several, one after the other."""
        for neck in self.neck if isinstance(self.neck, (tuple, list)) else (self.neck,):
            maps = neck(maps, train)
        return maps

    def __call__(self, inputs: Any, samples: Samples | None = None, mode: str = "tensor", train: bool = False) -> Any:
        if mode not in _MODES:
            raise FkitValueError(f"mode={mode!r} is unknown.", value=mode, choices=_MODES, label="Modes")
        if mode == "tensor":
            return self.raw(inputs, samples, train)
        maps = self.extract_feat(inputs, train)
        shapes = shapes_of(JaxOps(), samples, inputs)
        return self.loss(maps, samples, shapes, train) if mode == "loss" else self.predict(maps, samples, shapes)

    def raw(self, inputs: Array, samples: Samples | None, train: bool) -> dict[str, Any]:
        """What each part gives, by its name; maps are (N, C, H, W)."""
        x = self.backbone(jnp.moveaxis(inputs, 1, -1), train)
        parts: dict[str, Any] = {"backbone": x}
        if self.neck is not None:
            parts["neck"] = x = self.through_neck(x, train)
        return {**channels_first(parts), **self.raw_heads(x, samples, shapes_of(JaxOps(), samples, inputs), train)}

    def raw_heads(
        self, maps: tuple[Array, ...], samples: Samples | None, shapes: Shapes, train: bool
    ) -> dict[str, Any]:
        """What each head gives, by its name; maps are (N, C, H, W)."""
        raise NotImplementedError

    def loss(self, maps: tuple[Array, ...], samples: Samples | None, shapes: Shapes, train: bool) -> Mapping[str, Any]:
        """Losses by name."""
        raise NotImplementedError

    def predict(self, maps: tuple[Array, ...], samples: Samples | None, shapes: Shapes) -> Mapping[str, Any]:
        """``pred_instances`` and which of its rows are valid."""
        raise NotImplementedError


def channels_first(maps: Any) -> Any:
    """Maps, in any mapping or tuple, as (N, C, H, W)."""
    return jax.tree.map(lambda x: jnp.moveaxis(x, -1, 1), maps)


class SingleStage(Detector):
    """A backbone, a neck and a dense head; see `single_stage`.

    Attributes:
        bbox_head: a dense head.
        classes: how many; 0 where labels may be anything.
    """

    bbox_head: Any = None
    classes: int = 0

    @property
    def label_ranges(self) -> Mapping[str, Any]:
        """What labels may be: those of the head's classes."""
        return frozendict({"gt_instances.labels": self.classes}) if self.classes else frozendict()

    @property
    def wants_epoch(self) -> bool:
        """Whether training asks which epoch a batch is of."""
        return getattr(getattr(self.bbox_head, "logic", None), "wants_epoch", False)

    def raw_heads(
        self, maps: tuple[Array, ...], samples: Samples | None, shapes: Shapes, train: bool
    ) -> dict[str, Any]:
        return channels_first({"bbox_head": self.bbox_head(maps, train)})

    def loss(self, maps: tuple[Array, ...], samples: Samples | None, shapes: Shapes, train: bool) -> Mapping[str, Any]:
        return self.bbox_head.loss(maps, samples, shapes, train)

    def predict(self, maps: tuple[Array, ...], samples: Samples | None, shapes: Shapes) -> Mapping[str, Any]:
        return predicted(self.bbox_head.predict(maps, shapes))


def single_stage(
    backbone: Any,
    neck: Any = None,
    bbox_head: Any = None,
    train_cfg: Any = None,
    test_cfg: Any = None,
    data_preprocessor: Any = None,
    init_cfg: Any = None,
    pretrained: Any = None,
    *,
    build: Builder,
) -> SingleStage:
    """A backbone, a neck and a dense head; mmdet's SingleStageDetector.

    Args:
        backbone, neck, bbox_head: configs.
        train_cfg, test_cfg: of the head.
        data_preprocessor: accepted: a run takes it out of the model; inputs here have passed it.
        pretrained: OpenMMLab's older form of the backbone's ``init_cfg``.
        init_cfg: rules for initial weights.

    Returns:
        ``(inputs, samples, mode, train)`` on images (N, C, H, W): "tensor" gives the raw outputs of each part,
        ``{"backbone": ..., "neck": ..., "bbox_head": ...}``; "loss" a dict of losses; "predict" ``{"pred_instances": {"bboxes" (N, K, 4), "scores" (N, K), "labels" (N, K)}, "valid":
        {"pred_instances": (N, K)}}`` in the coordinates of the original images. Objects are
        ``samples.targets["gt_instances"]``.
    """
    head = part(build, "models", bbox_head, train_cfg=train_cfg, test_cfg=test_cfg)
    return _made(
        backbone, neck, head, init_cfg_of(pretrained, init_cfg, "SingleStageDetector"), head.logic.num_classes, build
    )


def rpn(
    backbone: Any,
    neck: Any = None,
    rpn_head: Any = None,
    train_cfg: Any = None,
    test_cfg: Any = None,
    data_preprocessor: Any = None,
    init_cfg: Any = None,
    pretrained: Any = None,
    *,
    build: Builder,
) -> SingleStage:
    """A region proposal network alone; mmdet's RPN.

    Args:
        backbone, neck, rpn_head: configs.
        train_cfg, test_cfg: ``rpn`` of each is the head's.
        data_preprocessor, pretrained, init_cfg: see `single_stage`.
    """
    training = None if train_cfg is None else train_cfg.get("rpn")
    testing = None if test_cfg is None else test_cfg.get("rpn")
    head = part(build, "models", rpn_head, train_cfg=training, test_cfg=testing)
    return _made(backbone, neck, head, init_cfg_of(pretrained, init_cfg, "RPN"), 0, build)


def _made(backbone: Any, neck: Any, head: Any, init_cfg: Any, classes: int, build: Builder) -> SingleStage:
    return SingleStage(part(build, "models", backbone), part(build, "models", neck), init_cfg, head, classes)
