"""Records the book ``dataset`` of tests/golden: what the datasets of mmdet 3.3.0, mmsegmentation 1.2.2, mmpose 1.3.2 and
mmpretrain 1.2.0 read from the made-up files of dataset_files.py, and their metainfo; an ``on_error`` of a config is fkit's alone, which tells what the references pass over.

    python experiments/record/dataset.py tests/golden/books/dataset.json

in an environment with the four packages, mmengine, mmcv-lite 2.1.0, pycocotools, xtcocotools, lvis and mat4py; compiled
operators and the like are replaced by empty stand-ins, as in loading.py. fkit is not imported. The files themselves go into the
book: text as it is, bytes by zlib and base64. Arrays of more than 12 numbers,
lists of more than 24 things, and values of metainfo are kept as digests.
"""

import base64
import copy
import hashlib
import importlib
import json
import os
import sys
import tempfile
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from dataset_files import TREES, content_of
from loading import Standins

MORE = ("transformers", "lap", "motmetrics", "trackeval", "seaborn", "chumpy", "nibabel", "modelindex")
MULTIMODAL = (
    "coco_caption",
    "coco_retrieval",
    "coco_vqa",
    "flamingo",
    "flickr30k_caption",
    "flickr30k_retrieval",
    "gqa_dataset",
    "infographic_vqa",
)
MULTIMODAL = (
    *MULTIMODAL,
    "minigpt4_dataset",
    "nocaps",
    "ocr_vqa",
    "refcoco",
    "textvqa",
    "visual_genome",
    "vizwiz",
    "vsr",
)
CATS = {"classes": ("person", "bicycle", "car")}
PAIR = {"classes": ("cat", "dog")}
FEW = {"classes": ("sea", "sky")}
IMG = {"img": "images"}
WORDS = {"img_path": "img"}
EMPTY = {"filter_empty_gt": True, "min_size": 32}

SET_LATER = (("mmdet", "YouTubeVISDataset"), ("mmpose", "DeepFashionDataset"))  # by an argument: see their cases
SAID = ("upper_body_ids", "lower_body_ids", "flip_pairs", "dataset_keypoint_weights", "flip_indices", "skeleton_links")

Case = tuple[str, str, dict[str, Any]]


def cases() -> list[Case]:
    """Package, tree, config."""
    return [*detection(), *segmentation(), *keypoints(), *classification(), *words(), *wrappers()]


