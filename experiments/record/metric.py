"""Records the book ``metric`` of tests/golden: what the metrics of mmdet 3.3.0, mmseg 1.2.2 and mmpretrain 1.2.0 give on
made-up predictions and truth.

    python experiments/record/metric.py FOLDER       writes FOLDER/metric.json and FOLDER/metric.npz

Runs where these, mmcv-lite 2.1.0, mmengine 0.10.7, torch, scipy, pycocotools, lvis and panopticapi are installed; fkit is not
imported. What mmcv-lite and torchvision lack is stood in for by nothing: no metric that is recorded uses it, but for the box
areas. The numbers are recorded as they are before the packages round them for print.
"""

import copy
import functools
import importlib.abc
import importlib.machinery
import json
import sys
import tempfile
import types
from pathlib import Path

import cv2
import numpy as np
import torch

RNG = np.random.default_rng(12)
CASES, ARRAYS, SHARED = [], {}, {}


class Nothing(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Modules whose every name is a class that does nothing."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torchvision" or name.startswith("mmcv.ops"):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        module = types.ModuleType(spec.name)
        module.__getattr__ = _empty
        return module

    def exec_module(self, module):
        pass


def _empty(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (), {"__init__": lambda self, *args, **kwargs: None})


class Whole(float):
    """A number that is printed whole, whatever the format."""

    def __format__(self, spec):
        return repr(float(self))


class Numpy:
    """numpy with other functions in place of some."""

    def __init__(self, **others):
        self.others = others

    def __getattr__(self, name):
        return self.others[name] if name in self.others else getattr(np, name)


def ragged(rows, dtype=None):
    """What np.array made of arrays of several shapes before numpy 1.24."""
    if not isinstance(rows, list) or dtype is not None or not isinstance(rows[0], np.ndarray):
        return np.array(rows, dtype)
    table = np.empty(len(rows), object)
    table[:] = rows
    return table


def prepare():
    """The packages, without their rounding."""
    sys.meta_path.insert(0, Nothing())
    for name, value in (("in1d", np.isin), ("float", float)):
        if not hasattr(np, name):
            setattr(np, name, value)
    import lvis
    import mmdet.evaluation.metrics as mmdet
    import mmpretrain.evaluation.metrics as mmpretrain
    import mmseg.evaluation.metrics as mmseg
    import torchvision.ops.boxes as boxes
    from pycocotools.cocoeval import COCOeval

    boxes.box_area = lambda one: (one[:, 2] - one[:, 0]) * (one[:, 3] - one[:, 1])
    boxes._upcast = lambda one: one

    class Unrounded(COCOeval):
        def summarize(self):
            super().summarize()
            self.stats = [Whole(one) for one in self.stats]

    class Tubes(sys.modules["mmdet.evaluation.metrics.youtube_vis_metric"].YTVISeval):
        def summarize(self):
            super().summarize()
            self.stats = [Whole(one) for one in self.stats]

    sys.modules["mmdet.evaluation.metrics.youtube_vis_metric"].YTVISeval = Tubes

    class Results(lvis.LVISEval):
        def get_results(self):
            return {name: Whole(one) for name, one in super().get_results().items()}

    def same(value, *args, **kwargs):
        return value

    for name, module in list(sys.modules.items()):
        if not name.startswith((mmdet.__name__ + ".", mmseg.__name__ + ".", mmpretrain.__name__ + ".")):
            continue
        module.round = lambda value, digits=None: Whole(value)
        if hasattr(module, "COCOeval"):
            module.COCOeval = Unrounded
        if hasattr(module, "LVISEval"):
            module.LVISEval, module.float = Results, Whole
        if name.endswith(("iou_metric", "semseg_metric", "reid_metric")):
            module.np = Numpy(round=same, around=same)
    sys.modules["mmdet.evaluation.functional.recall"].np = Numpy(array=ragged)


def encoded(value, key):
    """A value as the books write it: arrays of more than 12 numbers go to the npz."""
    if isinstance(value, torch.Tensor):
        return encoded(value.numpy(), key)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        if value.size <= 12:
            node = {"$a": value.tolist(), "dtype": str(value.dtype)}
            return node if value.ndim == 1 and value.size else {**node, "shape": list(value.shape)}
        same = ((name, other) for name, other in ARRAYS.items() if other.dtype == value.dtype)
        key = next((name for name, other in same if np.array_equal(other, value)), key)
        ARRAYS[key] = value
        return {"$array": key, "shape": list(value.shape), "dtype": str(value.dtype)}
    if isinstance(value, (list, tuple)):
        return [encoded(one, f"{key}/{place}") for place, one in enumerate(value)]
    if isinstance(value, dict):
        return {name: encoded(one, f"{key}/{name}") for name, one in value.items()}
    return float(value) if isinstance(value, Whole) else value


def shared(value, key):
    """The name under which the book has a value that several cases have."""
    node = encoded(value, key)
    key = next((name for name, other in SHARED.items() if other == node), key)
    SHARED[key] = node
    return key


def tensors(value, key=""):
    """A sample as the packages have it: arrays are tensors."""
    if isinstance(value, np.ndarray) and key not in ("image_level_labels", "instances", "sent_ids"):
        return torch.from_numpy(value.copy())
    if isinstance(value, dict):
        return {name: tensors(one, name) for name, one in value.items()}
    return [tensors(one) for one in value] if isinstance(value, list) and key != "instances" else value


def laid(files, folder):
    """Files written out: texts by name, folders of pictures."""
    paths = {}
    for key, content in (files or {}).items():
        path = folder / key
        if isinstance(content, dict):
            path.mkdir()
            for name, picture in content.items():
                cv2.imwrite(str(path / name), picture[..., ::-1])
        else:
            path.write_text(content)
        paths[key] = str(path)
    return paths


def record(package, cfg, samples, meta=None, files=None, size=3, change=tensors, batch=list):
    """One case: the samples in batches of ``size`` through the package's own metric."""
    from importlib import import_module

    registry = import_module(f"{package}.registry").METRICS
    number = sum(case["id"].startswith(f"{package}.{cfg['type']}/") for case in CASES) + 1
    which = f"{package}.{cfg['type']}/{number:02d}"
    with tempfile.TemporaryDirectory() as folder:
        metric = registry.build({**json.loads(json.dumps(cfg)), **laid(files, Path(folder))})
        metric.dataset_meta = meta
        if isinstance(getattr(metric, "iou_thrs", None), list) and "Coco" in cfg["type"]:
            metric.iou_thrs = np.array(metric.iou_thrs)  # numpy 2 compares no list with a number
        for start in range(0, len(samples), size):
            metric.process({}, batch([change(one) for one in samples[start : start + size]]))
        out = metric.evaluate(len(samples))
    parts = {
        "package": package,
        "cfg": cfg,
        "meta": encoded(meta or {}, f"{which}/meta"),
        "out": encoded(dict(out), f"{which}/out"),
    }
    kept = {key: shared(content, f"{which}/{key}") for key, content in (files or {}).items()}
    CASES.append(
        {"id": which, **parts, "files": kept, "given": [shared(one, f"{which}/{at}") for at, one in enumerate(samples)]}
    )
    print(which, {name: value for name, value in list(dict(out).items())[:8]})


# -- detection --------------------------------------------------------------------------------------------------------

CLASSES = ("cat", "dog", "cow", "emu")
IDS = (1, 3, 7, 9)  # of the classes: with gaps
SIDE = 300


def polygon(box):
    x1, y1, x2, y2 = box
    return [x1, y1, x2, y1, x2, (y1 + y2) / 2, (x1 + x2) / 2, y2, x1, y2]


def run_length(box):
    from pycocotools import mask

    one = mask.merge(mask.frPyObjects([polygon(box)], SIDE, SIDE))
    return {"size": [SIDE, SIDE], "counts": one["counts"].decode()}


def boxes(count, sizes=(10, 200)):
    low = RNG.random((count, 2)) * 180
    high = np.minimum(low + RNG.uniform(*sizes, (count, 2)), SIDE)
    return np.concatenate((low, high), axis=1).round(1)


@functools.cache
def detections():
    """COCO's annotations and samples of 7 images: crowds, an image of no object, one of no result, one of 130 results; equal
    scores; one class without an object."""
    annotations, samples, number = [], [], 1
    images = [{"id": 10 * at + 5, "width": SIDE, "height": SIDE, "file_name": f"{at}.jpg"} for at in range(7)]
    for at, image in enumerate(images):
        real = boxes(0 if at == 2 else int(RNG.integers(2, 6)))
        labels = RNG.integers(0, 3, len(real))
        if at == 1:
            real[0, 2:] = real[0, :2] + 12  # a small one
        instances = []
        for box, label in zip(real.tolist(), labels.tolist(), strict=True):
            wide, high = round(box[2] - box[0], 1), round(box[3] - box[1], 1)
            crowd = int(number % 6 == 0)
            shape = run_length(box) if crowd else [polygon(box)]
            annotations.append(
                {
                    "id": number,
                    "image_id": image["id"],
                    "category_id": IDS[label],
                    "bbox": [*box[:2], wide, high],
                    "area": round(wide * high * 0.75, 2),
                    "iscrowd": crowd,
                    "segmentation": shape,
                }
            )
            instances.append({"bbox": box, "bbox_label": label, "ignore_flag": crowd, "mask": shape})
            number += 1
        near = np.concatenate([real + RNG.normal(0, spread, real.shape) for spread in (2.0, 9.0)])
        said = np.concatenate((near, boxes({2: 3, 4: 120}.get(at, 2))))
        said[:, 2:] = np.maximum(said[:, 2:], said[:, :2] + 1)
        said = said.clip(0, SIDE)[: 0 if at == 5 else None].astype(np.float32)
        guess = np.concatenate((labels, labels, RNG.integers(0, 4, len(said))))[: len(said)]
        scores = (RNG.random(len(said)).round(2)).astype(np.float32)
        samples.append(
            {
                "img_id": image["id"],
                "ori_shape": [SIDE, SIDE],
                "instances": instances,
                "pred_instances": {"bboxes": said, "scores": scores, "labels": guess},
            }
        )
    categories = [{"id": number, "name": name} for number, name in sorted(zip(IDS, CLASSES, strict=True))]
    return {"images": images, "annotations": annotations, "categories": categories}, samples


def masked(samples, scored=False):
    several = []
    for sample in samples:
        said = dict(sample["pred_instances"])
        said["masks"] = [run_length(box) for box in said["bboxes"].tolist()]
        if scored:
            said["mask_scores"] = said["scores"][::-1].copy()
        several.append({**sample, "pred_instances": said})
    return several


def bitmaps(sample, part="pred_instances"):
    from pycocotools import mask

    whole = tensors(sample)
    several = [mask.decode(one) for one in sample[part]["masks"]]
    whole[part]["masks"] = torch.from_numpy(np.array(several, np.uint8).reshape(-1, SIDE, SIDE))
    return whole


def few(samples):
    """Without the image of many results."""
    return [
        {**one, "pred_instances": {name: part[:20] for name, part in one["pred_instances"].items()}} for one in samples
    ]


def without(samples, *names):
    return [{name: part for name, part in one.items() if name not in names} for one in samples]


def coco():
    content, samples = detections()
    plain, meta, files = without(samples, "instances"), {"classes": CLASSES}, {"ann_file": json.dumps(content)}
    for more in (
        {},
        {"metric": ["bbox", "proposal"], "classwise": True},
        {"metric": "proposal_fast"},
        {"iou_thrs": [0.5, 0.6, 0.75]},
        {"metric_items": ["mAP", "AR@100", "AR@300", "AR_s@1000"]},
        {"proposal_nums": [1, 10, 100]},
        {"prefix": "mine"},
    ):
        record("mmdet", {"type": "CocoMetric", **more}, plain, meta, files)
    record("mmdet", {"type": "CocoMetric", "metric": ["bbox", "segm"]}, masked(few(plain)), meta, files)
    record("mmdet", {"type": "CocoMetric", "metric": "segm", "classwise": True}, masked(few(plain), True), meta, files)
    record("mmdet", {"type": "CocoMetric"}, without(samples, ""), meta)
    record("mmdet", {"type": "CocoMetric", "metric": ["bbox", "segm"]}, masked(few(samples)), meta)
    nothing = [
        {**one, "pred_instances": {name: part[:0] for name, part in one["pred_instances"].items()}} for one in plain
    ]
    nothing[0] = plain[0]
    record("mmdet", {"type": "CocoMetric"}, nothing, meta, files)
    record(
        "mmdet",
        {"type": "OVCocoMetric", "classwise": True},
        few(plain),
        {**meta, "base_classes": CLASSES[:2], "novel_classes": CLASSES[2:]},
        files,
    )
    for more, classes in (({}, CLASSES[::-1]), ({"metric": ["bbox", "segm"], "classwise": True}, CLASSES)):
        record("mmdet", {"type": "CocoMetric", **more}, masked(few(plain)), {"classes": classes}, files)
    zero = {**content, "annotations": [{**row, "id": row["id"] - 1} for row in content["annotations"]]}
    record("mmdet", {"type": "CocoMetric"}, few(plain), meta, {"ann_file": json.dumps(zero)})


def lvis():
    content, samples = copy.deepcopy(detections())
    plain = without(few(samples), "instances")
    for at, image in enumerate(content["images"]):
        image |= {
            "neg_category_ids": [IDS[at % 4]],
            "not_exhaustive_category_ids": [IDS[(at + 1) % 4]] if at % 2 else [],
        }
    for row in content["annotations"]:
        del row["iscrowd"]
        row["segmentation"] = (
            row["segmentation"]
            if isinstance(row["segmentation"], list)
            else [polygon([*row["bbox"][:2], row["bbox"][0] + row["bbox"][2], row["bbox"][1] + row["bbox"][3]])]
        )
    for row, group in zip(content["categories"], "frcf", strict=True):
        row |= {"frequency": group, "instance_count": 1, "image_count": 1}
    names = tuple(row["name"] for row in content["categories"])
    files, meta = {"ann_file": json.dumps(content)}, {"classes": names}
    record("mmdet", {"type": "LVISMetric"}, plain, meta, files)
    record(
        "mmdet",
        {"type": "LVISMetric", "metric": ["bbox", "segm"], "metric_items": ["AP", "AP50", "AP75", "APr", "APc", "APf"]},
        masked(plain),
        meta,
        files,
        change=bitmaps,
    )
    record("mmdet", {"type": "LVISMetric", "metric": "segm"}, masked(plain), meta, files, change=bitmaps)
    record("mmdet", {"type": "LVISMetric", "metric": "proposal_fast"}, plain, meta, files)
    record(
        "mmdet",
        {"type": "LVISFixedAPMetric", "topk": 12},
        [one for one in plain if len(one["pred_instances"]["scores"])],
        meta,
        files,
    )


def voc():
    _, samples = detections()
    meta = {"classes": CLASSES}
    rows = []
    for sample in few(samples):
        crowd = np.array([one["ignore_flag"] for one in sample["instances"]], bool)
        real = np.array([one["bbox"] for one in sample["instances"]], np.float32).reshape(-1, 4)
        labels = np.array([one["bbox_label"] for one in sample["instances"]], np.int64)
        rows.append(
            {
                "img_id": sample["img_id"],
                "pred_instances": sample["pred_instances"],
                "gt_instances": {"bboxes": real[~crowd], "labels": labels[~crowd]},
                "ignored_instances": {"bboxes": real[crowd], "labels": labels[crowd]},
            }
        )
    for more in ({}, {"eval_mode": "area"}, {"iou_thrs": [0.5, 0.75], "eval_mode": "area"}):
        record("mmdet", {"type": "VOCMetric", **more}, rows, meta)
    one = [
        {
            **row,
            "pred_instances": {**row["pred_instances"], "labels": row["pred_instances"]["labels"] * 0},
            "gt_instances": {**row["gt_instances"], "labels": row["gt_instances"]["labels"] * 0},
        }
        for row in rows
    ]
    for more in ({"iou_thrs": 0.5}, {"iou_thrs": [0.5, 0.7], "proposal_nums": [3, 10]}):
        record("mmdet", {"type": "VOCMetric", "metric": "recall", **more}, one, {"classes": ("cat",)})
    relation = np.eye(4, dtype=np.int64)
    relation[1, 3] = 1  # a dog is an emu too
    open_images = []
    for at, sample in enumerate(few(samples)):
        instances = [
            {"bbox": one["bbox"], "bbox_label": one["bbox_label"], "is_group_of": one["ignore_flag"]}
            for one in sample["instances"]
        ]
        open_images.append({**sample, "instances": instances, "image_level_labels": np.array([at % 4], np.int64)})
    meta = {"classes": CLASSES, "RELATION_MATRIX": relation, "dataset_type": "oid_v6"}
    import mmdet.evaluation.functional.mean_ap as mean_ap

    mean_ap.get_classes = lambda name: CLASSES
    for more in (
        {},
        {"iou_thrs": [0.5, 0.6], "ioa_thrs": [0.5, 0.3]},
        {"get_supercategory": False},
        {"filter_labels": False},
    ):
        record("mmdet", {"type": "OpenImagesMetric", **more}, open_images, meta)


def panoptic():
    names, things = ("cat", "dog", "sky", "sea"), ("cat", "dog")
    ids = IDS
    content = {
        "images": [],
        "annotations": [],
        "categories": [{"id": ids[at], "name": name, "isthing": int(name in things)} for at, name in enumerate(names)],
    }
    pictures, samples = {}, []
    for at in range(5):
        real = np.zeros((24, 32), np.int64)
        segments, listed = [], []
        for place in range(6):
            x, y = RNG.integers(0, 24), RNG.integers(0, 16)
            real[y : y + 10, x : x + 12] = 300 * (place + 1) + at
            label = int(RNG.integers(0, 4))
            crowd = int(place == 3 and label < 2)
            segments.append((300 * (place + 1) + at, label, crowd))
        said = np.full(real.shape, 4)  # nothing
        for number, label, crowd in segments:
            inside = real == number
            if not inside.any():
                continue
            rows, columns = np.nonzero(inside)
            listed.append(
                {
                    "id": number,
                    "category_id": ids[label],
                    "iscrowd": crowd,
                    "area": int(inside.sum()),
                    "bbox": [int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1],
                }
            )
            guess = label if RNG.random() < 0.8 else int(RNG.integers(0, 4))
            said[np.roll(inside, int(RNG.integers(0, 3)), axis=1)] = (0 if guess > 1 else number) * 1000 + guess
        pictures[f"{at}.png"] = np.stack((real % 256, real // 256 % 256, real // 65536), axis=-1).astype(np.uint8)
        content["images"].append({"id": at, "width": 32, "height": 24, "file_name": f"{at}.jpg"})
        content["annotations"].append({"image_id": at, "file_name": f"{at}.png", "segments_info": listed})
        known = [
            {
                "id": one["id"],
                "category": ids.index(one["category_id"]),
                "is_thing": not one["iscrowd"] and ids.index(one["category_id"]) < 2,
            }
            for one in listed
        ]
        samples.append(
            {
                "img_id": at,
                "img_path": f"{at}.jpg",
                "ori_shape": [24, 32],
                "segments_info": known,
                "pred_panoptic_seg": {"sem_seg": said[None]},
            }
        )
    meta = {"classes": names, "thing_classes": things, "stuff_classes": names[2:]}
    record(
        "mmdet",
        {"type": "CocoPanopticMetric"},
        samples,
        meta,
        {"ann_file": json.dumps(content), "seg_prefix": pictures},
    )
    record("mmdet", {"type": "CocoPanopticMetric"}, samples, meta, {"seg_prefix": pictures})


def crowd_human():
    lines, samples = [], []
    for at in range(5):
        real = boxes(int(RNG.integers(2, 7))) if at != 3 else boxes(1)
        people = []
        for place, box in enumerate(real.tolist()):
            where = [*box[:2], box[2] - box[0], box[3] - box[1]]
            tag, extra = ("mask", {}) if place == 4 else ("person", {"ignore": 1} if place == 2 else {})
            people.append({"tag": tag, "fbox": where, "vbox": where, "hbox": where, "extra": extra, "head_attr": {}})
        lines.append({"ID": f"{at},x", "gtboxes": people})
        said = np.concatenate(
            (real + RNG.normal(0, 4, real.shape), real + RNG.normal(0, 15, real.shape), boxes(3))
        ).astype(np.float32)
        said[:, 2:] = np.maximum(said[:, 2:], said[:, :2] + 1)
        scores = RNG.permutation(np.linspace(0.03, 0.97, len(said))).astype(np.float32)
        samples.append(
            {
                "img_id": f"{at},x",
                "ori_shape": [SIDE, SIDE],
                "pred_instances": {"bboxes": said, "scores": scores, "labels": np.zeros(len(said), np.int64)},
            }
        )
    files = {"ann_file": "\n".join(map(json.dumps, lines)) + "\n"}
    for more in ({}, {"metric": "MR", "mr_ref": "CALTECH_-4"}, {"metric": ["AP"], "iou_thres": 0.7}):
        record(
            "mmdet", {"type": "CrowdHumanMetric", "num_ji_process": 2, **more}, samples, {"classes": ("person",)}, files
        )


def phrases():
    names = ("refcoco", "refcoco+", "refcocog")
    images = [{"id": at, "width": SIDE, "height": SIDE, "dataset_name": names[at % 3]} for at in range(7)]
    annotations, samples, grounded = [], [], []
    for at in range(7):
        real = boxes(1 if at < 5 else 3).astype(np.float32)
        for box in real.tolist():
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": at,
                    "category_id": -1 if at in (2, 3) else 1,
                    "bbox": [*box[:2], box[2] - box[0], box[3] - box[1]],
                    "area": 1.0,
                    "iscrowd": 0,
                }
            )
        said = np.concatenate((real + RNG.normal(0, 6, real.shape), boxes(6)))[RNG.permutation(len(real) + 6)].astype(
            np.float32
        )
        scores = np.sort(RNG.random(len(said)).astype(np.float32))[::-1].copy() * np.float32(0.6 if at == 3 else 1)
        samples.append(
            {
                "img_id": at,
                "ori_shape": [SIDE, SIDE],
                "pred_instances": {"bboxes": said, "scores": scores, "labels": np.zeros(len(said), np.int64)},
            }
        )
        labels = RNG.integers(0, 2, len(said))
        labels[labels == 1] = 0 if at == 4 else 1  # a phrase that nothing is said of
        grounded.append(
            {
                "img_id": at,
                "phrases": ["a cat", "a dog"],
                "phrase_ids": [0, 1, 1],
                "gt_instances": {"bboxes": np.concatenate((said[:2] + 3, real[:1]))},
                "pred_instances": {"bboxes": said, "scores": scores, "labels": labels},
            }
        )
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "object"}]}
    single = {**content, "annotations": [one for one in annotations if one["image_id"] < 5]}
    record("mmdet", {"type": "RefExpMetric"}, samples[:5], {}, {"ann_file": json.dumps(single)})
    record("mmdet", {"type": "RefExpMetric", "iou_thrs": 0.75}, samples[:5], {}, {"ann_file": json.dumps(single)})
    record("mmdet", {"type": "gRefCOCOMetric", "thresh_f1": 0.5}, samples, {}, {"ann_file": json.dumps(content)})
    record(
        "mmdet",
        {"type": "gRefCOCOMetric", "thresh_score": 0.3, "thresh_f1": 0.2},
        samples,
        {},
        {"ann_file": json.dumps(content)},
    )
    record("mmdet", {"type": "Flickr30kMetric"}, grounded)


