"""Facts of public data sets: names of classes, colours, keypoints, links and weights, from the reference's wheels.

    python experiments/record/metainfo.py FOLDER_OF_WHEELS

Writes fkit/data/metainfo/KIND/NAME.yaml. Files are read as syntax trees: nothing of them is run or copied but literals.
"""

import ast
import sys
import zipfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from frozendict import frozendict

import fkit
from fkit.tree.tree import thaw

OUT = Path(__file__).parents[2] / "fkit" / "data" / "metainfo"
WIDTH = 118

# (wheel, kind, file, class or variable) -> the name of the facts
ROWS = (
    *(
        ("mmdet", "detection", f"mmdet/datasets/{file}.py", maker, name)
        for file, maker, name in (
            ("coco", "CocoDataset", "coco"),
            ("coco_panoptic", "CocoPanopticDataset", "coco_panoptic"),
            ("ade20k", "ADE20KPanopticDataset", "ade20k_panoptic"),
            ("ade20k", "ADE20KInstanceDataset", "ade20k_instance"),
            ("lvis", "LVISV05Dataset", "lvis_v05"),
            ("lvis", "LVISV1Dataset", "lvis_v1"),
            ("objects365", "Objects365V1Dataset", "objects365_v1"),
            ("objects365", "Objects365V2Dataset", "objects365_v2"),
            ("cityscapes", "CityscapesDataset", "cityscapes"),
            ("crowdhuman", "CrowdHumanDataset", "crowdhuman"),
            ("deepfashion", "DeepFashionDataset", "deepfashion"),
            ("isaid", "iSAIDDataset", "isaid"),
            ("mot_challenge_dataset", "MOTChallengeDataset", "mot"),
            ("voc", "VOCDataset", "voc"),
            ("wider_face", "WIDERFaceDataset", "wider_face"),
            ("youtube_vis_dataset", "classes_2019_version", "youtube_vis_2019"),
            ("youtube_vis_dataset", "classes_2021_version", "youtube_vis_2021"),
        )
    ),
    *(
        ("mmsegmentation", "segmentation", f"mmseg/datasets/{file}.py", maker, name)
        for file, maker, name in (
            ("ade", "ADE20KDataset", "ade20k"),
            ("bdd100k", "BDD100KDataset", "bdd100k"),
            ("chase_db1", "ChaseDB1Dataset", "chase_db1"),
            ("cityscapes", "CityscapesDataset", "cityscapes"),
            ("coco_stuff", "COCOStuffDataset", "coco_stuff"),
            ("drive", "DRIVEDataset", "drive"),
            ("hrf", "HRFDataset", "hrf"),
            ("isaid", "iSAIDDataset", "isaid"),
            ("isprs", "ISPRSDataset", "isprs"),
            ("levir", "LEVIRCDDataset", "levir"),
            ("lip", "LIPDataset", "lip"),
            ("loveda", "LoveDADataset", "loveda"),
            ("mapillary", "MapillaryDataset_v1", "mapillary_v1"),
            ("mapillary", "MapillaryDataset_v2", "mapillary_v2"),
            ("nyu", "NYUDataset", "nyu"),
            ("pascal_context", "PascalContextDataset", "pascal_context"),
            ("pascal_context", "PascalContextDataset59", "pascal_context_59"),
            ("potsdam", "PotsdamDataset", "potsdam"),
            ("refuge", "REFUGEDataset", "refuge"),
            ("stare", "STAREDataset", "stare"),
            ("synapse", "SynapseDataset", "synapse"),
            ("voc", "PascalVOCDataset", "voc"),
        )
    ),
    *(
        ("mmpretrain", "classification", "mmpretrain/datasets/categories.py", variable, name)
        for variable, name in (
            ("CALTECH101_CATEGORIES", "caltech101"),
            ("CIFAR10_CATEGORIES", "cifar10"),
            ("CIFAR100_CATEGORIES", "cifar100"),
            ("CUB_CATEGORIES", "cub"),
            ("DTD_CATEGORIES", "dtd"),
            ("FASHIONMNIST_CATEGORITES", "fashion_mnist"),
            ("FGVCAIRCRAFT_CATEGORIES", "fgvc_aircraft"),
            ("FOOD101_CATEGORIES", "food101"),
            ("IMAGENET_CATEGORIES", "imagenet"),
            ("MNIST_CATEGORITES", "mnist"),
            ("OxfordIIITPet_CATEGORIES", "oxford_iiit_pet"),
            ("PLACES205_CATEGORIES", "places205"),
            ("STANFORDCARS_CATEGORIES", "stanford_cars"),
            ("SUN397_CATEGORIES", "sun397"),
            ("VOC2007_CATEGORIES", "voc2007"),
        )
    ),
)
POSE = "mmpose/.mim/configs/_base_/datasets/"


