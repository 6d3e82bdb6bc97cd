"""Made-up annotation files of every form that experiments/record/dataset.py has the references read: tree -> path -> content.

Text stands as it is, bytes too; anything else is written as JSON.
"""

import io
import json
import pickle
from typing import Any

import numpy as np

__all__ = ["TREES", "content_of"]

RLE = {"counts": [20, 6, 44, 30], "size": [10, 10]}


def content_of(value: Any) -> bytes:
    """The bytes of a file."""
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))).encode()


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def image(number: int, width: int = 100, height: int = 80, **more: Any) -> dict[str, Any]:
    return {"id": number, "file_name": f"{number:06}.jpg", "width": width, "height": height, **more}


def box(number: int, of: int, category: int, numbers: list[Any], **more: Any) -> dict[str, Any]:
    area = numbers[2] * numbers[3]
    return {"id": number, "image_id": of, "category_id": category, "bbox": numbers, "area": area, "iscrowd": 0, **more}


def categories(*rows: tuple[int, str]) -> list[dict[str, Any]]:
    return [{"id": number, "name": name, "supercategory": "thing"} for number, name in rows]


# detection ----------------------------------------------------------------------------------------------------------

COCO_IMAGES = [image(3), image(7, 40, 90), image(20, 30, 31), image(21, 64, 64), image(50), image(49, license=2)]
COCO_BOXES = [
    box(11, 3, 1, [10, 20, 30, 40], segmentation=[[10, 20, 40, 20, 40, 60]]),
    box(5, 3, 3, [1.5, 2.25, 10.75, 11], segmentation=[[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]]),
    box(8, 3, 1, [90, 70, 30, 30]),  # over the edge
    box(12, 7, 1, [0, 0, 40, 90], iscrowd=1, segmentation=RLE),
    box(13, 7, 2, [5, 6, 7, 8], ignore=1),
    box(14, 7, 3, [5, 6, 0.5, 8]),  # thin
    box(15, 7, 3, [5, 6, 8, 8], area=0),
    box(17, 20, 3, [4, 4, 9, 9], segmentation=[]),
    box(18, 49, 90, [4, 4, 9, 9]),  # of no class that is read
    box(19, 50, 1, [4, 4, 9, 9], ignore=1),
]
COCO_NAMES = categories((1, "person"), (2, "bicycle"), (3, "car"), (90, "unicorn"))
COCO = {"images": COCO_IMAGES, "annotations": COCO_BOXES, "categories": COCO_NAMES}
COCO_WRONG = [
    box(1, 3, 1, [10, 20, 30, 40]),
    box(2, 3, 1, [200, 20, 30, 40]),  # beside the picture
    box(3, 3, 1, [-60, -60, 50, 50]),
    box(4, 7, 1, [10, 20, -3, 40], area=3),
]
PANOPTIC_NAMES = [
    {"id": 1, "name": "person", "isthing": 1},
    {"id": 2, "name": "bicycle", "isthing": 1},
    {"id": 200, "name": "rug-merged", "isthing": 0},
]


def segments(of: int, *rows: dict[str, Any]) -> dict[str, Any]:
    return {"image_id": of, "file_name": f"{of:06}.png", "segments_info": list(rows)}


PANOPTIC = {
    "images": [image(3), image(9), image(4, 20, 20)],
    "annotations": [
        segments(
            3,
            {"id": 7, "category_id": 1, "bbox": [1, 2, 30, 40], "area": 900, "iscrowd": 0},
            {"id": 8, "category_id": 200, "bbox": [0, 0, 100, 80], "area": 3000, "iscrowd": 0},
            {"id": 9, "category_id": 2, "bbox": [0, 0, 10, 8], "area": 30, "iscrowd": 1},
            {"id": 10, "category_id": 2, "bbox": [0, 0, 0, 8], "area": 1, "iscrowd": 0},
        ),
        segments(9, {"id": 7, "category_id": 200, "bbox": [1, 2, 30, 40], "area": 900, "iscrowd": 0}),
        segments(4, {"id": 3, "category_id": 2, "bbox": [1, 2, 10, 10], "area": 90, "iscrowd": 0}),
    ],
    "categories": PANOPTIC_NAMES,
}


def xml(width: int, height: int, *objects: tuple[str, int | None, tuple[Any, ...]], folder: str = "VOC2007") -> str:
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    rows = ""
    for name, hard, (x1, y1, x2, y2) in objects:
        said = "" if hard is None else f"<difficult>{hard}</difficult>"
        corners = f"<xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
        rows += f"<object><name>{name}</name>{said}<bndbox>{corners}</bndbox></object>"
    return f"<annotation><folder>{folder}</folder>{size}{rows}</annotation>"


