"""What a top-down estimator makes of its head's outputs: one prediction of both passes, in pixels of the original picture."""

from collections.abc import Mapping
from typing import Any, cast

from fkit.array.ops import Ops
from fkit.pose.head import Head
from fkit.pose.truth import partners
from fkit.structures.batch import Samples
from fkit.tree.error import FkitValueError

__all__ = ["estimated", "halves", "located", "twice"]


def twice(xp: Ops, inputs: Any, cfg: Mapping[str, Any]) -> Any:
    """Pictures (N, C, H, W), and behind them their mirror images where ``flip_test`` asks for them: (2N, C, H, W).

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> twice(Numpy(), np.array([[[[1.0, 2.0]]]]), {"flip_test": True}).tolist()
        [[[[1.0, 2.0]]], [[[2.0, 1.0]]]]
    """
    if not cfg.get("flip_test", False):
        return inputs
    return xp.lib.concat([inputs, xp.flipped(inputs, (3,))], axis=0)


def halves(outputs: Any) -> tuple[Any, Any]:
    """The first and the second half of arrays' rows, at any depth of tuples."""
    if isinstance(outputs, (tuple, list)):
        pairs = [halves(one) for one in cast("tuple[Any, ...]", outputs)]
        return tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)
    count = outputs.shape[0] // 2
    return outputs[:count], outputs[count:]


def estimated(
    xp: Ops, head: Head, outputs: Any, samples: Samples | None, size: tuple[int, int], cfg: Mapping[str, Any]
) -> dict[str, Any]:
    """What a model in mode="predict" gives.

    Args:
        head: what is made of the outputs.
        outputs: of the head's network, for what `twice` gave.
        size: (width, height) of the inputs.
        cfg: ``test_cfg``.
    """
    expect_size(head, size)
    outputs = head.readied(xp, outputs)
    if cfg.get("flip_test", False):
        mine, theirs = halves(outputs)
        outputs = head.joined(xp, mine, theirs, partners(samples), cfg)
    found, fields = head.shown(xp, outputs, cfg)
    return located(xp, found, fields, samples, size, cfg)


def expect_size(head: Head, size: tuple[int, int]) -> None:
    """Refuse inputs of another size than the head's decoder was made for: keypoints would lie elsewhere.

    Raises:
        FkitValueError: they have one.
    """
    wanted: Any = getattr(head.decoder, "input_size", None)
    if wanted is not None and tuple(wanted[:2]) != tuple(size):
        raise FkitValueError(
            f"{head.name}: its decoder has input_size={tuple(wanted)}, but the inputs are {size} (width, height).",
            repair="Let input_size of TopdownAffine and of the codec be the same.",
        )


def located(
    xp: Ops, found: dict[str, Any], fields: dict[str, Any], samples: Samples | None, size: Any, cfg: Mapping[str, Any]
) -> dict[str, Any]:
    """Predictions in pixels of the original picture, where ``targets["input_center"]`` and ``input_scale`` (N, 2) tell which
    part of it the inputs are; else in pixels of the inputs.

    Args:
        found: ``keypoints`` (N, I, K, D), ``keypoint_scores`` (N, I, K), ...
        fields: maps by name.

    Returns:
        ``{"pred_instances": {"keypoints", "keypoint_scores", "keypoints_visible", "bboxes"?, "bbox_scores"?}}``, and
        ``"pred_fields"`` where there are any.
    """
    targets: Mapping[str, Any] = {} if samples is None else samples.targets
    points = found["keypoints"]
    if "input_center" in targets and "input_scale" in targets:
        centre, scale = (xp.cast(targets[name], points)[:, None, None] for name in ("input_center", "input_scale"))
        moved = points[..., :2] / xp.asarray(size, points) * scale + centre - 0.5 * scale
        points = xp.lib.concat([moved, points[..., 2:]], axis=3) if points.shape[-1] > 2 else moved
    whole = {"keypoints_visible": found["keypoint_scores"], **found, "keypoints": points}
    chosen = cfg.get("output_keypoint_indices")
    if chosen is not None:
        count, at = points.shape[2], list(chosen)
        if not all(-count <= one < count for one in at):
            raise FkitValueError(f"test_cfg: output_keypoint_indices = {at}, and there are {count} keypoints.")
        whole = {name: value[:, :, at] for name, value in whole.items()}
        fields = {name: value[:, at] if value.shape[1] == count else value for name, value in fields.items()}
    known = cast("Mapping[str, Any]", targets.get("gt_instances", {}))
    boxes = {name: known[name] for name in ("bboxes", "bbox_scores") if name in known}
    predicted: dict[str, Any] = {"pred_instances": {**whole, **boxes}}
    return {**predicted, "pred_fields": fields} if fields else predicted