def literal(node: ast.expr, names: Mapping[str, ast.expr] = frozendict()) -> Any:
    """The value of an expression of literals, ``dict(...)``, sums, products, quotients and the file's ``names`` among them."""
    of = partial(literal, names=names)
    match node:
        case ast.Name(id=name) if name in names:
            return of(names[name])
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords):
            return {word.arg: of(word.value) for word in keywords}
        case ast.Dict(keys=keys, values=values):
            return {of(key): of(value) for key, value in zip(keys, values, strict=True) if key is not None}
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [of(item) for item in items]
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return of(left) * of(right)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return of(left) / of(right)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return of(left) + of(right)
        case _:
            return ast.literal_eval(node)


def said(source: str, name: str) -> Mapping[str, Any]:
    """``METAINFO`` of the class ``name``, or the classes that the variable ``name`` lists, wherever it stands."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return next(
                literal(value, dict(assigned(tree))) for target, value in assigned(node) if target == "METAINFO"
            )
    for target, value in assigned(tree):
        if target == name:
            return {"classes": literal(value)}
    raise SystemExit(f"{name} is not there")


def assigned(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(tree):
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(target, ast.Name) and node.value is not None:
            yield target.id, node.value


def text_of(value: Any) -> str:
    """A value on one line of YAML."""
    if isinstance(value, str):
        plain = value.replace(" ", "").replace("_", "").isalpha() and value == value.strip() and value.lower() not in (
            "yes", "no", "on", "off", "true", "false", "null", "y", "n",
        )  # fmt: skip
        return value if plain else "'" + value.replace("'", "''") + "'"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(text_of, value)) + "]"
    return "null" if value is None else repr(value)


def wrapped(name: str, items: list[str], opening: str = "[", closing: str = "]", mark: str = ", ") -> str:
    """A list over as many lines as it needs."""
    lines, line = [], "  "
    for place, item in enumerate(items):
        piece = item + (mark if place + 1 < len(items) else "")
        if len(line) + len(piece.rstrip()) > WIDTH:
            lines.append(line.rstrip())
            line = "  "
        line += piece
    body = "\n".join([*lines, line.rstrip()])
    return f"{name}: {opening}\n{body}\n{'  ' + closing if closing else ''}".rstrip() + "\n"


def colours(rows: list[list[int]]) -> list[str]:
    return ["".join(f"{part:02x}" for part in row) for row in rows]


def classes_text(facts: Mapping[str, Any]) -> str:
    parts: list[str] = []
    for key, value in facts.items():
        if key == "palette":
            parts.append(
                wrapped("palette", colours(value), ">-", "", " ") if isinstance(value, list) else "palette: null\n"
            )
        elif isinstance(value, list) and value:
            parts.append(wrapped(key, [text_of(item) for item in value]))
        elif value:
            parts.append(f"{key}: {text_of(value)}\n")
    return "".join(parts)


def pose_text(facts: Mapping[str, Any]) -> str:
    """Keypoints as [name, type, swap, colour], links as [from, to, colour]."""
    parts = [f"dataset_name: {text_of(facts['dataset_name'])}\n", "keypoints:\n"]
    assert list(facts["keypoint_info"]) == list(range(len(facts["keypoint_info"]))), facts["dataset_name"]
    for point in facts["keypoint_info"].values():
        row = [
            point["name"],
            point.get("type", ""),
            point.get("swap", ""),
            *colours([point.get("color", [255, 128, 0])]),
        ]
        parts.append("- [" + ", ".join(quoted(item) for item in row) + "]\n")
    parts.append("links:\n" if facts["skeleton_info"] else "links: []\n")
    for link in facts["skeleton_info"].values():
        row = [*link["link"], *colours([link.get("color", [96, 96, 255])])]
        parts.append("- [" + ", ".join(quoted(item) for item in row) + "]\n")
    for key, short in (("joint_weights", "joint_weights"), ("sigmas", "sigmas")):
        parts.append(wrapped(short, [repr(float(number)) for number in facts[key]]) if facts[key] else f"{short}: []\n")
    for key, value in facts.get("stats_info", {}).items():
        parts.append(f"{key}: {text_of(value)}\n")
    return "".join(parts)


def quoted(item: Any) -> str:
    return "'" + str(item).replace("'", "''") + "'"


def main(folder: Path) -> None:
    wheels = {path.name.split("-")[0]: zipfile.ZipFile(path) for path in folder.glob("*.whl")}
    for wheel, kind, file, maker, name in ROWS:
        write(kind, name, classes_text(said(wheels[wheel].read(file).decode(), maker)))
    for file in wheels["mmpose"].namelist():
        if file.startswith(POSE) and file.endswith(".py"):
            facts = fkit.Config.fromstring(wheels["mmpose"].read(file).decode(), ".py").dataset_info
            write("pose", Path(file).stem, pose_text(thaw(facts)))


def write(kind: str, name: str, text: str) -> None:
    path = OUT / kind / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