def described():
    """Detection by descriptions, of several lengths."""
    content, samples = copy.deepcopy(detections())
    names = (
        "cat",
        "dog that runs",
        "a cow in the deep shade",
        "an emu that looks over the high fence",
        "the big old brown horse that nobody has seen on the field before",
    )
    content["categories"] = [{"id": at + 1, "name": name} for at, name in enumerate(names)]
    plain = without(few(samples), "instances")
    for row in content["annotations"]:
        row["category_id"] = row["id"] % 5 + 1
    for row in plain:
        known = [one["category_id"] for one in content["annotations"] if one["image_id"] == row["img_id"]]
        labels = RNG.integers(0, 5, len(row["pred_instances"]["labels"]))
        labels[: len(known)] = [5 - one for one in known][: len(labels)]
        row |= {"sent_ids": np.arange(5, 0, -1), "pred_instances": {**row["pred_instances"], "labels": labels}}
    record("mmdet", {"type": "DODCocoMetric"}, plain, {"classes": names}, {"ann_file": json.dumps(content)})


class Frame:
    """One of a video's, as mmdet has it."""

    def __init__(self, sample, length):
        self.sample, self.ori_video_length = sample, length

    def to_dict(self):
        return self.sample


def videos(samples):
    """The frames of one video, as mmdet has them."""
    return [{"video_data_samples": [Frame(sample, len(samples)) for sample in samples]}]


