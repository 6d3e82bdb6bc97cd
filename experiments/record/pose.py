"""Records the book ``pose`` of tests/golden: what mmpose 1.3.2's codecs, transforms and metrics give on made-up persons.

    python experiments/record/pose.py FOLDER       writes FOLDER/pose.json and FOLDER/pose.npz

Runs where mmpose 1.3.2, mmcv-lite 2.1.0, mmengine and xtcocotools are installed. What a transform draws is put in place of
its source of randomness, and recorded as ``params``.
"""

import json
import sys
from pathlib import Path

import numpy as np
from mmpose.datasets.transforms import mix_img_transforms
from mmpose.evaluation import metrics as registered  # noqa: F401  (they enter the registry)
from mmpose.registry import KEYPOINT_CODECS, METRICS, TRANSFORMS

RNG = np.random.default_rng(0)
CASES, ARRAYS = [], {}


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def encoded(value, key):
    """A value as the books write it: arrays of more than 12 numbers go to the npz."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        if value.size <= 12:
            node = {"$a": value.tolist(), "dtype": str(value.dtype)}
            return node if value.size else {**node, "shape": list(value.shape)}
        key = next((name for name, other in ARRAYS.items() if same(value, other)), key)
        ARRAYS[key] = value
        return {"$array": key, "shape": list(value.shape), "dtype": str(value.dtype)}
    if hasattr(value, "numpy"):
        return encoded(value.numpy(), key)
    if isinstance(value, tuple):
        return {"$tuple": [encoded(one, f"{key}/{place}") for place, one in enumerate(value)]}
    if isinstance(value, list):
        return [encoded(one, f"{key}/{place}") for place, one in enumerate(value)]
    if isinstance(value, dict):
        return {name: encoded(one, f"{key}/{name}") for name, one in value.items()}
    return value


def copied(value):
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, (list, tuple)):
        return type(value)(copied(one) for one in value)
    return {name: copied(one) for name, one in value.items()} if isinstance(value, dict) else value


def keep(name, **parts):
    number = sum(case["id"].startswith(f"{name}/") for case in CASES) + 1
    which = f"{name}/{number:02d}"
    CASES.append({"id": which, **{key: encoded(part, f"{which}/{key}") for key, part in parts.items()}})


def codec(cfg, decode=None, draws=None, **given):
    made = KEYPOINT_CODECS.build(dict(cfg))
    out = {}
    before = copied(given)
    if draws is not None:
        rows = iter(draws)
        real, np.random.randint = np.random.randint, lambda *args: next(rows)
    if given:
        out["encoded"] = made.encode(**copied(given))
        out["encoded"] = {name: value for name, value in out["encoded"].items() if value is not None}
    if draws is not None:
        np.random.randint = real
    if decode is not None:
        import torch

        tensors = cfg["type"] == "SPR"
        out["decoded"] = made.decode(*(torch.from_numpy(one) if tensors else one for one in copied(decode)))
    keep(
        cfg["type"],
        kind="codec",
        cfg=cfg,
        given=before,
        decode=decode,
        params=draws,
        out=out,
    )


def transform(cfg, given, params=None, patch=None):
    made = TRANSFORMS.build(dict(cfg))
    if patch is not None:
        patch(made)
    before = copied(given)
    out = made.transform(copied(given))
    if isinstance(out, dict):
        out = {name: value for name, value in out.items() if name not in ("dataset", "mixed_data_list")}
    keep(cfg["type"], kind="transform", cfg=cfg, given=before, params=params, out=out)


def metric(cfg, rows, meta=None):
    made = METRICS.build(dict(cfg))
    made.dataset_meta = meta or {}
    made.process(None, copied(rows))
    numbers = made.compute_metrics(made.results)
    keep(
        cfg["type"],
        kind="metric",
        cfg=cfg,
        given=rows,
        meta=meta,
        out={name: float(one) for name, one in numbers.items()},
    )


def people(persons=3, count=5, width=64, height=48):
    points = (RNG.random((persons, count, 2)) * (width, height)).astype(np.float32)
    seen = (RNG.random((persons, count)) > 0.2).astype(np.float32)
    low, high = points.min(axis=1), points.max(axis=1)
    box = np.concatenate((low, high), axis=1)
    return {
        "img": (np.add.outer(np.arange(height) * 3, np.arange(width) * 2)[..., None] + (0, 40, 80)).astype(np.uint8),
        "img_shape": (height, width),
        "ori_shape": (height, width),
        "bbox": box,
        "bbox_score": np.ones(persons, np.float32),
        "category_id": np.ones(persons, np.int64),
        "keypoints": points,
        "keypoints_visible": seen,
        "area": (high - low).prod(axis=1),
        "flip_indices": [0, 2, 1, 4, 3],
    }


def codecs():
    some = people()
    points, seen = some["keypoints"], some["keypoints_visible"]
    both = {"keypoints": points, "keypoints_visible": seen}
    size = {"input_size": (64, 48), "heatmap_size": (16, 12)}
    codec(
        {"type": "SPR", **size, "sigma": 2, "minimal_diagonal_length": 2},
        **both,
    )
    codec(
        {"type": "SPR", **size, "sigma": (2, 1), "generate_keypoint_heatmaps": True, "root_type": "bbox_center"},
        **both,
    )
    maps = (RNG.random((6, 12, 16), np.float32).round(3), RNG.normal(0, 3, (10, 12, 16)).astype(np.float32).round(2))
    codec({"type": "SPR", **size, "sigma": (2, 1), "generate_keypoint_heatmaps": True}, decode=maps)
    codec({"type": "SPR", **size, "decode_thr": 0.8, "decode_nms_kernel": 3}, decode=(maps[0][:1], maps[1]))
    corners = np.tile(some["bbox"], 2).reshape(-1, 4, 2)
    corners[:, 1:3, 0] = corners[:, 0:2, 0]
    shifts = [np.array(one) for one in ((1, 0), (0, -1), (-1, 1))]
    codec({"type": "DecoupledHeatmap", **size}, draws=shifts, **both, bbox=corners)
    codec(
        {"type": "DecoupledHeatmap", **size},
        decode=(RNG.random((2, 5, 12, 16), np.float32).round(2), np.array([[0.5], [2.0]])),
    )
    codec({"type": "AssociativeEmbedding", **size}, **both)
    codec({"type": "AssociativeEmbedding", **size, "sigma": 1.5, "use_udp": True}, **both)
    codec(
        {"type": "YOLOXPoseAnnotationProcessor", "expand_bbox": True},
        **both,
        bbox=some["bbox"] - 3,
        category_id=[1, 2, 1],
    )
    codec(
        {"type": "EDPoseLabel", "num_keypoints": 5}, **both, img_shape=(64, 48), area=some["area"], bboxes=some["bbox"]
    )
    queries = (np.array([48, 64]), RNG.random((6, 2)), RNG.random((6, 4)), RNG.random((6, 15)))
    codec({"type": "EDPoseLabel", "num_select": 4, "num_keypoints": 5}, decode=queries)
    lines = (RNG.random((1, 5, 128), np.float32), RNG.random((1, 5, 96), np.float32))
    codec({"type": "SimCCLabel", "input_size": (64, 48), "decode_visibility": True, "decode_beta": 2.0}, decode=lines)
    lifting()
    hand = {
        "keypoints": np.concatenate((points[:1], RNG.normal(0, 150, (1, 5, 1))), axis=2).astype(np.float32),
        "keypoints_visible": seen[:1],
        "dataset_keypoint_weights": np.ones(5, np.float32),
        "rel_root_depth": np.float32(30),
        "rel_root_valid": np.float32(1),
        "hand_type": np.array([[1, 0]]),
        "hand_type_valid": np.array([1]),
        "focal": np.ones(2),
        "principal_pt": np.ones(2),
    }
    cfg = {
        "type": "Hand3DHeatmap",
        "image_size": (64, 48),
        "heatmap_size": (16, 12, 8),
        "depth_size": 8,
        "sigma": 1,
        "max_bound": 255,
    }
    codec(cfg, **hand)
    codec(cfg, decode=(RNG.random((5, 8, 12, 16), np.float32).round(1), np.array([20.0]), np.array([[1.0, -1.0]])))


def lifting():
    points = (RNG.random((3, 5, 2)) * 100).astype(np.float32)
    target = RNG.normal(0, 300, (3, 5, 3)).astype(np.float32) + np.float32((0, 0, 4000))
    camera = {"w": 100, "h": 80, "f": np.array([[110.0], [112.0]]), "c": np.array([[51.0], [39.0]])}
    whole = {
        "keypoints": points,
        "keypoints_visible": (RNG.random((3, 5)) > 0.2).astype(np.float32),
        "lifting_target": target,
        "lifting_target_visible": (RNG.random((3, 5)) > 0.2).astype(np.float32),
    }
    for more in (
        {},
        {"root_index": 1, "remove_root": True, "save_index": True, "concat_vis": True},
        {"root_index": [0, 2], "normalize_camera": True, "reshape_keypoints": False},
        {"zero_center": False},
    ):
        codec({"type": "VideoPoseLifting", "num_keypoints": 5, **more}, **whole, camera_param=camera)
    said, root = RNG.normal(0, 1, (1, 4, 3)), RNG.normal(0, 1, (1, 3))
    codec({"type": "VideoPoseLifting", "num_keypoints": 5, "remove_root": True}, decode=(said, root[0]))
    means = {
        name: RNG.normal(0, 1, (count, size)).tolist() for name, count, size in (("keypoints", 5, 2), ("target", 4, 3))
    }
    cfg = {"type": "ImagePoseLifting", "num_keypoints": 5, "remove_root": True, "reshape_keypoints": False}
    cfg |= {"keypoints_mean": means["keypoints"], "keypoints_std": (1 + np.abs(means["keypoints"])).tolist()}
    cfg |= {"target_mean": means["target"], "target_std": (1 + np.abs(means["target"])).tolist()}
    one = {name: value[:1] for name, value in whole.items()}
    codec(cfg, **one)
    codec(cfg, decode=(said, root[0]))
    for mode in ("train", "test"):
        codec(
            {"type": "MotionBERTLabel", "num_keypoints": 5, "concat_vis": True, "mode": mode},
            **whole,
            camera_param=camera,
        )
    small = {"w": 100, "h": 80}
    codec(
        {"type": "MotionBERTLabel", "num_keypoints": 5, "mode": "test"},
        **whole,
        camera_param=small,
        factor=np.full(3, 2.0),
    )
    frames = (RNG.normal(0, 1, (2, 5, 3)), np.array([100, 90]), np.array([80, 70]), np.array([[2.0], [3.0]]))
    codec({"type": "MotionBERTLabel", "num_keypoints": 5, "rootrel": True}, decode=frames)


def given_as(name, value):
    return lambda made: setattr(made, name, lambda *args, **kwargs: copied(value))


def transforms():
    some = people()
    pairs = [(0, 3), (1, 0), (4, 5)]
    flips = {"flip_indices": [0, 2, 1, 4, 3]}
    person = {"keypoints": some["keypoints"][:1], "keypoints_visible": some["keypoints_visible"][:1], **flips}
    transform({"type": "KeypointConverter", "num_keypoints": 6, "mapping": pairs}, person)
    transform({"type": "KeypointConverter", "num_keypoints": 6, "mapping": [((0, 1), 3), (2, 2), ((1, 2), 0)]}, person)
    space = {**person, "keypoints_3d": RNG.normal(0, 1, (1, 5, 3)), "target_idx": [0]}
    transform({"type": "KeypointConverter", "num_keypoints": 6, "mapping": pairs}, space)
    hands = {
        "type": "SingleHandConverter",
        "num_keypoints": 10,
        "left_hand_mapping": [(k, k) for k in range(5)],
        "right_hand_mapping": [(k, k + 5) for k in range(5)],
    }
    transform(hands, {**person, "hand_type": np.array([[0, 1]])})
    transform(hands, {**person, "hand_type": np.array([[1, 0]])})
    matrix = np.array([[0.5, 0.1, 2], [-0.1, 0.5, 4]])
    segments = [[[4.0, 4.0, 30.0, 6.0, 20.0, 40.0]], [[40.0, 10.0, 60.0, 10.0, 60.0, 30.0, 40.0, 30.0]]]
    valid = {"img_shape": (48, 64), "input_size": (32, 24), "invalid_segs": segments, "warp_mat": matrix}
    transform({"type": "BottomupGetHeatmapMask"}, {**valid, "heatmaps": np.zeros((5, 12, 16), np.float32)})
    both = {
        **valid,
        "flip": True,
        "flip_direction": "horizontal",
        "heatmaps": [np.zeros((5, 12, 16)), np.zeros((5, 24, 32))],
    }
    transform({"type": "BottomupGetHeatmapMask", "get_invalid": True}, both)
    whirl = (np.float32([0.1, -0.05]), np.array([0.9]), np.float64(12), np.float32([1.5, -1]))
    cfg = {
        "type": "BottomupRandomAffine",
        "input_size": (32, 32),
        "bbox_keep_corner": False,
        "clip_border": True,
        "pad_val": 114,
        "transform_mode": "perspective",
        "distribution": "uniform",
    }
    transform(cfg, some, whirl, given_as("_get_transform_params", whirl))
    cfg = {"type": "BottomupRandomAffine", "input_size": (32, 24), "transform_mode": "affine_udp", "scale_type": "long"}
    transform(cfg, some, whirl, given_as("_get_transform_params", whirl))
    crops(some)
    for cfg in (
        {"keypoints_flip_cfg": {}, "target_flip_cfg": {"center_mode": "root", "center_index": [0, 1]}},
        {
            "keypoints_flip_cfg": {"center_x": 0.0},
            "target_flip_cfg": {"center_x": 0.0},
            "flip_label": True,
            "flip_camera": True,
        },
    ):
        names = (
            ("keypoint_labels", "lifting_target_label") if cfg.get("flip_label") else ("keypoints", "lifting_target")
        )
        given = {
            names[0]: RNG.normal(0, 1, (1, 5, 2)),
            names[1]: RNG.normal(0, 1, (1, 5, 3)),
            **flips,
            "camera_param": {"c": np.array([[1.0], [2.0]]), "p": np.array([3.0, 4.0])},
        }
        transform({"type": "RandomFlipAroundRoot", **cfg, "flip_prob": 1.0}, given, True)
    hand = {
        **{name: some[name][:1] for name in ("keypoints", "keypoints_visible")},
        "img": some["img"],
        "img_shape": (48, 64),
        **flips,
    }
    hand |= {"hand_type": np.array([[1, 0]]), "rel_root_depth": np.float32(2.5)}
    transform({"type": "HandRandomFlip", "prob": 1.0}, hand, "horizontal")
    mixtures()


def crops(some):
    def place(size, offset):
        def patch(made):
            given_as("_get_crop_size", size)(made)
            given_as("_rand_offset", offset)(made)

        return patch

    for size, offset, more in (
        ((30, 40), (8, 10), {}),
        ((20, 20), (28, 44), {"bbox_clip_border": False}),
        ((4, 4), (0, 0), {}),
    ):
        chosen = {**some, "bbox_score": list(map(float, some["bbox_score"])), "category_id": [1, 2, 3]}
        transform(
            {"type": "BottomupRandomCrop", "crop_size": (10, 10), **more}, chosen, [size, offset], place(size, offset)
        )
    for more in ({"keep_ratio": True}, {}):
        cfg = {"type": "BottomupRandomChoiceResize", "scales": [(20, 20), (100, 90)], **more}
        transform(cfg, some, 1, given_as("_random_select", ((100, 90), 1)))


def mixtures():
    """The reference draws from numpy's ``random``; here it is given rows of numbers."""

    class Given:
        def __init__(self, uniform, randint=()):
            self.rows, self.whole = iter(uniform), iter(randint)

        def uniform(self, low, high):
            return next(self.rows)

        def randint(self, low, high):
            return next(self.whole)

    class Samples:
        def __init__(self, several):
            self.several = several

        def __len__(self):
            return len(self.several)

        def get_data_info(self, index):
            return self.several[index]

    one, *others = (
        people(persons, width=width, height=height)
        for persons, width, height in ((2, 64, 48), (1, 40, 60), (3, 30, 30), (2, 50, 20))
    )
    kept, numbers = mix_img_transforms.random, None
    for uniform, centre in (((0.0, 0.7, 1.2), (28, 43)), ((0.0, 1.4, 0.5), (56, 18))):
        mix_img_transforms.random = Given(uniform, (0, 1, 2))
        mosaic({"type": "Mosaic", "img_scale": (40, 36)}, one, others, {"centre": centre}, Samples)
    for uniform, whole, numbers in (
        ((0.0, 1.25, 0.9), (0, 3, 2), {"factor": 1.25, "flip": True, "offset": (2, 3)}),
        ((0.0, 0.8, 0.1), (0, 0, 0), {"factor": 0.8, "flip": False, "offset": (0, 0)}),
    ):
        mix_img_transforms.random = Given(uniform, whole)
        mosaic({"type": "YOLOXMixUp", "img_scale": (72, 60)}, one, others[:1], numbers, Samples)
    mix_img_transforms.random = kept


