"""Top-down pose estimators, as MMPose has them: a picture of one person to its keypoints; channels last inside."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backend.jax.ops import JaxOps
from fkit.catalog.build import Builder
from fkit.pose.estimate import estimated, twice
from fkit.pose.part import part
from fkit.structures.batch import Samples
from fkit.training.pretrained import init_cfg_of
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["TopdownPoseEstimator", "topdown_pose_estimator"]

Array = jax.Array

_MODES = ("tensor", "loss", "predict")


class TopdownPoseEstimator(nn.Module):
    """A backbone, a neck and a head of keypoints; see `topdown_pose_estimator`.

    Attributes:
        backbone, neck, head: the parts; the head's ``shaped`` gives its outputs as its ``logic`` takes them.
        train_cfg, test_cfg: what training and predictions are like.
        init_cfg: rules for initial weights.
    """

    backbone: Any
    neck: Any = None
    head: Any = None
    train_cfg: Any = frozendict()
    test_cfg: Any = frozendict()
    init_cfg: Any = None

    @property
    def init_rules(self) -> Any:
        """``init_cfg``."""
        return self.init_cfg

    @property
    def wants_epoch(self) -> bool:
        """Whether training asks which epoch a batch is of."""
        return getattr(getattr(self.head, "logic", None), "wants_epoch", False)

    def extract_feat(self, inputs: Array, train: bool) -> Any:
        """The maps of the neck, or of the backbone where there is none; (N, H, W, C)."""
        maps = self.backbone(jnp.moveaxis(inputs, 1, -1), train)
        return maps if self.neck is None else self.neck(maps, train)

    def __call__(self, inputs: Any, samples: Samples | None = None, mode: str = "tensor", train: bool = False) -> Any:
        if mode not in _MODES:
            raise FkitValueError(f"mode={mode!r} is unknown.", value=mode, choices=_MODES, label="Modes")
        if mode == "tensor":
            return self.raw(inputs, train)
        if self.head is None:
            raise FkitTypeError(f"TopdownPoseEstimator without a head has no {mode}.", repair="Give the model a head.")
        xp = JaxOps()
        if mode == "loss":
            outputs = self.head(self.extract_feat(inputs, train), train)
            return self.head.bound().loss(xp, outputs, samples, self.train_cfg)
        outputs = self.head(self.extract_feat(twice(xp, inputs, self.test_cfg), train), train)
        size = (inputs.shape[3], inputs.shape[2])
        return estimated(xp, self.head.bound(), outputs, samples, size, self.test_cfg)

    def raw(self, inputs: Array, train: bool) -> dict[str, Any]:
        """What each part gives, by its name; maps are (N, C, H, W)."""
        maps = self.backbone(jnp.moveaxis(inputs, 1, -1), train)
        parts: dict[str, Any] = {"backbone": maps}
        if self.neck is not None:
            parts["neck"] = maps = self.neck(maps, train)
        first = jax.tree.map(lambda x: jnp.moveaxis(x, -1, 1), parts)
        return first if self.head is None else {**first, "head": self.head(maps, train)}


def topdown_pose_estimator(
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
) -> TopdownPoseEstimator:
    """A backbone, a neck and a head of keypoints; mmpose's TopdownPoseEstimator.

    Args:
        backbone, neck, head: configs.
        train_cfg: ``compute_acc``: log ``acc_pose`` beside the loss.
        test_cfg: ``flip_test``: the mean of a picture's and its mirror image's prediction, by ``flip_mode``,
            ``shift_heatmap`` and ``shift_coords``; ``output_heatmaps``; ``output_keypoint_indices``: which are given.
        data_preprocessor: accepted: a run takes it out of the model; inputs here have passed it.
        metainfo: accepted: what is known of keypoints comes with the batch.
        pretrained, init_cfg: rules for initial weights.

    Returns:
        ``(inputs, samples, mode, train)`` on pictures (N, C, H, W): "tensor" gives the raw outputs of each part,
        ``{"backbone": ..., "neck": ..., "head": ...}``; "loss" a dict of losses; "predict" ``{"pred_instances":
        {"keypoints" (N, 1, K, 2), "keypoint_scores" (N, 1, K), ...}}`` in pixels of the original pictures:
        ``samples.targets["input_center"]`` and ``input_scale`` tell which part of them the inputs are, and
        ``flip_indices`` (N, K) each keypoint's partner.
    """
    body, middle, end = (part(build, "models", one) for one in (backbone, neck, head))
    rules = init_cfg_of(pretrained, init_cfg, "TopdownPoseEstimator")
    return TopdownPoseEstimator(body, middle, end, frozendict(train_cfg or {}), frozendict(test_cfg or {}), rules)
