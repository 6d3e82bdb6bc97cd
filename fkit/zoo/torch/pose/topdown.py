"""Top-down pose estimators, as MMPose has them: a picture of one person to its keypoints."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from fkit.backend.torch.ops import Torch
from fkit.catalog.build import Builder
from fkit.pose.estimate import estimated, twice
from fkit.pose.part import part
from fkit.structures.batch import Samples
from fkit.training.pretrained import init_cfg_of
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["TopdownPoseEstimator"]

_MODES = ("tensor", "loss", "predict")


class TopdownPoseEstimator(nn.Module):
    """A backbone, a neck and a head of keypoints; mmpose's TopdownPoseEstimator.

    Args:
        backbone, neck, head: configs.
        train_cfg: ``compute_acc``: log ``acc_pose`` beside the loss.
        test_cfg: ``flip_test``: the mean of a picture's and its mirror image's prediction, by ``flip_mode``,
            ``shift_heatmap`` and ``shift_coords``; ``output_heatmaps``; ``output_keypoint_indices``: which are given.
        data_preprocessor: accepted: a run takes it out of the model; inputs here have passed it.
        metainfo: accepted: what is known of keypoints comes with the batch.
        pretrained, init_cfg: rules for initial weights.

    ``forward(inputs, samples, mode)``: "tensor" gives the raw outputs of each part, ``{"backbone": ..., "neck": ...,
    "head": ...}``; "loss" a dict of losses; "predict" ``{"pred_instances": {"keypoints" (N, 1, K, 2), "keypoint_scores" (N,
    1, K), ...}}`` in pixels of the original pictures: ``samples.targets["input_center"]`` and ``input_scale`` tell which part
    of them the inputs are, and ``flip_indices`` (N, K) each keypoint's partner.
    """

    def __init__(
        self,
        backbone: Any,
        neck: Any = None,
        head: Any = None,
        train_cfg: Any = None,
        test_cfg: Any = None,
        data_preprocessor: Any = None,
        init_cfg: Any = None,
        metainfo: Any = None,
        pretrained: Any = None,
        *,
        build: Builder,
    ) -> None:
        super().__init__()
        self.init_cfg = init_cfg_of(pretrained, init_cfg, "TopdownPoseEstimator")
        self.train_cfg, self.test_cfg = dict(train_cfg or {}), dict(test_cfg or {})
        self.backbone = part(build, "models", backbone)
        if neck is not None:
            self.neck = part(build, "models", neck)
        if head is not None:
            self.head = part(build, "models", head)

    @property
    def wants_epoch(self) -> bool:
        """Whether training asks which epoch a batch is of."""
        return getattr(getattr(getattr(self, "head", None), "logic", None), "wants_epoch", False)

    def extract_feat(self, inputs: Tensor) -> Any:
        """The maps of the neck, or of the backbone where there is none."""
        maps = self.backbone(inputs)
        return self.neck(maps) if hasattr(self, "neck") else maps

    def forward(self, inputs: Tensor, samples: Samples | None = None, mode: str = "tensor") -> Any:
        if mode not in _MODES:
            raise FkitValueError(f"mode={mode!r} is unknown.", value=mode, choices=_MODES, label="Modes")
        if mode == "tensor":
            return self.raw(inputs)
        if not hasattr(self, "head"):
            raise FkitTypeError(f"TopdownPoseEstimator without a head has no {mode}.", repair="Give the model a head.")
        xp = Torch(inputs.device)
        if mode == "loss":
            return self.loss(xp, inputs, samples)
        outputs = self.head(self.extract_feat(twice(xp, inputs, self.test_cfg)))
        size = (inputs.shape[3], inputs.shape[2])
        return estimated(xp, self.head.logic, outputs, samples, size, self.test_cfg)

    def loss(self, xp: Any, inputs: Tensor, samples: Samples | None) -> Mapping[str, Any]:
        """Losses by name."""
        return self.head.logic.loss(xp, self.head(self.extract_feat(inputs)), samples, self.train_cfg)

    def raw(self, inputs: Tensor) -> dict[str, Any]:
        """What each part gives, by its name."""
        maps = self.backbone(inputs)
        parts: dict[str, Any] = {"backbone": maps}
        if hasattr(self, "neck"):
            parts["neck"] = maps = self.neck(maps)
        return {**parts, "head": self.head(maps)} if hasattr(self, "head") else parts