def detection() -> list[Case]:
    def coco(type_: str = "CocoDataset", **more: Any) -> Case:
        cfg = {"type": type_, "data_root": "data", "ann_file": "coco.json", "data_prefix": IMG, "metainfo": CATS}
        return "mmdet", "coco", {**cfg, **more}

    def of(tree: str, type_: str, ann_file: str, **more: Any) -> Case:
        return "mmdet", tree, {"type": type_, "data_root": "data", "ann_file": ann_file, "data_prefix": IMG, **more}

    def opened(type_: str, folder: str, ann_file: str, hierarchy: str, **more: Any) -> Case:
        files = {"label_file": f"{folder}names.csv", "hierarchy_file": f"{folder}{hierarchy}", "meta_file": "metas.pkl"}
        return of("open", type_, folder + ann_file, **files, **more)

    one, car = {"classes": ("person",)}, {"classes": ("car",)}
    voc = {"data_prefix": {"sub_data_root": "VOC2007/"}}
    panoptic = {"data_prefix": {"img": "images", "seg": "maps"}, "ann_file": "panoptic.json"}
    people = {
        "classes": ("person", "bicycle", "rug-merged"),
        "thing_classes": ("person", "bicycle"),
        "stuff_classes": ("rug-merged",),
    }
    videos = {"data_prefix": WORDS, "metainfo": PAIR}
    return [
        coco(), coco(metainfo=None), coco(filter_cfg=EMPTY), coco(filter_cfg={"filter_empty_gt": True}), coco(filter_cfg=EMPTY, test_mode=True),
        coco(metainfo=car, filter_cfg=EMPTY), coco(metainfo=one), coco(indices=2), coco(indices=-2, filter_cfg=EMPTY), coco(indices=[4, 0]),
        coco(data_prefix={"img": "images", "seg": "maps"}, seg_map_suffix="_m.png"), coco(return_classes=True, caption_prompt={"car": {"suffix": "!"}}),
        coco(serialize_data=False), coco(ann_file="disorder.json"), coco(ann_file="wrong.json", on_error="skip"), coco(ann_file="bare.json", test_mode=True),
        coco("CityscapesDataset", metainfo=CATS, filter_cfg=EMPTY), coco("ADE20KInstanceDataset"), coco("DeepFashionDataset"), coco("iSAIDDataset"),
        coco("CocoPanopticDataset", metainfo=None, **panoptic), coco("CocoPanopticDataset", metainfo=people, **panoptic, filter_cfg=EMPTY, return_classes=True),
        coco("CocoPanopticDataset", metainfo=people, **panoptic, test_mode=True), coco("ADE20KPanopticDataset", metainfo=people, **panoptic, filter_cfg={"filter_empty_gt": True}),
        of("voc", "VOCDataset", "VOC2007/ImageSets/Main/trainval.txt", **voc), of("voc", "VOCDataset", "VOC2007/ImageSets/Main/trainval.txt", **voc, filter_cfg={**EMPTY, "bbox_min_size": 32}),
        of("voc", "VOCDataset", "VOC2007/ImageSets/Main/trainval.txt", **voc, test_mode=True), of("voc", "VOCDataset", "VOC2007/ImageSets/Main/trainval.txt", **voc, metainfo={"classes": ("person", "dog")}, filter_cfg=EMPTY),
        of("wider", "WIDERFaceDataset", "train.txt", data_prefix={"img": "WIDER_train"}), of("wider", "WIDERFaceDataset", "train.txt", data_prefix={"img": "WIDER_train"}, filter_cfg={"filter_empty_gt": True, "bbox_min_size": 17, "min_size": 32}),
        of("crowd", "CrowdHumanDataset", "annotation_train.odgt", data_prefix={"img": "Images/"}), of("lvis", "LVISV05Dataset", "lvis.json", metainfo=PAIR), of("lvis", "LVISV05Dataset", "lvis.json", metainfo=PAIR, filter_cfg=EMPTY),
        of("lvis", "LVISV1Dataset", "lvis_v1.json", metainfo=PAIR, data_prefix={"img": ""}), of("objects", "Objects365V1Dataset", "v1.json"), of("objects", "Objects365V2Dataset", "v2.json"), of("objects", "Objects365V2Dataset", "v2.json", filter_cfg=EMPTY),
        of("v3det", "V3DetDataset", "v3det.json", label_file="annotations/names.txt", data_prefix={"img": ""}), of("v3det", "V3DetDataset", "v3det.json", label_file="annotations/names.txt", filter_cfg=EMPTY),
        opened("OpenImagesDataset", "", "boxes.csv", "tree.json"), opened("OpenImagesDataset", "", "boxes.csv", "tree.json", image_level_ann_file="labels.csv", test_mode=True),
        opened("OpenImagesChallengeDataset", "challenge/", "boxes.txt", "tree.np"), opened("OpenImagesChallengeDataset", "challenge/", "boxes.txt", "tree.np", image_level_ann_file="challenge/labels.csv"),
        of("ground", "ODVGDataset", "od.jsonl", label_map_file="names.json", return_classes=True), of("ground", "ODVGDataset", "od.jsonl", label_map_file="names.json", need_text=False, return_classes=True),
        of("ground", "ODVGDataset", "vg.jsonl", return_classes=True), of("ground", "Flickr30kDataset", "flickr.json"), of("ground", "MDETRStyleRefCocoDataset", "ref.json", test_mode=True),
        *(of("ground", "RefCocoDataset", "instances.json", split_file="refs.p", data_prefix=WORDS, text_mode=mode, **more) for mode, more in (("original", {}), ("concat", {}), ("select_first", {"split": "val"}))),
        of("word", "CocoCaptionDataset", "caption.json", data_prefix=WORDS),
        of("video", "YouTubeVISDataset", "vis.json", dataset_version="2021", **videos), of("video", "YouTubeVISDataset", "vis.json", dataset_version="2019", **videos, test_mode=True),
        of("video", "YouTubeVISDataset", "vis.json", dataset_version="2019", **videos, filter_cfg={"filter_empty_gt": False, "min_size": 10}), of("video", "BaseVideoDataset", "vis.json", **videos, filter_cfg=EMPTY), of("video", "BaseVideoDataset", "emptied.json", **videos),
        of("video", "MOTChallengeDataset", "mot.json", data_prefix=WORDS, metainfo={"classes": ("pedestrian",)}), of("video", "MOTChallengeDataset", "mot.json", data_prefix=WORDS, metainfo={"classes": ("pedestrian",)}, visibility_thr=0.25),
        of("video", "MOTChallengeDataset", "mot.json", data_prefix=WORDS, metainfo={"classes": ("pedestrian",)}, visibility_thr=0.25, test_mode=True), of("video", "ReIDDataset", "reid.txt", data_prefix=WORDS),
    ]  # fmt: skip