def tracked():
    samples = []
    for video in range(3):
        real, labels = boxes(3, (60, 150)), RNG.integers(0, 3, 3)
        for frame in range(4):
            real = real + RNG.normal(0, 5, (3, 2))[:, [0, 1, 0, 1]]
            seen = [at for at in range(3) if (at + frame) % 6]
            instances = [
                {
                    "bbox": real[at].clip(0, SIDE).round(1).tolist(),
                    "bbox_label": int(labels[at]),
                    "instance_id": 10 * video + at + 1,
                    "ignore_flag": int(video == 1 and at == 2),
                    "mask": [polygon(real[at].clip(0, SIDE).round(1).tolist())],
                }
                for at in seen
            ]
            said = (np.concatenate((real, real[:1])) + RNG.normal(0, 3, (4, 4))).clip(0, SIDE).astype(np.float32)
            said[:, 2:] = np.maximum(said[:, 2:], said[:, :2] + 1)
            kept = [at for at in range(4) if RNG.random() < 0.9]
            guess = np.where(RNG.random(4) < 0.8, labels[[0, 1, 2, 0]], RNG.integers(0, 3, 4))
            masks = [run_length(box) for box in said[kept].tolist()]
            part = {
                "bboxes": said[kept],
                "scores": RNG.random(len(kept)).astype(np.float32),
                "labels": guess[kept],
                "instances_id": np.array(kept, np.int64),
                "masks": masks,
            }
            samples.append(
                {
                    "img_id": len(samples),
                    "video_id": video + 1,
                    "frame_id": frame,
                    "ori_shape": [SIDE, SIDE],
                    "instances": instances,
                    "pred_track_instances": part,
                }
            )
    for more in ({}, {"metric_items": ["mAP_50", "AR@1", "AR_m@100"]}):
        record(
            "mmdet",
            {"type": "YouTubeVISMetric", **more},
            samples,
            {"classes": CLASSES[:3]},
            size=4,
            change=lambda one: bitmaps(one, "pred_track_instances"),
            batch=videos,
        )


