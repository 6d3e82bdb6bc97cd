"""Detectors of one stage: backbone, neck and a dense head."""

from collections.abc import Mapping
from typing import Any

from frozendict import frozendict
from torch import Tensor, nn

from fkit.backend.torch.ops import Torch
from fkit.catalog.build import Builder
from fkit.detection.dense import Detections, predicted
from fkit.detection.image import Shapes, shapes_of
from fkit.detection.part import part
from fkit.structures.batch import Samples
from fkit.training.pretrained import init_cfg_of
from fkit.tree.error import FkitValueError

__all__ = ["RPN", "Detector", "SingleStageDetector"]

_MODES = ("tensor", "loss", "predict")


class Detector(nn.Module):
    """What detectors share: images (N, C, H, W) to feature maps.

    Args:
        backbone: config of a module from images to a tuple of maps.
        neck: config of a module from those to others, or of several, one after the other; or None.
        pretrained: OpenMMLab's older form of the backbone's ``init_cfg``.
        init_cfg: rules for initial weights.
    """

    def __init__(self, backbone: Any, neck: Any, pretrained: Any, init_cfg: Any, build: Builder) -> None:
        super().__init__()
        self.init_cfg = init_cfg_of(pretrained, init_cfg, type(self).__name__)
        self.backbone = part(build, "models", backbone)
        if neck is not None:
            necks = part(build, "models", neck)
            self.neck = nn.Sequential(*necks) if isinstance(necks, tuple) else necks

    def extract_feat(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """The maps of the neck, or of the backbone where there is none."""
        maps = self.backbone(inputs)
        return self.neck(maps) if hasattr(self, "neck") else maps

    def forward(self, inputs: Tensor, samples: Samples | None = None, mode: str = "tensor") -> Any:
        if mode not in _MODES:
            raise FkitValueError(f"mode={mode!r} is unknown.", value=mode, choices=_MODES, label="Modes")
        if mode == "tensor":
            return self.raw(inputs, samples)
        maps = self.extract_feat(inputs)
        shapes = shapes_of(Torch(inputs.device), samples, inputs)
        return self.loss(maps, samples, shapes) if mode == "loss" else self.predict(maps, samples, shapes)

    def raw(self, inputs: Tensor, samples: Samples | None) -> dict[str, Any]:
        """What each part gives, by its name."""
        parts: dict[str, Any] = {"backbone": self.backbone(inputs)}
        if hasattr(self, "neck"):
            parts["neck"] = self.neck(parts["backbone"])
        return parts

    def loss(self, maps: tuple[Tensor, ...], samples: Samples | None, shapes: Shapes) -> Mapping[str, Any]:
        """Losses by name."""
        raise NotImplementedError

    def predict(self, maps: tuple[Tensor, ...], samples: Samples | None, shapes: Shapes) -> Mapping[str, Any]:
        """``pred_instances`` and which of its rows are valid."""
        raise NotImplementedError


class SingleStageDetector(Detector):
    """A backbone, a neck and a dense head; mmdet's SingleStageDetector.

    Args:
        backbone, neck, bbox_head: configs.
        train_cfg, test_cfg: of the head.
        data_preprocessor: accepted: a run takes it out of the model; inputs here have passed it.
        pretrained, init_cfg: see `Detector`.

    ``forward(inputs, samples, mode)``: "tensor" gives the raw outputs of each part, ``{"backbone": ..., "neck":
    ..., "bbox_head": ...}``; "loss" a dict of losses; "predict"
    ``{"pred_instances": {"bboxes" (N, K, 4), "scores" (N, K), "labels" (N, K)}, "valid": {"pred_instances": (N, K)}}``
    in the coordinates of the original images. Objects are ``samples.targets["gt_instances"]``.
    """

    def __init__(
        self,
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
    ) -> None:
        super().__init__(backbone, neck, pretrained, init_cfg, build)
        self.bbox_head = part(build, "models", bbox_head, train_cfg=train_cfg, test_cfg=test_cfg)

    @property
    def label_ranges(self) -> Mapping[str, Any]:
        """What labels may be: those of the head's classes."""
        return frozendict({"gt_instances.labels": self.bbox_head.logic.num_classes})

    @property
    def wants_epoch(self) -> bool:
        """Whether training asks which epoch a batch is of."""
        return getattr(self.bbox_head.logic, "wants_epoch", False)

    def raw(self, inputs: Tensor, samples: Samples | None) -> dict[str, Any]:
        parts = super().raw(inputs, samples)
        return {**parts, "bbox_head": self.bbox_head(parts.get("neck", parts["backbone"]))}

    def loss(self, maps: tuple[Tensor, ...], samples: Samples | None, shapes: Shapes) -> Mapping[str, Any]:
        return self.bbox_head.loss(maps, samples, shapes)

    def predict(self, maps: tuple[Tensor, ...], samples: Samples | None, shapes: Shapes) -> Mapping[str, Any]:
        boxes: Detections = self.bbox_head.predict(maps, shapes)
        return predicted(boxes)


class RPN(SingleStageDetector):
    """A region proposal network alone; mmdet's RPN.

    Args:
        backbone, neck, rpn_head: configs.
        train_cfg, test_cfg: ``rpn`` of each is the head's.
        data_preprocessor, pretrained, init_cfg: see `SingleStageDetector`.
    """

    def __init__(
        self,
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
    ) -> None:
        training = None if train_cfg is None else train_cfg.get("rpn")
        testing = None if test_cfg is None else test_cfg.get("rpn")
        super().__init__(
            backbone, neck, rpn_head, training, testing, data_preprocessor, init_cfg, pretrained, build=build
        )

    @property
    def label_ranges(self) -> Mapping[str, Any]:
        """Labels may be anything: all objects are one class."""
        return frozendict()