def segmentation() -> list[Case]:
    def seg(type_: str, images: str = "img", maps: str | None = "ann", **more: Any) -> Case:
        prefix = {"img_path": images, **({"seg_map_path": maps} if maps else {})}
        return "mmseg", "seg", {"type": type_, "data_root": "data", "data_prefix": prefix, **more}

    same = [
        seg(name)
        for name in (
            "ADE20KDataset",
            "COCOStuffDataset",
            "PascalContextDataset",
            "PascalContextDataset59",
            "BDD100KDataset",
            "LIPDataset",
            "SynapseDataset",
            "MapillaryDataset_v1",
        )
    ]
    png = [
        seg(name, "png")
        for name in (
            "ChaseDB1Dataset",
            "DRIVEDataset",
            "HRFDataset",
            "ISPRSDataset",
            "LoveDADataset",
            "PotsdamDataset",
            "REFUGEDataset",
            "STAREDataset",
            "iSAIDDataset",
        )
    ]
    cities = {"images": "cs/leftImg8bit/train", "maps": "cs/gtFine/train"}
    return [
        seg("BaseSegDataset", metainfo=FEW), seg("BaseSegDataset", metainfo=FEW, ann_file="split.txt"), seg("BaseSegDataset", maps=None, metainfo=FEW, test_mode=True),
        seg("BaseSegDataset", metainfo={**FEW, "palette": [[1, 2, 3], [4, 5, 6]]}, img_suffix=".png", seg_map_suffix="_l.png", reduce_zero_label=True, ignore_index=0, indices=1),
        seg("CityscapesDataset", **cities), seg("CityscapesDataset", **cities, metainfo={"classes": ("car", "road")}), seg("NightDrivingDataset", **cities), seg("DarkZurichDataset", "dz", "dz"), *same, *png,
        seg("ADE20KDataset", reduce_zero_label=False, indices=[2, 0]), seg("PascalVOCDataset", ann_file="split.txt"), seg("PascalVOCDataset", ann_file="split.txt", metainfo={"classes": ("cat", "aeroplane")}),
        seg("PascalContextDataset", ann_file="split.txt"), seg("NYUDataset", "nyu", None), ("mmseg", "seg", {"type": "NYUDataset", "data_root": "data", "data_prefix": {"img_path": "nyu", "depth_map_path": "depth"}}),
        ("mmseg", "seg", {"type": "LEVIRCDDataset", "data_root": "data", "data_prefix": {"img_path": "png", "img_path2": "png2", "seg_map_path": "ann"}}),
        seg("DecathlonDataset", ann_file="decathlon.json"), seg("DecathlonDataset", ann_file="decathlon.json", test_mode=True, metainfo=FEW),
    ]  # fmt: skip