def others():
    features = RNG.normal(size=(30, 6)).astype(np.float32)
    people = RNG.integers(0, 7, 30)
    features += people[:, None] * np.float32(0.4)
    rows = [
        {"pred_feature": one, "gt_label": {"label": np.array([person])}}
        for one, person in zip(features, people.tolist(), strict=True)
    ]
    record("mmdet", {"type": "ReIDMetrics", "metric": ["mAP", "CMC"]}, rows)
    record(
        "mmdet", {"type": "ReIDMetrics", "metric": "CMC", "metric_options": {"rank_list": [1, 3], "max_rank": 3}}, rows
    )
    shapes = [
        {"pred_instances": {"masks": RNG.random((count, 9, 11)) < 0.5}, "gt_masks": RNG.random((count, 9, 11)) < 0.5}
        for count in (1, 2, 1, 3)
    ]
    shapes[2]["pred_instances"]["masks"][:] = shapes[2]["gt_masks"][:] = False
    from mmdet.structures.mask import BitmapMasks

    def change(sample):
        return {
            "pred_instances": tensors(sample["pred_instances"]),
            "gt_masks": BitmapMasks(sample["gt_masks"].astype(np.uint8), 9, 11),
        }

    for more in ({}, {"metric": ["mIoU"], "prefix": "words"}):
        record("mmdet", {"type": "RefSegMetric", **more}, shapes, change=change)