def mosaic(cfg, one, others, params, samples):
    made = TRANSFORMS.build(dict(cfg))
    out = made.transform({**copied(one), "dataset": samples(copied(others))})
    out = {name: value for name, value in out.items() if name not in ("dataset", "mixed_data_list")}
    keep(cfg["type"], kind="transform", cfg=cfg, given=copied(one), others=copied(others), params=params, out=out)


def person(count, dims=2):
    truth = (RNG.random((1, count, dims)) * 60).round(1)
    points = (truth + RNG.normal(0, 3, truth.shape)).round(1)
    gt = {"keypoints": truth, "keypoints_visible": (RNG.random((1, count)) > 0.2).astype(np.float32)}
    gt |= {"bboxes": np.array([[0, 0, *(20 + 40 * RNG.random(2))]]), "head_size": 5 + 5 * RNG.random((1, 1))}
    return {"pred_instances": {"keypoints": points}, "gt_instances": gt}


def metrics():
    for count, several in (
        (
            6,
            (
                {"type": "PCKAccuracy", "thr": 0.1},
                {"type": "PCKAccuracy", "thr": 0.2, "norm_item": ["bbox", "head", "torso"]},
                {"type": "AUC"},
                {"type": "AUC", "norm_factor": 8, "num_thrs": 5},
                {"type": "EPE"},
            ),
        ),
        (16, ({"type": "MpiiPCKAccuracy"}, {"type": "MpiiPCKAccuracy", "thr": 0.3})),
        (15, ({"type": "JhmdbPCKAccuracy", "thr": 0.1, "norm_item": ["bbox", "torso"]},)),
    ):
        rows = [person(count) for _ in range(7)]
        for cfg in several:
            metric(cfg, rows)
    rows = [person(10) for _ in range(5)]
    metric({"type": "NME", "norm_mode": "keypoint_distance"}, rows, {"dataset_name": "cofw"})
    metric({"type": "NME", "norm_mode": "use_norm_item", "norm_item": "bbox_size"}, rows, {"dataset_name": "cofw"})
    rows = []
    for name in ("S9_Greeting_1.5_1.jpg", "S9_Greeting.5_2.jpg", "S11_Walking.5_3.jpg"):
        truth = RNG.normal(0, 1, (2, 5, 3)).round(2)
        seen = RNG.random((2, 5, 1)) > 0.2
        rows.append(
            {
                "pred_instances": {"keypoints": truth * 1.2 + RNG.normal(0, 0.1, truth.shape)},
                "gt_instances": {"lifting_target": truth, "lifting_target_visible": seen},
                "target_img_path": [name],
            }
        )
    for mode in ("mpjpe", "p-mpjpe", "n-mpjpe"):
        metric({"type": "MPJPE", "mode": mode}, rows)
    metric({"type": "MPJPE", "skip_list": ["S9_Greeting"]}, rows)
    hands()
    coco()