def keypoints() -> list[Case]:
    def pose(type_: str, ann_file: str, tree: str = "pose", **more: Any) -> Case:
        return "mmpose", tree, {"type": type_, "data_root": "data", "ann_file": ann_file, "data_prefix": IMG, **more}

    bottom, found = {"data_mode": "bottomup"}, {"bbox_file": "data/found.json", "test_mode": True}
    hands = {"camera_param_file": "cameras.json", "joint_file": "joints.json"}
    return [
        pose("CocoDataset", "coco.json"), pose("CocoDataset", "coco.json", test_mode=True), pose("CocoDataset", "coco.json", **bottom), pose("CocoDataset", "coco.json", **bottom, test_mode=True),
        pose("CocoDataset", "coco.json", **found), pose("CocoDataset", "coco.json", **found, filter_cfg={"bbox_score_thr": 0.5}), pose("CocoDataset", "coco.json", sample_interval=2, indices=2),
        pose("CocoWholeBodyDataset", "whole.json"), pose("CocoWholeBodyDataset", "whole.json", **bottom), pose("UBody2dDataset", "whole.json"), pose("CocoWholeBodyFaceDataset", "whole.json"), pose("CocoWholeBodyHandDataset", "whole.json"),
        pose("CrowdPoseDataset", "coco.json", metainfo={"from_file": "configs/_base_/datasets/coco.py"}), pose("PoseTrack18Dataset", "coco.json"), pose("OCHumanDataset", "coco.json", **bottom), pose("AP10KDataset", "coco.json"), pose("HumanArtDataset", "coco.json"),
        pose("MpiiDataset", "mpii.json"), pose("MpiiDataset", "mpii.json", **bottom), pose("MpiiTrbDataset", "trb.json"), pose("JhmdbDataset", "jhmdb.json"), pose("JhmdbDataset", "jhmdb.json", **bottom),
        pose("FreiHandDataset", "hand21.json"), pose("PanopticHand2DDataset", "hand21.json"), pose("OneHand10KDataset", "hand21.json"), pose("Rhd2DDataset", "hand21.json"), pose("HumanArt21Dataset", "art21.json"),
        pose("WFLWDataset", "wflw.json"), pose("AFLWDataset", "aflw.json"), pose("AFLWDataset", "aflw.json", test_mode=True), pose("Face300WDataset", "w68.json"), pose("Face300WLPDataset", "w68.json"), pose("Face300VWDataset", "w68.json"),
        pose("LocustDataset", "locust.json"), pose("ZebraDataset", "zebra.json"), pose("DeepFashionDataset", "fashion.json", subset="full"), pose("DeepFashionDataset", "upper.json", subset="upper"),
        pose("InterHand2DDoubleDataset", "hands.json", "hands", **hands), pose("InterHand2DDoubleDataset", "hands.json", "hands", **hands, sample_interval=2), pose("InterHand3DDataset", "hands.json", "hands", **hands),
        pose("Human36mDataset", "h36m.npz", "h36m"), pose("Human36mDataset", "h36m.npz", "h36m", seq_len=3, causal=False, pad_video_seq=True, camera_param_file="cameras.pkl"), pose("Human36mDataset", "h36m.npz", "h36m", seq_len=2, seq_step=2, factor_file="factors.npy"),
        pose("Human36mDataset", "h36m.npz", "h36m", seq_len=1, multiple_target=2, keypoint_2d_src="detection", keypoint_2d_det_file="detected.npy"), pose("Human36mDataset", "h36m.npz", "h36m", seq_len=3, causal=True, pad_video_seq=True),
        pose("PoseTrack18VideoDataset", "track/a.json", frame_weights=[0.0, 0.5, 0.5], frame_sampler_mode="fixed", frame_indices=[-2, 0, 3]),
    ]  # fmt: skip