VOC_TREE = {
    "VOC2007/ImageSets/Main/trainval.txt": "000005\n000007\n000009\n2008_000012\n",
    "VOC2007/Annotations/000005.xml": xml(
        500, 375, ("chair", 0, (263, 211, 324, 339)), ("chair", 1, (1, 1, 40, 30)), ("unicorn", 0, (1, 2, 3, 4))
    ),
    "VOC2007/Annotations/000007.xml": xml(
        500, 333, ("car", None, ("141.7", "50.2", 500, 330)), ("person", 0, (5, 6, 20, 200))
    ),
    "VOC2007/Annotations/000009.xml": xml(20, 28, ("dog", 0, (1, 1, 20, 28))),
    "VOC2007/Annotations/2008_000012.xml": xml(200, 280),
}
WIDER_TREE = {
    "train.txt": "0_Parade_1\n1_Handshaking_2\n",
    "WIDER_train/Annotations/0_Parade_1.xml": xml(
        1024, 768, ("face", 0, (10, 20, 30, 44)), ("face", 0, (1, 1, 4, 5)), folder="0--Parade"
    ),
    "WIDER_train/Annotations/1_Handshaking_2.xml": xml(30, 768, ("face", 0, (0, 0, 30, 44)), folder="1--Handshaking"),
}


def crowd(name: str, *boxes: dict[str, Any]) -> str:
    return json.dumps({"ID": name, "gtboxes": list(boxes)})


def person(tag: str, x: float, **extra: Any) -> dict[str, Any]:
    sides = {"fbox": [x, 2, 30, 60], "hbox": [x + 5, 2, 10, 12], "vbox": [x, 2, 28.5, 50]}
    return {"tag": tag, **sides, **({"extra": extra} if extra else {})}