def hands():
    rows = []
    for hand in ([[1, 0]], [[1, 1]], [[1, 1]]):
        truth = (RNG.normal(0, 60, (1, 42, 3)) + np.array([0, 0, 900])).round(1)
        rows.append(
            {
                "pred_instances": {
                    "keypoints": (RNG.random((1, 42, 3)) * (200, 200, 80)).round(1),
                    "hand_type": np.array([[1, 1]]),
                    "rel_root_depth": np.array([20.0]),
                },
                "gt_instances": {
                    "keypoints_cam": truth,
                    "keypoints_visible": ((RNG.random((1, 42)) > 0.2) | (np.arange(42) % 21 == 20)).astype(np.float32),
                },
                "hand_type": np.array(hand),
                "hand_type_valid": np.array([1]),
                "abs_depth": [880.0, 910.0],
                "focal": np.array([300.0, 310.0]),
                "principal_pt": np.array([100.0, 110.0]),
            }
        )
    metric({"type": "InterHandMetric"}, rows)
    metric({"type": "InterHandMetric", "modes": ["MPJPE"]}, rows)


def coco():
    sigmas = np.array([0.03, 0.05, 0.08, 0.1, 0.06])
    meta = {"sigmas": sigmas, "num_keypoints": 5, "dataset_name": "made up", "CLASSES": [{"id": 1, "name": "person"}]}
    single, crowd = [], []
    number = 0
    for image in range(6):
        annotations, points = [], []
        for number in range(number + 1, number + 1 + int(RNG.integers(1, 4))):
            side = float(RNG.choice([50, 120]))
            where = (RNG.random((5, 2)) * side + RNG.random(2) * 200).round(1)
            seen = RNG.integers(0, 3, 5) if number != 3 else np.zeros(5, int)
            box = [*where.min(axis=0).tolist(), *(where.max(axis=0) - where.min(axis=0)).tolist()]
            annotations.append(
                {
                    "id": number,
                    "image_id": image,
                    "category_id": 1,
                    "bbox": box,
                    "area": box[2] * box[3] * 0.6,
                    "iscrowd": int(number == 5),
                    "num_keypoints": int((seen == 2).sum()),
                    "keypoints": np.concatenate((where, seen[:, None]), axis=1).ravel().tolist(),
                }
            )
            points.append((where + RNG.normal(0, side * 0.03, where.shape)).round(1))
        points.append((points[0] + RNG.normal(0, 0.5, points[0].shape)).round(1))  # one person twice
        scores = RNG.random((len(points), 5)).round(3)
        boxes = RNG.random(len(points)).round(3)
        size = {"ori_shape": (400, 400), "img_id": image, "crowd_index": [0.1, 0.5, 0.9][image % 3]}
        for at, one in enumerate(points):
            scale = np.array([[150.0, 160.0]])
            single.append(
                {
                    **size,
                    "id": 100 * image + at,
                    "category_id": 1,
                    "raw_ann_info": annotations[at] if at < len(annotations) else None,
                    "pred_instances": {"keypoints": one[None], "keypoint_scores": scores[at : at + 1]},
                    "gt_instances": {"bbox_scores": boxes[at : at + 1], "bbox_scales": scale},
                }
            )
        low, high = np.stack(points).min(axis=1), np.stack(points).max(axis=1)
        crowd.append(
            {
                **size,
                "id": [one["id"] for one in annotations],
                "category_id": 1,
                "raw_ann_info": annotations,
                "pred_instances": {
                    "keypoints": np.stack(points),
                    "keypoint_scores": scores,
                    "bbox_scores": boxes,
                    "bboxes": np.concatenate((low, high), axis=1),
                },
                "gt_instances": {},
            }
        )
    for more in (
        {},
        {"score_mode": "bbox_rle", "nms_mode": "soft_oks_nms"},
        {"score_mode": "keypoint", "nms_thr": 0.5},
        {"use_area": False, "score_mode": "bbox", "nms_mode": "none"},
    ):
        metric({"type": "CocoMetric", **more}, single, meta)
    for more in (
        {"nms_mode": "none", "score_mode": "bbox"},
        {"iou_type": "keypoints_crowd", "use_area": False, "score_mode": "bbox", "nms_mode": "none"},
    ):
        metric({"type": "CocoMetric", **more}, crowd, meta)
    wholebody()