def classification() -> list[Case]:
    def of(type_: str, **more: Any) -> Case:
        return "mmpretrain", "label", {"type": type_, **more}

    own = [of(name, data_root=f"data/{folder}", split=split) for name, folder, splits in (
        ("CIFAR10", "cifar", "train test"), ("CIFAR100", "cifar", "train test"), ("CUB", "cub", "train test"), ("InShop", "inshop", "train query gallery"), ("Food101", "food", "train test"),
        ("OxfordIIITPet", "pet", "trainval test"), ("SUN397", "sun", "train test"), ("FGVCAircraft", "aircraft", "train trainval test"),
    ) for split in splits.split()]  # fmt: skip
    return [
        of("CustomDataset", data_root="data/folders"), of("CustomDataset", data_root="data", data_prefix="folders", with_label=False), of("CustomDataset", data_root="data", ann_file="labels.txt", data_prefix="folders"),
        of("CustomDataset", data_root="data", ann_file="files.txt", data_prefix="folders", with_label=False, classes=["a", "b"]), of("CustomDataset", data_root="data/folders", extensions=[".png"], classes="data/names.txt"),
        of("ImageNet", data_root="data/imagenet", split="train"), of("ImageNet", data_root="data/imagenet", split="test"), of("ImageNet", data_root="data/imagenet", ann_file="meta/train.txt", data_prefix="train", indices=2),
        of("ImageNet", data_root="data/imagenet", split="val", classes=["tench"]), of("ImageNet21k", data_root="data/imagenet", split="train"), of("Places205", data_root="data", ann_file="labels.txt", data_prefix="folders"),
        of("BaseDataset", data_root="data", ann_file="own.json", data_prefix="folders"), of("BaseDataset", data_root="data", ann_file="own.json", data_prefix="folders", metainfo={"classes": ("x", "y")}, indices=-1), of("MultiLabelDataset", data_root="data", ann_file="many.json"),
        of("MultiTaskDataset", data_root="data", ann_file="tasks.json", data_prefix="folders"), *own, of("MNIST", data_root="data/mnist"), of("MNIST", data_root="data/mnist", split="test", test_mode=True), of("FashionMNIST", data_root="data/mnist"),
        of("VOC", data_root="data/voc"), of("VOC", data_root="data/voc", split="test", test_mode=True), of("VOC", data_root="data/voc", split="test", data_prefix="JPEGImages", test_mode=True),
    ]  # fmt: skip


def words() -> list[Case]:
    def of(type_: str, tree: str = "word", **more: Any) -> Case:
        return "mmpretrain", tree, {"type": type_, "data_root": "data", **more}

    return [
        of("COCOCaption", ann_file="caption.json", data_prefix=WORDS), of("COCORetrieval", ann_file="retrieval.json", data_prefix=WORDS), of("COCORetrieval", ann_file="retrieval.json", test_mode=True),
        of("COCOVQA", data_prefix="img", question_file="questions.json", ann_file="answers.json"), of("COCOVQA", data_prefix="img", question_file="questions.json"),
        *(of(name, ann_file="flickr.json", data_prefix="img", split=split, **more) for name, split, more in (("Flickr30kCaption", "train", {}), ("Flickr30kRetrieval", "train", {}), ("Flickr30kRetrieval", "train", {"test_mode": True}))),
        of("GQA", ann_file="gqa.json", data_prefix="img"), of("NoCaps", ann_file="nocaps.json", data_prefix=WORDS), of("OCRVQA", ann_file="ocr.json", data_prefix="img", split="train"), of("NLVR2", ann_file="nlvr.jsonl", data_prefix=WORDS),
        of("MiniGPT4Dataset", data_root="", ann_file="data/chat.json"), of("VSR", ann_file="vsr.json", data_prefix="img"), of("TextVQA", ann_file="text.json", data_prefix="img"), of("InfographicVQA", ann_file="info.json", data_prefix="img"), of("VizWiz", ann_file="wiz.json", data_prefix="img"),
        of("VisualGenomeQA", data_prefix="vg/image", ann_file="vg/question_answers.json"), of("RefCOCO", "ground", ann_file="instances.json", split_file="refs.p", data_prefix="img"),
    ]  # fmt: skip


