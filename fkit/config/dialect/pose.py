"""Transforms of mmpose 0.x in the vocabulary of mmpose 1.x."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from frozendict import frozendict

from fkit.config.dialect.row import Ledger, Row

__all__ = ["RULES", "normalized"]


def _load(ledger: Ledger, row: Row) -> Any:
    """Images came as RGB; today they are BGR, and Normalize turns them."""
    return row.put("type", "LoadImage").node()


def _center_scale(ledger: Ledger, row: Row) -> Any:
    return row.put("type", "GetBBoxCenterScale").node()


def _flip(ledger: Ledger, row: Row) -> Any:
    return row.put("type", "RandomFlip").rename("flip_prob", "prob").put("direction", "horizontal").node()


def _half_body(ledger: Ledger, row: Row) -> Any:
    """More than so many visible joints -> at least one more."""
    least = row.take("num_joints_half_body", 8)
    row.put("type", "RandomHalfBody").put("min_total_keypoints", least + 1, "num_joints_half_body")
    return row.rename("prob_half_body", "prob").node()


def _shift(ledger: Ledger, row: Row) -> Any:
    row.put("type", "RandomBBoxTransform").rename("prob", "shift_prob")
    return row.put("scale_prob", 0.0).put("rotate_prob", 0.0).node()


def _scale_rotation(ledger: Ledger, row: Row) -> Any:
    """A turn was cut at twice its factor, which today is the limit itself."""
    share, turn = float(row.take("scale_factor", 0.5)), float(row.take("rot_factor", 40))
    row.put("type", "RandomBBoxTransform").put("shift_prob", 0.0)
    row.put("scale_factor", (1 - share, 1 + share), "scale_factor").put("rotate_factor", 2 * turn, "rot_factor")
    return row.put("rotate_prob", row.take("rot_prob", 0.6), "rot_prob").node()


def _size(ledger: Ledger, key: str) -> tuple[int, ...]:
    cfg: Any = ledger.data_cfg if isinstance(ledger.data_cfg, dict) else {}
    size: Any = cfg.get(key)
    if isinstance(size, (list, tuple)):
        return tuple(int(one) for one in cast("Sequence[Any]", size))
    return (int(size), int(size)) if isinstance(size, (int, float)) else ()


def _affine(ledger: Ledger, row: Row) -> Any:
    return row.put("type", "TopdownAffine").put("input_size", _size(ledger, "image_size")).node()


def _target(ledger: Ledger, row: Row) -> Any:
    """TopDownGenerateTarget -> GenerateTarget with a codec."""
    encoding, kind = row.take("encoding", "MSRA"), row.take("target_type", "GaussianHeatmap")
    sigma, kernel = row.take("sigma", 2), row.take("kernel", (11, 11))
    radius, unbiased = row.take("valid_radius_factor", 0.0546875), row.take("unbiased_encoding", False)
    sizes = {"input_size": _size(ledger, "image_size"), "heatmap_size": _size(ledger, "heatmap_size")}

    def codec(sigma: Any, kernel: Any) -> dict[str, Any]:
        if encoding == "Megvii":
            return {
                "type": "MegviiHeatmap",
                **sizes,
                "kernel_size": kernel[0] if isinstance(kernel, (list, tuple)) else kernel,
            }
        if encoding == "UDP":
            form = "combined" if str(kind).lower().startswith("combined") else "gaussian"
            return {"type": "UDPHeatmap", **sizes, "heatmap_type": form, "sigma": sigma, "radius_factor": radius}
        return {"type": "MSRAHeatmap", **sizes, "sigma": sigma, **({"unbiased": True} if unbiased else {})}

    row.put("type", "GenerateTarget")
    if isinstance(sigma, (list, tuple)):
        levels = [codec(one, kernel) for one in cast("Sequence[Any]", sigma)]
        return row.put("encoder", levels, "sigma").put("multilevel", True).node()
    if isinstance(kernel, list) and kernel and isinstance(kernel[0], (list, tuple)):
        levels = [codec(sigma, one) for one in cast("Sequence[Any]", kernel)]
        return row.put("encoder", levels, "kernel").put("multilevel", True).node()
    return row.put("encoder", codec(sigma, kernel), "sigma").node()


def _regression(ledger: Ledger, row: Row) -> Any:
    codec = {"type": "RegressionLabel", "input_size": _size(ledger, "image_size")}
    return row.put("type", "GenerateTarget").put("encoder", codec).node()


def _bottom_affine(ledger: Ledger, row: Row) -> Any:
    """Shifts were told in pixels of a figure 200 high; nothing was sheared."""
    row.put("type", "BottomupRandomAffine").put("input_size", _size(ledger, "image_size"))
    row.put("shift_factor", float(row.take("trans_factor", 40)) / 200, "trans_factor").put("shear_prob", 0.0)
    return row.put("rotate_factor", float(row.take("rot_factor", 30)), "rot_factor").node()


def _bottom_size(ledger: Ledger, row: Row) -> Any:
    """BottomUpGetImgSize: BottomupResize finds the size itself."""
    scales = row.take("test_scale_factor", [1])
    if list(scales) != [1]:
        ledger.say(
            row, "test_scale_factor", f"test_scale_factor = {list(scales)} is not translated: images have one size."
        )
    return []


def _bottom_resize(ledger: Ledger, row: Row) -> Any:
    """BottomUpResizeAlign: the resizing, and the steps inside of it after it."""
    inner: Any = row.items.pop("transforms", [])
    row.put("type", "BottomupResize").put("input_size", _size(ledger, "image_size")).put("size_factor", 64)
    return [row.put("resize_mode", "expand").node(), *inner]


def _bottom_target(ledger: Ledger, row: Row) -> Any:
    """The targets of associative embedding, at the first of the map's sizes."""
    cfg: Any = ledger.data_cfg if isinstance(ledger.data_cfg, dict) else {}
    size: Any = cfg.get("heatmap_size")
    first = size[0] if isinstance(size, (list, tuple)) and size else size
    if isinstance(size, (list, tuple)) and len(cast("Sequence[Any]", size)) > 1:
        ledger.say(row, "type", f"heatmap_size = {list(size)}: targets are made at the first size alone.")
    sizes = {"input_size": _size(ledger, "image_size"), "heatmap_size": (first, first)}
    most = row.take("max_num_people", 30)
    codec = {"type": "AssociativeEmbedding", **sizes, "sigma": row.take("sigma", 2), "decode_max_instances": most}
    return row.put("type", "GenerateTarget").put("encoder", codec, "sigma").node()