# -- segmentation -----------------------------------------------------------------------------------------------------


def segmentation():
    meta = {"classes": ("a", "b", "c", "d", "nowhere")}
    truth = RNG.integers(0, 4, (5, 1, 12, 14))
    said = np.where(RNG.random(truth.shape) < 0.6, truth, RNG.integers(0, 4, truth.shape))
    truth[RNG.random(truth.shape) < 0.1] = 255
    truth[4] = 255  # an image that does not count
    rows = [{"pred_sem_seg": {"data": a}, "gt_sem_seg": {"data": b}} for a, b in zip(said, truth, strict=True)]
    every = ["mIoU", "mDice", "mFscore"]
    for more in (
        {},
        {"iou_metrics": every},
        {"iou_metrics": every, "nan_to_num": 0, "beta": 2},
        {"iou_metrics": ["mFscore"], "nan_to_num": -1, "prefix": "val"},
        {"ignore_index": 2},
        {"iou_metrics": "mDice"},
    ):
        record("mmseg", {"type": "IoUMetric", **more}, rows, meta)
    wrong = [{"pred_sem_seg": {"data": (a + 1) % 4}, "gt_sem_seg": {"data": a}} for a in said[:2]]
    record("mmseg", {"type": "IoUMetric", "iou_metrics": every}, wrong, meta)
    beyond = [
        {**row, "pred_sem_seg": {"data": np.where(RNG.random((1, 12, 14)) < 0.2, 7, row["pred_sem_seg"]["data"])}}
        for row in rows[:2]
    ]
    record("mmseg", {"type": "IoUMetric"}, beyond, meta)
    named = [
        {"pred_sem_seg": {"sem_seg": a}, "gt_sem_seg": {"sem_seg": b}} for a, b in zip(said % 4, truth, strict=True)
    ]
    whole = {"classes": ("a", "b", "c", "d")}
    record("mmdet", {"type": "SemSegMetric", "iou_metrics": every}, named, whole)
    far = RNG.uniform(0, 9, (4, 1, 50, 46)).astype(np.float32)
    far[RNG.random(far.shape) < 0.2] = 0
    guess = (np.maximum(far, 0.5) * RNG.uniform(0.6, 1.7, far.shape)).astype(np.float32)
    depths = [{"pred_depth_map": {"data": a}, "gt_depth_map": {"data": b}} for a, b in zip(guess, far, strict=True)]
    for more in ({}, {"min_depth_eval": 0.001, "max_depth_eval": 5}, {"crop_type": "nyu_crop", "prefix": "depth"}):
        record("mmseg", {"type": "DepthMetric", **more}, depths)