def wrappers() -> list[Case]:
    own = {"type": "BaseDataset", "data_root": "data", "ann_file": "own.json"}
    coco = {"type": "CocoDataset", "data_root": "data", "ann_file": "coco.json", "data_prefix": IMG, "metainfo": CATS}
    pose = {"type": "CocoDataset", "data_root": "data", "ann_file": "coco.json", "data_prefix": IMG}
    told = {"metainfo": {"from_file": "configs/_base_/datasets/coco.py"}}
    return [
        *(("mmpretrain", "label", {"type": "KFoldDataset", "dataset": {"type": "CustomDataset", "data_root": "data/folders"}, "num_splits": 3, **more}) for more in ({"fold": 1}, {"fold": 2, "test_mode": True}, {"fold": 0, "seed": 3})),
        ("mmpretrain", "label", {"type": "ConcatDataset", "datasets": [own, {**own, "indices": 1}]}), ("mmpretrain", "label", {"type": "RepeatDataset", "dataset": own, "times": 3}),
        ("mmdet", "coco", {"type": "ConcatDataset", "datasets": [coco, {**coco, "indices": 2}]}), ("mmdet", "coco", {"type": "ConcatDataset", "datasets": [coco, {**coco, "metainfo": {"classes": ("car",)}}]}),
        ("mmdet", "coco", {"type": "ClassBalancedDataset", "dataset": coco, "oversample_thr": 0.75}), ("mmdet", "coco", {"type": "RepeatDataset", "dataset": {**coco, "filter_cfg": EMPTY}, "times": 2}),
        ("mmpose", "pose", {"type": "CombinedDataset", "datasets": [pose, {**pose, "indices": 1}], **told}), ("mmpose", "pose", {"type": "CombinedDataset", "datasets": [pose], "sample_ratio_factor": [2], **told}),
    ]  # fmt: skip


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(plain(value), sort_keys=True).encode()).hexdigest()[:8]


def digests(meta: Any) -> dict[str, str]:
    """Of each value; of more than six, of all in one."""
    return {key: digest(value) for key, value in meta.items()} if len(meta) <= 6 else {"all": digest(dict(meta))}


def plain(value: Any) -> Any:
    """A value as JSON has it: an array with its type."""
    if isinstance(value, np.ndarray):
        return {"$a": value.tolist(), "dtype": str(value.dtype), "shape": list(value.shape) if value.size else []}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