CROWD_TREE = {
    "annotation_train.odgt": "\n".join(
        [
            crowd("273271,c9db", person("person", 10, box_id=0), person("person", 40, ignore=1)),
            crowd("282555,1da", person("mask", 7, ignore=1), person("person", -3.5), person("person", 3, ignore=0)),
        ]
    ),
    "id_hw_train.json": {"273271,c9db": [80, 100], "282555,1da": [90, 120]},
}
LVIS_TREE = {
    "lvis.json": {
        "info": {},
        "licenses": [],
        "images": [
            {**image(3), "file_name": "COCO_train2014_000000000003.jpg"},
            image(7, 31, 90, coco_url="http://images.cocodataset.org/val2017/000000000007.jpg"),
        ],
        "annotations": [
            box(2, 3, 5, [1, 2, 30.5, 40], segmentation=[[1, 2, 3, 4, 5, 6]]),
            box(1, 3, 9, [1, 2, 3, 4], segmentation=[[1, 2, 3, 4, 5, 6]]),
            box(4, 7, 9, [1, 2, 3, 0.5], segmentation=[[1, 2, 3, 4, 5, 6]]),
        ],
        "categories": categories((5, "cat"), (9, "dog")),
    },
    "lvis_v1.json": {
        "info": {},
        "licenses": [],
        "images": [
            {
                "id": number,
                "width": 80,
                "height": 60,
                "coco_url": f"http://images.cocodataset.org/{part}/{number:012}.jpg",
            }
            for number, part in ((8, "train2017"), (2, "val2017"))
        ],
        "annotations": [
            box(2, 8, 5, [1, 2, 30.5, 40], segmentation=[[1, 2, 3, 4, 5, 6]]),
            box(1, 2, 9, [70, 50, 30, 40], segmentation=[[1, 2, 3, 4, 5, 6]]),
        ],
        "categories": categories((5, "cat"), (9, "dog")),
    },
}
OBJECTS_TREE = {
    "v1.json": {
        "images": [image(6), image(2)],
        "annotations": [box(1, 6, 1, [1, 2, 3, 4]), box(2, 2, 2, [4, 5, 6, 7], iscrowd=1)],
        "categories": categories((1, "person"), (2, "sneakers")),
    },
    "v2.json": {
        "images": [
            {**image(6), "file_name": "images/v1/patch8/objects365_v1_00420917.jpg"},
            {**image(7), "file_name": "images/v2/patch16/objects365_v2_00908726.jpg"},
            {**image(8), "file_name": "images/v2/patch16/objects365_v2_00908727.jpg"},
        ],
        "annotations": [
            box(1, 6, 1, [1, 2, 3, 4]),
            box(2, 7, 1, [1, 2, 3, 4]),
            box(3, 8, 2, [4, 5, 6, 7], iscrowd=1),
        ],
        "categories": categories((1, "Person"), (2, "Sneakers")),
    },
}
V3DET_TREE = {
    "annotations/names.txt": "cat\nwild dog\nowl\n",
    "v3det.json": {
        "images": [{**image(6), "file_name": "images/a00000066/6_1.jpg"}, image(9)],
        "annotations": [box(1, 6, 3, [1, 2, 3, 4]), box(2, 6, 2, [1, 2, 30, 40])],
        "categories": categories((1, "cat"), (2, "wild dog"), (3, "owl")),
    },
}
OPEN_HEAD = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
)
OPEN_TREE = {
    "names.csv": "/m/011k07,Tortoise\n/m/011q46kg,Container\n/m/012074,Magpie\n/m/0120dh,Sea turtle\n",
    "boxes.csv": OPEN_HEAD
    + "\n000a,x,/m/012074,1,0.25,0.5,0.125,0.75,0,1,0,0,0\n000a,x,/m/011k07,1,0,1,0,0.5,1,0,1,0,0"
    "\n00b2,x,/m/0120dh,1,0.1,0.3,0.2,0.9,0,0,0,1,1\n00b2,x,/m/0120dh,1,0.5,0.75,0,1,0,0,0,0,1\n",
    "labels.csv": "ImageID,Source,LabelName,Confidence\n000a,verification,/m/012074,1\n000a,machine,/m/0120dh,0\n"
    "00b2,verification,/m/0120dh,1\n",
    "tree.json": {
        "LabelName": "/m/0bl9f",
        "Subcategory": [
            {
                "LabelName": "/m/011q46kg",
                "Subcategory": [{"LabelName": "/m/011k07", "Subcategory": [{"LabelName": "/m/0120dh"}]}],
            },
            {"LabelName": "/m/012074"},
        ],
    },
    "metas.pkl": pickle.dumps(
        [
            {"filename": "data/train/000a.jpg", "ori_shape": (80, 100, 3)},
            {"filename": "data/train/00b2.jpg", "ori_shape": (60, 50, 3)},
        ],
        protocol=4,
    ),
    "challenge/names.csv": "/m/012074,Magpie,2\n/m/011k07,Tortoise,1\n/m/0120dh,Sea turtle,3\n",
    "challenge/boxes.txt": "train/000a.jpg\n100\n2\n2 0.25 0.125 0.5 0.75 0\n1 0 0 1 0.5 1\ntrain/00b2.jpg\n50\n0\n",
    "challenge/labels.csv": "ImageID,LabelName,Confidence\n000a,/m/012074,1\n000a,/m/0120dh,0\n",
    "challenge/tree.np": npy(np.arange(16.0).reshape(4, 4)),
}
GROUND_TREE = {
    "od.jsonl": "\n".join(
        json.dumps(row)
        for row in (
            {
                "filename": "a.jpg",
                "height": 80,
                "width": 100,
                "detection": {
                    "instances": [
                        {"bbox": [1, 2, 30.5, 40], "label": 1, "category": "dog"},
                        {"bbox": [1, 2, 1.5, 40], "label": 0, "category": "cat"},
                        {"bbox": [90, 2, 130, 40], "label": 0, "category": "cat"},
                        {"bbox": [101, 2, 130, 40], "label": 0, "category": "cat"},
                    ]
                },
            },
            {"filename": "b.jpg", "height": 8, "width": 10},
        )
    ),
    "names.json": {"0": "cat", "1": "dog"},
    "vg.jsonl": json.dumps(
        {
            "filename": "a.jpg",
            "height": 80,
            "width": 100,
            "grounding": {
                "caption": "a cat and two dogs",
                "regions": [
                    {"bbox": [1, 2, 30, 40], "phrase": "a cat", "tokens_positive": [[0, 5]]},
                    {
                        "bbox": [[1, 2, 30, 40], [3, 4, 5, 6], [3, 4, 3, 6]],
                        "phrase": "two dogs",
                        "tokens_positive": [[10, 18]],
                    },
                ],
            },
        }
    ),
    "flickr.json": {
        "images": [
            image(8, caption="A man by a dog", tokens_positive_eval=[[[0, 5]], [[9, 14]]]),
            image(2, caption="Two birds", tokens_positive_eval=[[[0, 9]]]),
        ],
        "annotations": [
            box(1, 8, 1, [1, 2, 3, 4], phrase_ids=2),
            box(2, 8, 1, [5, 6, 7, 8], phrase_ids=0),
            box(3, 2, 1, [5.5, 6, 7, 8], phrase_ids=0),
        ],
        "categories": categories((1, "object")),
    },
    "ref.json": {
        "images": [
            image(8, caption="man in red", dataset_name="refcoco"),
            image(2, caption="left bird", dataset_name="refcoco+"),
        ],
        "annotations": [box(1, 8, 1, [1, 2, 3, 4]), box(3, 2, 1, [5.5, 6, 7, 8])],
        "categories": categories((1, "object")),
    },
    "instances.json": {
        "images": [image(5), image(6)],
        "annotations": [
            box(31, 5, 1, [1, 2, 30, 40], segmentation=[[1, 2, 3, 4, 5, 6]]),
            box(32, 6, 3, [1, 2, 3, 40.5], segmentation=[[7, 2, 3, 4, 5, 6]]),
        ],
        "categories": COCO_NAMES,
    },
    "refs.p": pickle.dumps(
        [
            {
                "ref_id": 1,
                "ann_id": 31,
                "image_id": 5,
                "category_id": 1,
                "split": "train",
                "sentences": [
                    {"raw": "The Man", "sent": "the man", "sent_id": 4},
                    {"raw": "left", "sent": "left", "sent_id": 5},
                ],
            },
            {
                "ref_id": 2,
                "ann_id": 32,
                "image_id": 6,
                "category_id": 3,
                "split": "val",
                "sentences": [{"raw": "Red car", "sent": "red car", "sent_id": 6}],
            },
        ],
        protocol=4,
    ),
}
VIDEO: dict[str, Any] = {
    "images": [
        image(4, video_id=2, frame_id=0),
        image(5, video_id=2, frame_id=1),
        image(9, video_id=1, frame_id=0),
        image(12, 20, 20, video_id=1, frame_id=1),
        image(13, 40, 40),
    ],
    "annotations": [
        box(1, 4, 1, [1, 2, 30, 40], instance_id=3, video_id=2, segmentation=[[1, 2, 3, 4, 5, 6]]),
        box(2, 4, 2, [4, 2, 0.5, 40], instance_id=4),
        box(3, 4, 2, [4, 2, 9, 40], iscrowd=1),
        box(4, 9, 2, [4, 2, 9, 40], instance_id=0),
        box(5, 12, 2, [4, 2, 9, 10], instance_id=0),
        box(6, 13, 1, [4, 2, 9, 10], instance_id=0),
    ],
    "categories": categories((1, "cat"), (2, "dog"), (9, "owl")),
}
VIDEO_TREE = {
    "vis.json": VIDEO,
    "emptied.json": {**VIDEO, "annotations": VIDEO["annotations"][:-1]},
    "mot.json": {
        "images": [
            image(1, video_id=1, frame_id=0, mot_frame_id=1),
            image(2, video_id=1, frame_id=1, mot_frame_id=2),
        ],
        "annotations": [
            box(1, 1, 1, [1, 2, 30, 40], instance_id=3, visibility=0.5, mot_conf=1.0),
            box(2, 1, 1, [5, 2, 30, 40], instance_id=4, visibility=0.125, mot_conf=1.0),
            box(3, 2, 1, [6, 2, 30, 40], instance_id=4, visibility=1.0, mot_conf=0.5, iscrowd=1),
        ],
        "categories": categories((1, "pedestrian")),
    },
    "reid.txt": "0001/a_01.jpg 4\n0001/a_02.jpg 4\n0002/b.jpg 0\n",
}