# -- classification ---------------------------------------------------------------------------------------------------


def classification():
    scores = RNG.dirichlet(np.ones(6), 23).round(4).astype(np.float32)
    labels = np.where(RNG.random(23) < 0.5, scores.argmax(1), RNG.integers(0, 5, 23))  # the last class is never there
    rows = [
        {"pred_score": one, "gt_label": np.array([label])} for one, label in zip(scores, labels.tolist(), strict=True)
    ]
    said = [
        {"pred_label": np.array([int(one.argmax())]), "gt_label": row["gt_label"]}
        for one, row in zip(scores, rows, strict=True)
    ]
    wrong = [{"pred_score": row["pred_score"], "gt_label": np.array([int(row["pred_score"].argmin())])} for row in rows]
    for more in (
        {},
        {"topk": [1, 3, 5]},
        {"topk": [1, 2], "thrs": [0.1, 0.4, None]},
        {"thrs": 0.5},
        {"prefix": "mine"},
    ):
        record("mmpretrain", {"type": "Accuracy", **more}, rows)
    record("mmpretrain", {"type": "Accuracy"}, said)
    record("mmpretrain", {"type": "Accuracy", "topk": [1, 5]}, wrong)
    items = ["precision", "recall", "f1-score", "support"]
    for more in (
        {},
        {"average": "micro", "items": items},
        {"average": None, "items": items},
        {"thrs": [0.0, 0.5, None]},
        {"thrs": 0.6, "average": None},
    ):
        record("mmpretrain", {"type": "SingleLabelMetric", **more}, rows)
    record("mmpretrain", {"type": "SingleLabelMetric", "num_classes": 7, "items": items}, said)
    record("mmpretrain", {"type": "SingleLabelMetric"}, wrong)
    record("mmpretrain", {"type": "ConfusionMatrix"}, rows)
    record("mmpretrain", {"type": "ConfusionMatrix", "num_classes": 7}, said)
    several = [
        {"pred_score": one.astype(np.float32), "gt_score": (RNG.random(5) < 0.4).astype(np.float32)}
        for one in RNG.permuted(np.linspace(0.02, 0.98, 17)[:, None] + np.arange(5) / 1000, axis=0)
    ]
    for row in several[:4]:
        row["gt_score"][int(RNG.integers(0, 5))] = -1
    listed = [{"pred_score": row["pred_score"], "gt_label": np.flatnonzero(row["gt_score"] == 1)} for row in several]
    for more in (
        {},
        {"thr": 0.3, "average": "micro", "items": items},
        {"topk": 2, "average": None, "items": items},
        {"thr": 0.9, "topk": 3},
        {"prefix": "mine", "average": None},
    ):
        record("mmpretrain", {"type": "MultiLabelMetric", **more}, several)
    record("mmpretrain", {"type": "MultiLabelMetric", "topk": 1}, listed)
    for more in ({}, {"average": None}):
        record("mmpretrain", {"type": "AveragePrecision", **more}, several)
        record("mmpretrain", {"type": "AveragePrecision", **more}, listed)
    difficult = [{**row, "gt_label_difficult": [at % 5, (at + 2) % 5]} for at, row in enumerate(listed)]
    for more in ({}, {"difficult_as_positive": True}, {"difficult_as_positive": False}):
        record("mmpretrain", {"type": "VOCMultiLabelMetric", **more}, difficult)
        record("mmpretrain", {"type": "VOCAveragePrecision", **more}, difficult)
    gallery = [
        {"pred_score": RNG.permutation(12).astype(np.float32), "gt_label": RNG.choice(12, 3, replace=False)}
        for _ in range(9)
    ]
    record("mmpretrain", {"type": "RetrievalRecall", "topk": [1, 5]}, gallery)
    record("mmpretrain", {"type": "RetrievalRecall", "topk": 2, "prefix": "i2t"}, gallery)
    for more in ({}, {"topk": 5}, {"topk": 5, "mode": "integrate"}, {"mode": "integrate"}):
        record("mmpretrain", {"type": "RetrievalAveragePrecision", "topk": 12, **more}, gallery)