def _collect(ledger: Ledger, row: Row) -> Any:
    """What was collected by name is what PackPoseInputs takes of itself."""
    return row.put("type", "PackPoseInputs").drop("keys", "meta_keys", "meta_name").node()


def normalized(ledger: Ledger, steps: Sequence[Any]) -> list[Any]:
    """ToTensor and NormalizeTensor, of numbers in [0, 1], as one Normalize of numbers in [0, 255]."""
    done: list[Any] = []
    order = "rgb"
    for step in steps:
        row = ledger.row(step) if isinstance(step, dict) else None
        if row is not None and row.name == "LoadImage":
            order = row.take("channel_order", order)
            done.append(row.put("type", "LoadImage").node())
        elif row is not None and row.name == "ToTensor" and "keys" not in row.old:
            done.append(ledger.new(row, type="Normalize", mean=[0.0] * 3, std=[255.0] * 3, to_rgb=order == "rgb"))
        elif row is not None and row.name == "NormalizeTensor":
            if done and isinstance(done[-1], dict) and done[-1].get("std") == [255.0] * 3:
                done.pop()
            mean, std = ([255.0 * float(one) for one in row.take(word, ())] for word in ("mean", "std"))
            row.put("type", "Normalize").put("mean", mean).put("std", std).put("to_rgb", order == "rgb")
            done.append(row.node())
        else:
            done.append(step)
    return done


RULES: Mapping[str, Callable[[Ledger, Row], Any]] = frozendict(
    LoadImageFromFile=_load,
    TopDownGetBboxCenterScale=_center_scale,
    TopDownRandomFlip=_flip,
    BottomUpRandomFlip=_flip,
    BottomUpRandomAffine=_bottom_affine,
    BottomUpGetImgSize=_bottom_size,
    BottomUpResizeAlign=_bottom_resize,
    BottomUpGenerateTarget=_bottom_target,
    TopDownHalfBodyTransform=_half_body,
    TopDownRandomShiftBboxCenter=_shift,
    TopDownGetRandomScaleRotation=_scale_rotation,
    TopDownAffine=_affine,
    TopDownGenerateTarget=_target,
    TopDownGenerateTargetRegression=_regression,
    Collect=_collect,
)