# segmentation --------------------------------------------------------------------------------------------------------

SEG_TREE = {
    **{f"img/{name}": "x" for name in ("b.jpg", "a.jpg", "c.png", "deep/d.jpg", "a.b.jpg", "deep/A.jpg")},
    **{f"ann/{name}": "x" for name in ("a.png", "b.png")},
    "split.txt": "b\n deep/d \na\n",
    "cs/leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png": "x",
    "cs/leftImg8bit/train/aachen/aachen_000001_000019_leftImg8bit.png": "x",
    "cs/leftImg8bit/train/bonn/bonn_000000_000019_leftImg8bit.png": "x",
    "cs/leftImg8bit/train/bonn/bonn_000000_000019_other.png": "x",
    "dz/a_rgb_anon.png": "x",
    "dz/b_rgb_anon.png": "x",
    "png/x.png": "x",
    "png/y_1.png": "x",
    "png2/x.png": "x",
    "nyu/bedroom_0025a_00000.jpg": "x",
    "nyu/deep/home_office_0001.jpg": "x",
    "nyu/attic_1.jpg": "x",
    "decathlon.json": {
        "name": "Hippo",
        "labels": {"0": "background", "1": "front", "2": "back"},
        "training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}],
        "test": ["./imagesTs/b.nii.gz"],
    },
}

# keypoints -----------------------------------------------------------------------------------------------------------


def points(count: int, start: int = 3, width: int = 90) -> list[int]:
    """Keypoints x, y, v: every fourth is not labelled."""
    rows: list[int] = []
    for place in range(count):
        number = start + place * 7
        rows += [0, 0, 0] if place % 4 == 3 else [number % width, number * 3 % 70, 1 + place % 2]
    return rows