def short(value: Any) -> Any:
    """The same with long arrays, and lists of more than 24 things, as digests."""
    if (isinstance(value, np.ndarray) and value.size > 12) or (isinstance(value, (list, tuple)) and len(value) > 24):
        return {"$d": digest(value)}
    if isinstance(value, dict):
        return {str(key): short(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [short(one) for one in value]
    return plain(value)


def laid(tree: str, folder: Path) -> None:
    for path, content in TREES[tree].items():
        file = folder / "data" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content_of(content))


def read(package: str, cfg: dict[str, Any]) -> dict[str, Any]:
    dataset = importlib.import_module(f"{package}.registry").DATASETS.build(
        {key: copy.deepcopy(value) for key, value in cfg.items() if key != "on_error"}
    )
    several = isinstance(getattr(dataset, "datasets", None), list) or (
        package == "mmpretrain" and cfg["type"] == "MultiTaskDataset"
    )
    records = [dataset[at] if several else dataset.get_data_info(at) for at in range(len(dataset))]
    out: dict[str, Any] = {"len": len(dataset), "records": [shortened(record) for record in records]}
    try:
        out["cat_ids"] = [plain(list(dataset.get_cat_ids(at))) for at in range(len(dataset))]
    except Exception:  # it has none
        out["cat_ids"] = None
    meta = dataset.metainfo
    out["metainfo"] = digests(meta) if isinstance(meta, dict) else None
    return out


def shortened(record: dict[str, Any]) -> dict[str, Any]:
    """A record without the dataset that mmpose puts into it, and with what it repeats of the metainfo as one digest."""
    left = {
        key: value for key, value in record.items() if key not in SAID and (key != "dataset" or isinstance(value, str))
    }
    space = left.get("keypoints_3d", 0)
    if space is None or (isinstance(space, list) and space[0] is None):  # COCO-WholeBody: of the file's type
        left.update({key: left[key].astype(np.float32) for key in ("keypoints", "keypoints_visible")})
    raw = {"raw_ann_info": digest(record["raw_ann_info"])} if "raw_ann_info" in record else {}
    if left.get("gt_label_difficult") is not None:  # sets, in any order
        left.update({key: sorted(left[key]) for key in ("gt_label", "gt_label_difficult")})
    said = {key: record[key] for key in SAID if key in record}
    return {**short({**left, **raw}), **({"said": digest(said)} if said else {})}


def known(package: str) -> dict[str, Any]:
    """The metainfo of every class."""
    registry = importlib.import_module(f"{package}.registry").DATASETS
    found: dict[str, Any] = {}
    for name, cls in sorted(registry.module_dict.items()):
        meta = getattr(cls, "METAINFO", None)
        if not meta or not cls.__module__.startswith(package) or (package, name) in SET_LATER:
            continue
        if package == "mmpose":
            meta = importlib.import_module("mmpose.datasets.datasets.utils").parse_pose_metainfo(dict(meta))
        found[name] = digests(meta)
    return found


def main() -> None:
    warnings.simplefilter("ignore")
    importlib.import_module("loading").STANDINS = (*importlib.import_module("loading").STANDINS, *MORE)
    sys.meta_path.insert(0, Standins())
    target, packages = Path(sys.argv[1]).resolve(), ("mmdet", "mmseg", "mmpretrain", "mmpose")
    for package in packages:
        importlib.import_module(f"{package}.datasets")
    for name in MULTIMODAL:
        importlib.import_module(f"mmpretrain.datasets.{name}")
    for name in ("CIFAR10", "CIFAR100"):  # made-up files have other checksums
        getattr(importlib.import_module("mmpretrain.datasets"), name)._check_integrity = lambda self: True
    scope = importlib.import_module("mmengine.registry").DefaultScope
    rows: list[dict[str, Any]] = []
    for number, (package, tree, cfg) in enumerate(cases()):
        with tempfile.TemporaryDirectory() as folder, scope.overwrite_default_scope(package):
            laid(tree, Path(folder))
            os.chdir(folder)
            np.random.seed(0)
            try:
                out = read(package, cfg)
            except Exception as error:
                sys.stderr.write(f"{package} {cfg['type']}: {type(error).__name__}: {error}\n")
                continue
            finally:
                os.chdir("/")
        place = sum(row["id"].startswith(f"{package}/{cfg['type']}/") for row in rows) + 1
        rows.append(
            {"id": f"{package}/{cfg['type']}/{place}", "scope": package, "tree": tree, "cfg": plain(cfg), "out": out}
        )
        sys.stdout.write(f"{number} {rows[-1]['id']}\n")
    for package in packages:
        rows += [
            {"id": f"metainfo/{package}/{name}", "scope": package, "name": name, "metainfo": meta}
            for name, meta in known(package).items()
        ]
    used = {row.get("tree") for row in rows}
    files = {tree: {path: stored(content) for path, content in TREES[tree].items()} for tree in TREES if tree in used}
    meta = {
        "packages": "mmdet 3.3.0, mmsegmentation 1.2.2, mmpose 1.3.2, mmpretrain 1.2.0",
        "how": "experiments/record/dataset.py",
    }
    write = [json.dumps(row, separators=(",", ":")) for row in rows]
    trees = [f"{json.dumps(tree)}:{json.dumps(content, separators=(',', ':'))}" for tree, content in files.items()]
    with open(target, "w", encoding="utf-8") as file:
        file.write(
            f'{{"meta":{json.dumps(meta)},"trees":{{\n'
            + ",\n".join(trees)
            + '\n},"cases":[\n'
            + ",\n".join(write)
            + "\n]}\n"
        )


def stored(content: Any) -> Any:
    whole = content_of(content)
    return {"$z": base64.b64encode(zlib.compress(whole, 9)).decode()} if isinstance(content, bytes) else whole.decode()


if __name__ == "__main__":
    main()