def words():
    answers = (
        ("Two  dogs.", ["2 dogs", "two dogs", "dogs"], [0.5, 0.3, 0.2]), ("a red, big car", ["red big car", "the red car"], [0.1, 0.9]),
        ("It's 1,000.5 m", ["its 1000.5 m"], [1.0]), ("no", ["yes", "no"], [0.8, 0.2]), ("dont\tknow", ["don't know"], [0.25]),
        ("left/right", ["left right"], [1.0]), ("left / right", ["left right"], [1.0]), ("x-ray of an Ape!", ["x ray of ape", "xray"], [0.2, 0.2]), ("U.S.A. 3.5", ["usa 3.5"], [0.3]),
        ("", ["nothing"], [1.0]), ("youre none", ["you're 0"], [0.1]),
    )  # fmt: skip
    rows = [
        {"question_id": at, "pred_answer": said, "gt_answer": real, "gt_answer_weight": weights}
        for at, (said, real, weights) in enumerate(answers)
    ]
    record("mmpretrain", {"type": "VQAAcc"}, rows)
    record("mmpretrain", {"type": "VQAAcc", "full_score_weight": 1.0}, without(rows, "gt_answer_weight"))
    record(
        "mmpretrain",
        {"type": "VQAAcc"},
        [{**row, "gt_answer": row["gt_answer"][0], "gt_answer_weight": None} for row in rows],
    )
    record(
        "mmpretrain",
        {"type": "GQAAcc"},
        [{**row, "gt_answer": row["gt_answer"][0]} for row in without(rows, "gt_answer_weight")],
    )
    for threshold in (0.5, 0.8):
        record("mmpretrain", {"type": "ANLS", "threshold": threshold}, without(rows, "gt_answer_weight"))
    questions = [
        {"pred_answer": "ABCDE"[at % 3], "choices": list("abc"), "gt_answer": at % 2, "grade": f"grade{at % 12 + 1}", "subject": ("natural science", "social science", "language science")[at % 3], "hint": "a hint" if at % 4 == 0 else "", "has_image": at % 5 == 0}
        for at in range(20)
    ]  # fmt: skip
    record("mmpretrain", {"type": "ScienceQAMetric"}, questions)
    real = boxes(6).astype(np.float32)
    said = (real + RNG.normal(0, 12, real.shape)).astype(np.float32)
    record(
        "mmpretrain",
        {"type": "VisualGroundingMetric"},
        [{"pred_bboxes": a[None], "gt_bboxes": b} for a, b in zip(said, real, strict=True)],
    )


def main(folder):
    prepare()
    for part in (
        coco,
        lvis,
        voc,
        panoptic,
        crowd_human,
        phrases,
        described,
        others,
        tracked,
        segmentation,
        classification,
        words,
    ):
        RNG.bit_generator.state = np.random.default_rng(12).bit_generator.state  # a part is the same without the others
        part()
    versions = {
        "mmdet": "3.3.0",
        "mmseg": "1.2.2",
        "mmpretrain": "1.2.0",
        "mmengine": "0.10.7",
        "numpy": np.__version__,
        "torch": torch.__version__,
    }
    tables = (
        ",\n".join(json.dumps(case, separators=(",", ":")) for case in CASES),
        ",\n".join(f"{json.dumps(key)}:{json.dumps(part, separators=(',', ':'))}" for key, part in SHARED.items()),
    )
    (folder / "metric.json").write_text(
        f'{{"meta": {json.dumps(versions)},\n"shared": {{\n{tables[1]}\n}},\n"cases": [\n{tables[0]}\n]}}\n'
    )
    np.savez_compressed(folder / "metric.npz", **ARRAYS)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