def body(number: int, of: int, count: int, numbers: list[Any], **more: Any) -> dict[str, Any]:
    row = box(number, of, 1, numbers, keypoints=points(count, number), segmentation=[[1, 2, 3, 4, 5, number]])
    return {**row, "num_keypoints": count - count // 4, **more}


def without(row: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in keys}


PEOPLE = [{"id": 1, "name": "person", "keypoints": ["nose"], "skeleton": [[1, 2]]}]
POSE_IMAGES = [image(4, crowdIndex=0.5), image(9), image(10, 50, 60), image(3)]


def pose(*rows: dict[str, Any], images: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"images": images or POSE_IMAGES, "annotations": list(rows), "categories": PEOPLE}


COCO_POSE = pose(
    body(5, 4, 17, [10, 20, 30, 40]),
    body(2, 4, 17, [-5, -6, 300, 300.5], area=77.5),
    body(8, 4, 17, [1, 2, 3, 4], iscrowd=1),
    body(9, 10, 17, [1.25, 2, 3, 4], num_keypoints=0, keypoints=[0] * 51),
    without(body(12, 10, 17, [1.25, 2, 30, 40]), "num_keypoints", "area"),
    without(body(13, 10, 17, [1.25, 2, 30, 40]), "keypoints"),
    body(14, 10, 17, [20, 20, 0, 4]),
    body(15, 3, 17, [2, 3, 4, 5], category_id=1),
)
CENTER = {"center": [40.5, 30.25], "scale": 0.4}
HEADS = np.arange(12.0).reshape(2, 2, 3)


def parts(number: int, of: int, **more: Any) -> dict[str, Any]:
    """A person of COCO-WholeBody."""
    row = body(number, of, 17, [10, 20, 30, 40])
    for name, count in (("foot", 6), ("face", 68), ("lefthand", 21), ("righthand", 21)):
        row[f"{name}_kpts"] = points(count, number + count)
        row[f"{name}_valid"] = True
        row[f"{name}_box"] = [count, 5, 20, 30.5]
    return {**row, **more}


MPII = [
    {
        "image": "015601864.jpg",
        "center": [60.0, 40.0],
        "scale": 0.3,
        "joints": np.array(points(16, 5)).reshape(-1, 3)[:, :2].tolist(),
        "joints_vis": [int(place % 3 > 0) for place in range(16)],
    },
    {
        "image": "015599452.jpg",
        "center": [-1.0, -1.0],
        "scale": 0.4,
        "joints": np.array(points(16, 8)).reshape(-1, 3)[:, :2].tolist(),
        "joints_vis": [0] * 16,
    },
    {
        "image": "015601864.jpg",
        "center": [70.5, 40.0],
        "scale": 1.5,
        "category_id": 1,
        "joints": np.array(points(16, 9)).reshape(-1, 3)[:, :2].tolist(),
        "joints_vis": [1] * 16,
    },
]
H36M_NAMES = [f"S1/S1_Walking_1.54138969/S1_Walking_1.54138969_{frame:06}.jpg" for frame in range(1, 6)]
H36M_NAMES += [f"S5/S5_Sitting.60457274/S5_Sitting.60457274_{frame:06}.jpg" for frame in range(1, 4)]
H36M_RNG = np.random.default_rng(3)
H36M_TREE = {
    "h36m.npz": npz(
        imgname=np.array(H36M_NAMES),
        S=H36M_RNG.integers(0, 9, (8, 17, 4)).astype(np.float32) / 4,
        part=H36M_RNG.integers(0, 99, (8, 17, 3)).astype(np.float32),
        center=H36M_RNG.integers(0, 99, (8, 2)).astype(np.float64),
        scale=H36M_RNG.integers(1, 9, 8).astype(np.float64),
    ),
    "detected.npy": npy(H36M_RNG.integers(0, 99, (8, 17, 3)).astype(np.float32)),
    "factors.npy": npy(np.arange(8.0)),
    "cameras.pkl": pickle.dumps(
        {
            (person, camera): {"R": [[1.0, 0.0], [0.0, 1.0]], "w": 1000 + number, "name": camera}
            for number, (person, camera) in enumerate((("S1", "54138969"), ("S5", "60457274")))
        },
        protocol=4,
    ),
}
HANDS_RNG = np.random.default_rng(4)
HANDS_IMAGES = [
    image(number, capture=0, camera="400262", frame_idx=frame, seq_name="a")
    for number, frame in ((3, 11), (8, 12), (9, 12))
]
HANDS_TREE = {
    "hands.json": {
        "images": HANDS_IMAGES,
        "annotations": [
            box(
                number,
                of,
                1,
                [10, 5.5, 30, 20],
                joint_valid=[[int(place % 5 > 0)] for place in range(42)],
                hand_type=kind,
                hand_type_valid=1,
            )
            for number, of, kind in ((1, 3, "right"), (2, 8, "left"), (5, 9, "interacting"))
        ],
    },
    "cameras.json": {
        "0": {
            "campos": {"400262": [10.5, 20, -300]},
            "camrot": {"400262": [[1, 0, 0], [0, 0.75, 0.5], [0, -0.5, 0.75]]},
            "focal": {"400262": [1200.5, 1180]},
            "princpt": {"400262": [200, 150]},
        }
    },
    "joints.json": {
        "0": {
            str(frame): {"world_coord": HANDS_RNG.integers(-90, 90, (42, 3)).tolist(), "joint_valid": []}
            for frame in (11, 12)
        }
    },
}
POSE_TREE = {
    "coco.json": COCO_POSE,
    "found.json": [
        {"image_id": 9, "category_id": 1, "bbox": [1.5, 2, 30, 40], "score": 0.75},
        {"image_id": 9, "category_id": 2, "bbox": [1.5, 2, 30, 40], "score": 0.95},
        {"image_id": 4, "category_id": 1, "bbox": [3, 2, 30, 40.25], "score": 0.25},
        {"image_id": 9, "category_id": 1, "bbox": [5, 2, 30, 40], "score": 0.5},
    ],
    "whole.json": pose(parts(5, 4), without(parts(6, 9, iscrowd=1), "area"), parts(7, 9, face_valid=False)),
    "mpii.json": MPII,
    "trb.json": {
        "images": POSE_IMAGES,
        "annotations": [
            {**body(7, 9, 40, [1, 2, 3, 4]), **CENTER, "num_joints": 12, "headbox": [1, 2, 3, 4]},
            {**body(3, 4, 40, [1, 2, 3, 4]), **CENTER, "num_joints": 30},
        ],
    },
    "jhmdb.json": pose(body(5, 4, 15, [10, 20, 30, 40]), body(6, 9, 15, [0.5, 0, 300, 40], category_id=1)),
    "hand21.json": pose(
        body(5, 4, 21, [10, 20, 30, 40], head_size=3.5), body(6, 9, 21, [0.5, 0, 300, 40], head_size=2)
    ),
    "art21.json": pose(
        body(5, 4, 17, [10, 20, 30, 40], keypoints_21=points(21, 4)),
        without(body(6, 9, 17, [0.5, 0, 300, 40], keypoints_21=points(21, 6)), "num_keypoints"),
    ),
    "wflw.json": pose({**body(5, 4, 98, [1, 2, 3, 4]), **CENTER}),
    "aflw.json": pose({**body(5, 4, 19, [1, 2, 3, 4]), **CENTER, "box_size": 64.5}),
    "w68.json": pose({**body(5, 4, 68, [1, 2, 3, 4]), **CENTER}),
    "locust.json": pose(body(5, 4, 35, [1, 2, 3, 4]), body(6, 9, 35, [1, 2, 3, 4])),
    "zebra.json": pose(body(5, 4, 9, [1, 2, 3, 4])),
    "fashion.json": pose(body(5, 4, 8, [1, 2, 30, 40]), body(6, 9, 8, [0.5, 0, 300, 40])),
    "upper.json": pose(body(5, 4, 6, [1, 2, 30, 40])),
    "track/a.json": {
        "images": [{**image(4), "file_name": "v/000001.jpg", "nframes": 5, "frame_id": 10004}],
        "annotations": [body(5, 4, 17, [10, 20, 30, 40])],
        "categories": PEOPLE,
    },
}

# classification ------------------------------------------------------------------------------------------------------


def batch(count: int, start: int, key: str = "labels") -> bytes:
    """CIFAR's pickle: pictures as rows of 3 times 32 times 32 numbers."""
    data = (np.arange(3 * 32 * 32) // 96 + np.arange(start, start + count)[:, None]).astype(np.uint8)
    return pickle.dumps({"data": data, key: [(start + place) % 10 for place in range(count)]}, protocol=2)


def idx(array: Any) -> bytes:
    """MNIST's form: a magic number, the sizes, the bytes."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def objects(*rows: tuple[str, int]) -> str:
    return xml(50, 40, *((name, hard, (1, 2, 3, 4)) for name, hard in rows))


LABEL_TREE = {
    **{f"folders/{name}": "x" for name in ("dog/b.png", "dog/a.JPG", "cat/deep/c.jpeg", "cat/readme.txt", "ant/z.tif")},
    "names.txt": "ant\ncat\ndog\n",
    "labels.txt": "dog/b.png 2\ncat/deep/c d.jpeg 1\n",
    "files.txt": "dog/b.png\ncat/deep/c.jpeg\n",
    "imagenet/meta/train.txt": "n01440764/a.JPEG 0\nn01443537/b.JPEG 1\nn15075141/c.JPEG 999\n",
    "imagenet/test/x.JPEG": "x",
    "imagenet/val/n01440764/v.JPEG": "x",
    "own.json": {
        "metainfo": {"classes": ["a", "b"], "task": "pets"},
        "data_list": [{"img_path": "a.jpg", "gt_label": 1}, {"img_path": "deep/b.jpg", "gt_label": 0, "more": [1]}],
    },
    "many.json": {
        "metainfo": {"categories": [{"id": 1, "category_name": "b"}, {"id": 0, "category_name": "a"}]},
        "data_list": [{"img_path": "a.jpg", "gt_label": [0, 1]}, {"img_path": "b.jpg", "gt_label": []}],
    },
    "tasks.json": {
        "metainfo": {"tasks": ["gender", "wear"]},
        "data_list": [
            {"img_path": "a.jpg", "gt_label": {"gender": 0}},
            {"img_path": "b.jpg", "gt_label": {"gender": 1, "wear": [1, 0]}},
        ],
    },
    "cub/images.txt": "1 001.Albatross/a_1.jpg\n2 002.Auklet/b.jpg\n3 200.Yellow/c.jpg\n",
    "cub/image_class_labels.txt": "1 1\n2 2\n3 200\n",
    "cub/train_test_split.txt": "1 1\n2 0\n3 1\n",
    "voc/ImageSets/Main/trainval.txt": "000001\n000002\n",
    "voc/ImageSets/Main/test.txt": "000003\n",
    "voc/Annotations/000001.xml": objects(("dog", 0), ("cat", 1), ("dog", 1), ("unicorn", 0)),
    "voc/Annotations/000002.xml": objects(("person", 0)),
    "voc/Annotations/000003.xml": objects(("car", 0), ("person", 0)),
    "inshop/Eval/list_eval_partition.txt": "6\nimage_name item_id evaluation_status\n"
    "img/W/id_1/a.jpg id_1 train\nimg/W/id_2/a.jpg id_2 query\nimg/W/id_2/b.jpg id_2 gallery\n"
    "img/W/id_1/b.jpg id_1 train\nimg/W/id_3/a.jpg id_3 train\nimg/W/id_2/c.jpg id_2 gallery\n",
    **{f"cifar/cifar-10-batches-py/data_batch_{n}": batch(1, n) for n in range(1, 6)},
    "cifar/cifar-10-batches-py/test_batch": batch(2, 7),
    "cifar/cifar-100-python/train": batch(2, 3, "fine_labels"),
    "cifar/cifar-100-python/test": batch(1, 9, "fine_labels"),
    "mnist/train-images-idx3-ubyte": idx(np.arange(2 * 28 * 28).reshape(2, 28, 28) // 28),
    "mnist/train-labels-idx1-ubyte": idx(np.array([7, 2])),
    "mnist/t10k-images-idx3-ubyte": idx(np.arange(28 * 28).reshape(1, 28, 28) // 14),
    "mnist/t10k-labels-idx1-ubyte": idx(np.array([9])),
    "food/meta/train.txt": "apple_pie/1005649\nwaffles/971843\n",
    "food/meta/test.txt": "baklava/5\n",
    "pet/annotations/trainval.txt": "Abyssinian_100 1 1 1\nyorkshire_terrier_1 37 2 25\n",
    "pet/annotations/test.txt": "Bengal_1 5 1 2\n",
    "sun/Partitions/Training_01.txt": "/a/abbey/sun_aakbdcgfpksytcwj.jpg\n/y/youth_hostel/sun_b.jpg\n",
    "sun/Partitions/Testing_01.txt": "/a/apse/indoor/sun_c.jpg\n",
    "aircraft/data/images_variant_train.txt": "1025794 707-320\n1340192 A310\n",
    "aircraft/data/images_variant_trainval.txt": "1025794 707-320\n0056978 Yak-42\n",
    "aircraft/data/images_variant_test.txt": "1514522 Cessna 172\n",
}

# captions and questions ----------------------------------------------------------------------------------------------

WORD_TREE = {
    "caption.json": [
        {"image": "val2014/COCO_val2014_000000391895.jpg", "caption": ["A man.", "A bike."]},
        {"image": "val2014/COCO_val2014_000000000002.jpg", "caption": "A dog."},
    ],
    "retrieval.json": {
        "images": [
            {"id": 9, "coco_url": "http://images.cocodataset.org/val2017/000000000009.jpg"},
            {"id": 4, "coco_url": "http://images.cocodataset.org/train2017/000000000004.jpg"},
        ],
        "annotations": [
            {"id": 31, "image_id": 4, "caption": "A dog."},
            {"id": 30, "image_id": 9, "caption": "A cat."},
            {"id": 35, "image_id": 4, "caption": "One dog."},
        ],
    },
    "img/COCO_val2014_000000000042.jpg": "x",
    "img/COCO_val2014_000000000073.jpg": "x",
    "questions.json": {
        "questions": [
            {"question_id": 420, "image_id": 42, "question": "What?"},
            {"question_id": 730, "image_id": 73, "question": "Where?"},
        ]
    },
    "answers.json": {
        "annotations": [
            {
                "question_id": 420,
                "image_id": 42,
                "question_type": "what",
                "answer_type": "other",
                "multiple_choice_answer": "dog",
                "answers": [{"answer": word, "answer_id": n} for n, word in enumerate(("dog", "cat", "dog", "dog"))],
            },
            {"question_id": 730, "image_id": 73, "answers": [{"answer": "here", "answer_id": 1}]},
        ]
    },
    "flickr.json": {
        "images": [
            {
                "imgid": number,
                "filename": f"{number}.jpg",
                "split": split,
                "sentences": [{"raw": f"Raw {n}", "sentid": n} for n in range(number, number + 2)],
            }
            for number, split in ((5, "train"), (7, "val"), (9, "train"))
        ]
    },
    "gqa.json": [{"image": "1.jpg", "question": "Is it?", "answer": "yes"}],
    "nocaps.json": {
        "images": [image(5), image(2)],
        "annotations": [{"id": 8, "image_id": 2}, {"id": 3, "image_id": 5, "caption": "A"}],
    },
    "ocr.json": {
        key: {
            "split": split,
            "imageURL": f"http://x.com/{key}.{ending}",
            "questions": ["Who?", "What?"],
            "answers": ["He", "That"],
            "title": "T",
            "authorName": "N",
            "genre": "G",
        }
        for key, split, ending in (("a1", 1, "jpg"), ("a2", 2, "png"), ("a3", 1, "gif"))
    },
    "nlvr.jsonl": "\n".join(
        json.dumps({"identifier": f"dev-{n}-{n}-0", "sentence": f"S {n}", "label": label})
        for n, label in ((3, "True"), (4, "False"))
    ),
    "chat.json": [
        {"id": "5", "conversation": "###Ask: What? ###Answer: A dog."},
        {"id": "7", "conversation": "###问: 什么?"},
        {"id": "5", "conversation": "###Ask: Who?"},
    ],
    "vsr.json": [
        {"image": "1.jpg", "question": "Left?", "answer": 1},
        {"image": "2.jpg", "question": "Up?", "answer": 0},
    ],
    "text.json": {
        "data": [
            {"question": "Q", "question_id": 3, "image_id": "0ab", "answers": ["a", "b", "a", "a"]},
            {"question": "P", "question_id": 4, "image_id": "1ab"},
        ]
    },
    "info.json": {
        "data": [
            {"question": "Q", "image_local_name": "3.jpg", "answers": ["a"]},
            {"question": "P", "image_local_name": "4.jpg"},
        ]
    },
    "wiz.json": [
        {"image": "1.jpg", "question": "Q"},
        {
            "image": "2.jpg",
            "question": "P",
            "answerable": 1,
            "answers": [
                {"answer": "a", "answer_confidence": "yes"},
                {"answer": "unanswerable", "answer_confidence": "yes"},
                {"answer": "b", "answer_confidence": "maybe"},
                {"answer": "c", "answer_confidence": "yes"},
            ],
        },
        {"image": "3.jpg", "question": "R", "answerable": 0, "answers": []},
    ],
    "vg/image/5.jpg": "x",
    "vg/question_answers.json": [
        {
            "id": 5,
            "qas": [{"image_id": 5, "qa_id": 8, "question_id": 8, "quesiton": "Q", "question": "Q", "answer": "A"}],
        }
    ],
}

TREES: dict[str, dict[str, Any]] = {
    "coco": {
        "coco.json": COCO,
        "disorder.json": {**COCO, "categories": COCO_NAMES[::-1]},
        "wrong.json": {**COCO, "annotations": COCO_WRONG},
        "bare.json": {"images": COCO_IMAGES, "categories": COCO_NAMES},
        "panoptic.json": PANOPTIC,
        **{f"images/{one['file_name']}": "x" for one in COCO_IMAGES},
    },
    "voc": VOC_TREE,
    "wider": WIDER_TREE,
    "crowd": CROWD_TREE,
    "lvis": LVIS_TREE,
    "objects": OBJECTS_TREE,
    "v3det": V3DET_TREE,
    "open": OPEN_TREE,
    "ground": GROUND_TREE,
    "video": VIDEO_TREE,
    "seg": SEG_TREE,
    "pose": POSE_TREE,
    "h36m": H36M_TREE,
    "hands": HANDS_TREE,
    "label": LABEL_TREE,
    "word": WORD_TREE,
}