def wholebody():
    parts = (("keypoints", 17), ("foot_kpts", 6), ("face_kpts", 68), ("lefthand_kpts", 21), ("righthand_kpts", 21))
    meta = {
        "sigmas": np.linspace(0.02, 0.1, 133),
        "num_keypoints": 133,
        "dataset_name": "made up",
        "CLASSES": [{"id": 1, "name": "person"}],
    }
    rows = []
    for image in range(2):
        where = (RNG.random((133, 2)) * 100).round(1)
        seen = RNG.integers(0, 3, 133)
        table = np.concatenate((where, seen[:, None]), axis=1).round(2)
        annotation = {
            "id": image + 1,
            "image_id": image,
            "category_id": 1,
            "bbox": [0, 0, 100, 100],
            "area": 6000.0,
            "iscrowd": 0,
        }
        start = 0
        for name, count in parts:
            annotation[name] = table[start : start + count].ravel().tolist()
            start += count
        rows.append(
            {
                "ori_shape": (200, 200),
                "img_id": image,
                "id": image,
                "category_id": 1,
                "raw_ann_info": annotation,
                "pred_instances": {
                    "keypoints": (where + RNG.normal(0, 4, where.shape)).round(1)[None],
                    "keypoint_scores": RNG.random((1, 133)).round(3),
                },
                "gt_instances": {"bbox_scores": np.ones(1), "bbox_scales": np.full((1, 2), 100.0)},
            }
        )
    metric({"type": "CocoWholeBodyMetric"}, rows, meta)


def main(folder):
    codecs()
    transforms()
    metrics()
    book = {"meta": {"mmpose": "1.3.2", "mmcv-lite": "2.1.0"}, "cases": CASES}
    (folder / "pose.json").write_text(json.dumps(book, separators=(",", ":")) + "\n")
    np.savez_compressed(folder / "pose.npz", **ARRAYS)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
