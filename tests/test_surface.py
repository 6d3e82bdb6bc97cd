"""Wrong arguments: every public function and method, given None, 3, "x", [] and parts of a config, answers or
raises an FkitError in the user's words.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# (facade or module, its names that are not called, with the reason)
SURFACE = {
    "fkit": {},
    "fkit.tree.tree": {},
    "fkit.tree.path": {},
    "fkit.tree.write": {},
    "fkit.tree.canonical": {},
    "fkit.tree.name": {},
    "fkit.tree.equal": {},
    "fkit.tree.frozen": {},
    "fkit.array.random": {},
    "fkit.array.room": {},
    "fkit.compat": {},
    "fkit.format.json": {},
    "fkit.format.pth": {},
    "fkit.format.yaml": {},
    "fkit.config.config": {},
    "fkit.config.change.action": {},
    "fkit.config.change.delta": {},
    "fkit.config.change.literal": dict.fromkeys(("number", "scalar", "str_or_bytes"), "of the room: texts and numbers"),
    "fkit.config.change.option": {},
    "fkit.config.change.override": {},
    "fkit.config.change.word": {},
    "fkit.config.dialect": {},
    "fkit.config.show.text": {"form_of": "of the room: paths that were read"},
    "fkit.config.show.python": {},
    "fkit.config.show.explain": {},
    "fkit.catalog.plugin": {},
    "fkit.catalog.describe": {},
    "fkit.catalog.build": {"Builder": "a protocol", "build_part": "of the room: every part of a config goes by it"},
    "fkit.catalog.entry": {},
    "fkit.catalog.openmmlab": {},
    "fkit.data.codec.codec": {},
    "fkit.data.codec.gaussian": dict.fromkeys(
        ("displacement_maps", "gaussian_maps", "offset_maps"), "of the room: arrays that codecs have checked"
    ),
    "fkit.data.codec.hand": {},
    "fkit.data.codec.heatmap": {},
    "fkit.data.codec.lifting": {},
    "fkit.data.codec.peak": {},
    "fkit.data.codec.person": {"Jitter": "a tuple"},
    "fkit.data.codec.processor": {},
    "fkit.data.codec.regression": {},
    "fkit.data.codec.simcc": {},
    "fkit.data.transform.pose.bottomup": {"Whirl": "a tuple"},
    "fkit.data.transform.pose.box": {},
    "fkit.data.transform.pose.colour": {},
    "fkit.data.transform.pose.crop": {"Window": "a tuple"},
    "fkit.data.transform.pose.flip": {},
    "fkit.data.transform.pose.formatting": {},
    "fkit.data.transform.pose.keypoint": {},
    "fkit.data.transform.pose.matrix": {},
    "fkit.data.transform.pose.mix": {},
    "fkit.data.transform.pose.target": {},
    "fkit.data.collate": {},
    "fkit.data.dataset": {"Indexed": "a protocol"},
    "fkit.data.dataset.base": {},
    "fkit.data.dataset.caption": {},
    "fkit.data.dataset.classification": {},
    "fkit.data.dataset.classification_sets": {},
    "fkit.data.dataset.coco_file": {},
    "fkit.data.dataset.combined": {},
    "fkit.data.dataset.detection": {},
    "fkit.data.dataset.detection_sets": {},
    "fkit.data.dataset.digit_boxes": {},
    "fkit.data.dataset.facts": {},
    "fkit.data.dataset.fault": {},
    "fkit.data.dataset.indexed": {"Indexed": "a protocol"},
    "fkit.data.dataset.grounding": {},
    "fkit.data.dataset.interhand": {},
    "fkit.data.dataset.joined": {},
    "fkit.data.dataset.mix": {},
    "fkit.data.dataset.keypoints": {},
    "fkit.data.dataset.mpii": {},
    "fkit.data.dataset.panoptic": {},
    "fkit.data.dataset.pose": {"Row": "a type"},
    "fkit.data.dataset.pose_forms": {},
    "fkit.data.dataset.pose_sets": {},
    "fkit.data.dataset.route": {},
    "fkit.data.dataset.segmentation": {},
    "fkit.data.dataset.segmentation_sets": {},
    "fkit.data.dataset.store": {},
    "fkit.data.dataset.fold": {},
    "fkit.data.dataset.listed": {},
    "fkit.data.dataset.mocap": {},
    "fkit.data.dataset.openimages": {},
    "fkit.data.dataset.pickled": {},
    "fkit.data.dataset.question": {},
    "fkit.data.dataset.video": {},
    "fkit.data.dataset.wrapper": {},
    "fkit.data.dataset.xml": {},
    "fkit.data.digest": {},
    "fkit.data.folder": {},
    "fkit.data.identity": {},
    "fkit.data.label": {},
    "fkit.data.path": {},
    "fkit.data.sampler": {"Sampler": "a protocol"},
    "fkit.data.aspect": {"BatchSampler": "a protocol", "Row": "a row of an order"},
    "fkit.data.balance": {},
    "fkit.data.loader": {},
    "fkit.data.source": {},
    "fkit.data.memory": {},
    "fkit.data.job": {"Workers": "a protocol", "counted": "of the room: a loader's batches"},
    "fkit.data.ambient": {},
    "fkit.data.transform.mixup": dict.fromkeys(
        ("colour", "offset_of", "overlaid"), "of the room: what mix-up is made of"
    ),
    "fkit.data.transform.mosaic": dict.fromkeys(
        ("boxes_in", "canvas_of", "fitted", "joined", "lay", "no_maps", "place_of"),
        "of the room: what mosaics are made of",
    ),
    "fkit.data.transform.paste": {},
    "fkit.data.transform.pixel": {},
    "fkit.data.transform.placing": {},
    "fkit.data.transform.policy": {},
    "fkit.data.transform.warp": {},
    "fkit.data.transform.transform": {"Fetch": "a protocol"},
    "fkit.data.transform.compose": dict.fromkeys(("Earlier", "Streams"), "of the room"),
    "fkit.data.transform.affine": {},
    "fkit.data.transform.albu": {},
    "fkit.data.transform.colour": dict.fromkeys(("check_magnitude", "magnitude"), "of the room: what transforms check"),
    "fkit.data.transform.composition": {},
    "fkit.data.transform.distortion": {},
    "fkit.data.transform.draw": {},
    "fkit.data.transform.annotation": {},
    "fkit.data.transform.bundle": {},
    "fkit.data.transform.detection.annotation": {},
    "fkit.data.transform.detection.formatting": {},
    "fkit.data.transform.segmentation.annotation": {},
    "fkit.data.transform.segmentation.crop": {"largest_share": "of the room: a map"},
    "fkit.data.transform.segmentation.distortion": {},
    "fkit.data.transform.segmentation.erase": {},
    "fkit.data.transform.segmentation.level": {},
    "fkit.data.transform.segmentation.map": {"Strip": "a tuple"},
    "fkit.data.transform.segmentation.mosaic": {},
    "fkit.data.transform.segmentation.resize": {},
    "fkit.data.transform.segmentation.turn": {"Spin": "a tuple"},
    "fkit.data.transform.classification.crop": {"Twice": "a tuple", "area_crop": "of the room: a shape"},
    "fkit.data.transform.classification.mask": {},
    "fkit.data.transform.classification.move": {},
    "fkit.data.transform.classification.picture": {},
    "fkit.data.transform.classification.resize": {},
    "fkit.data.transform.classification.tasks": {},
    "fkit.data.transform.classification.text": {},
    "fkit.data.transform.classification.tone": dict.fromkeys(("Hole", "Jitter"), "a tuple"),
    "fkit.data.transform.classification.views": {},
    "fkit.data.transform.classification.policy": {},
    "fkit.data.transform.classification.step": {},
    "fkit.data.transform.segmentation.formatting": {},
    "fkit.data.transform.segmentation.loading": {},
    "fkit.data.transform.views": {},
    "fkit.data.transform.detection.text": {"Caption": "a tuple"},
    "fkit.data.transform.detection.track": {"Frames": "a tuple"},
    "fkit.data.transform.formatting": {},
    "fkit.data.transform.canvas": dict.fromkeys(("Expansion", "Piece"), "a tuple"),
    "fkit.data.transform.content": dict.fromkeys(
        (
            "OBJECTS",
            "OPENCV",
            "clip_boxes",
            "flip_boxes",
            "homography",
            "inside",
            "kept",
            "move_boxes",
            "overlaps",
            "resize_map",
            "scale_boxes",
        ),
        "of the room: arrays of samples that were checked",
    ),
    "fkit.data.transform.crop": {
        "Crop": "a tuple",
        **dict.fromkeys(("centres_inside", "cut"), "of the room: samples that were checked"),
    },
    "fkit.data.transform.erase": dict.fromkeys(("blanked", "hidden"), "of the room: samples that were checked"),
    "fkit.data.transform.flip": dict.fromkeys(
        ("flip_points", "flipped"), "of the room: arrays of samples that were checked"
    ),
    "fkit.data.transform.grey": {},
    "fkit.data.transform.pad": {},
    "fkit.data.transform.resize": {"resized": "of the room: a sample and a transform that was checked"},
    "fkit.data.transform.scale": {"at_scale": "of the room: a transform that was made"},
    "fkit.data.transform.turn": {},
    "fkit.data.transform.loading": {},
    "fkit.data.transform.mapping": {},
    "fkit.data.transform.photometry": {},
    "fkit.training.preprocess": {"Preprocess": "a protocol"},
    "fkit.training.mix": {"mixed": "of the room: arrays of a step"},
    "fkit.training.resize": {"resized": "of the room: arrays of a step"},
    "fkit.training.load": {"LoadFrom": "a tuple", "Loaded": "a tuple"},
    "fkit.array.box": dict.fromkeys(
        (
            "area",
            "corners",
            "flipped",
            "from_centres",
            "holds",
            "hull",
            "inside",
            "projected",
            "resized",
            "scaled",
            "to_centres",
        ),
        "of the room: arrays that heads have checked",
    ),
    "fkit.metric.accuracy": {},
    "fkit.metric.classification": dict.fromkeys(
        ("by_average", "named", "suffix_of"), "of the room: what metrics have checked"
    ),
    "fkit.metric.coco": {},
    **{f"fkit.metric.{room}": {} for room in ("answer", "crowd", "depth", "phrase", "reid", "video", "vocabulary")},
    "fkit.metric.detection": dict.fromkeys(("Detections", "Objects"), "a tuple")
    | dict.fromkeys(("recalls", "run_lengths"), "of the room: arithmetic on what metrics have checked"),
    "fkit.metric.gathered": {"ratio": "of the room: arithmetic"},
    "fkit.metric.ground": {"Ground": "a tuple", "ground_of": "of the room: rows of CocoMetric's own"},
    "fkit.metric.multilabel": {"average_precision": "of the room: arithmetic on what metrics have checked"},
    "fkit.metric.hand": {},
    "fkit.metric.joint": {},
    "fkit.metric.keypoint": {"Distances": "a tuple"},
    "fkit.metric.pose_coco": {},
    "fkit.metric.oks": dict.fromkeys(("oks", "oks_nms", "soft_oks_nms"), "of the room: arrays of CocoMetric's own"),
    "fkit.metric.sample": {},
    "fkit.metric.panoptic": {},
    "fkit.metric.voc": {"area_below": "of the room: arithmetic on what metrics have checked"},
    "fkit.metric.segmentation": dict.fromkeys(
        ("areas", "map_scores"), "of the room: arithmetic on what metrics have checked"
    ),
    "fkit.metric.dump": {},
    "fkit.metric.evaluator": {},
    "fkit.metric.lvis": {},
    "fkit.metric.metric": {},
    "fkit.metric.row": {},
    "fkit.recipe.inference": {"Pictures": "of the room: open_pictures makes one", "Step": "a tuple"},
    "fkit.recipe.label": {"Names": "a tuple"},
    "fkit.run.bisection": {},
    "fkit.run.compare": dict.fromkeys(("Change", "Difference"), "a tuple"),
    "fkit.run.contrast": {"Contrast": "a tuple"},
    "fkit.run.probe": {"Taken": "a tuple"},
    "fkit.run.replay": dict.fromkeys(("Kept", "Recorded", "RowChange", "Verdict"), "a tuple"),
    "fkit.run.inference": {"Prediction": "a tuple"},
    "fkit.run.export": {},
    "fkit.run.resume": dict.fromkeys(("Counters", "Resumed"), "a tuple"),
    "fkit.run.hook.hook": dict.fromkeys(("call", "fire", "handlers"), "of the loop, with the hooks of a plan"),
    "fkit.edge.environment": {"package_version": "of the room: names of packages that it knows"},
    "fkit.edge.checkpoint": {},
    "fkit.edge.contrast": {},
    "fkit.edge.data": {},
    "fkit.edge.folder": dict.fromkeys(("run_record", "versions"), "of the room: what a room says of itself"),
    "fkit.edge.failure": {
        "write_failure": "of the room: the edge's own",
        "write_record": "of the room: the edge's own",
    },
    "fkit.edge.follow": {},
    "fkit.edge.gallery": {},
    "fkit.edge.journal": {"Journal": "of the room: the edge's own"},
    "fkit.edge.lock": {"flock": "of the room: what `hold` calls"},
    "fkit.edge.outset": {},
    "fkit.edge.parting": dict.fromkeys(("Astray", "Parting"), "a tuple"),
    "fkit.edge.past": dict.fromkeys(("Best", "Entry", "Past"), "a tuple"),
    "fkit.edge.perform": {},
    "fkit.edge.pth": {},
    "fkit.edge.repeat": {},
    "fkit.edge.replay": {"Replay": "a tuple", "watched": "of the room: a run that was made ready"},
    "fkit.edge.rerun": {"Rerun": "a tuple"},
    "fkit.edge.report": {"Report": "of the room: the command's own"},
    "fkit.edge.target": {},
    "fkit.fileio": {},
    "fkit.fileio.fetch": {},
    "fkit.fileio.weights": {"Content": "a tuple"},
    "fkit.fileio.zoo": {},
    "fkit.image": {"imshow": "opens a window", "flowshow": "opens a window"},
    "fkit.interop": {},
    "fkit.structures": {},
    "fkit.structures.box": {},
    "fkit.structures.clip": {},
    "fkit.structures.mask": {},
    "fkit.structures.views": {},
    "fkit.training.merge": {"merged": "of the room: what a program has predicted"},
    "fkit.training.tta": {},
    "fkit.visualize.curve": {"Series": "a tuple: what curves are drawn of"},
    "fkit.visualize.overlay": {},
    "fkit.visualize.prediction": {"Answer": "a tuple"},
    "fkit.visualize.visualizer": {},
}

CHILD = r"""
import enum, importlib, inspect, io, itertools, json, os, re, resource, signal, sys, typing, warnings
from contextlib import redirect_stderr, redirect_stdout

module_name, skipped = sys.argv[1], set(sys.argv[2:])
resource.setrlimit(resource.RLIMIT_CPU, (240, 240))
warnings.simplefilter("ignore")
module = importlib.import_module(module_name)
from fkit.tree.error import FkitError
from fkit.config.config import Config
from fkit.structures.freeze import FrozenList

INNER = re.compile(r"\b(Items|Node|Lazy|Draft|Linked|Imported|FrozenList|Table|Closure|Bound|Rows|Branch|Twins)\b")
IMPORTED = Config.fromstring("from torch.nn import ReLU\nname = ReLU").name
ODD = (None, 3, "x", [], Config({"a": [1]}).a, FrozenList("a"), IMPORTED)

class TooLong(BaseException):
    pass

def stop(*_):
    raise TooLong

signal.signal(signal.SIGALRM, stop)

def arguments(function):
    '''Each odd value in each place that needs one, alone and together.'''
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in places if p.default is p.empty]
    named = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    forced = [p for p in named if p.default is p.empty]
    if any(p.kind is p.VAR_POSITIONAL for p in parameters) and not needed:
        needed = [None]
    for value in ODD:
        yield [value] * len(needed), {p.name: value for p in forced}
    for at, value in itertools.product(range(len(needed), len(places)), ODD):
        if places[at].kind is places[at].POSITIONAL_ONLY:
            yield ["x"] * at + [value], {p.name: "x" for p in forced}
            continue
        yield ["x"] * len(needed), {places[at].name: value, **{p.name: "x" for p in forced}}
    for parameter, value in itertools.product(named, ODD):
        yield ["x"] * len(needed), {**{p.name: "x" for p in forced}, parameter.name: value}

def tried(name, function):
    for args, kwargs in arguments(function):
        signal.setitimer(signal.ITIMER_REAL, 20)
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                answer = function(*args, **kwargs)
                if inspect.isgenerator(answer):
                    next(answer, None)
        except FkitError as error:
            if INNER.search(str(error)):
                rows.append([name, repr((args, kwargs)), f"names an inner class: {error}"])
        except TooLong:
            rows.append([name, repr((args, kwargs)), "takes over 20 s"])
        except BaseException as error:
            rows.append([name, repr((args, kwargs)), f"{type(error).__name__}: {str(error)[:200]}"])
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

def samples():
    '''A value of each class whose methods are public.'''
    import numpy as np
    import fkit
    yield "Config", fkit.Config({"a": {"b": [1, 2]}})
    yield "Registry", fkit.registry()
    if module_name == "fkit.structures":
        s = module
        yield "InstanceData", s.InstanceData(bboxes=np.zeros((2, 4)), labels=np.zeros(2))
        yield "PixelData", s.PixelData(sem=np.zeros((1, 4, 4)))
        yield "DataSample", s.DataSample(gt_instances=s.InstanceData(labels=np.zeros(2)))
        yield "Batch", fkit.Batch(np.zeros((2, 3)), {"label": np.zeros(2)})

rows = []
names = getattr(module, "__all__", None) or [
    name for name, value in vars(module).items()
    if not name.startswith("_") and getattr(value, "__module__", "").startswith("fkit.")
]
for name in names:
    value = getattr(module, name)
    if name in skipped or not callable(value) or isinstance(value, enum.EnumMeta):
        continue
    if typing.get_origin(value) is not None:  # an alias of a type, as Path = tuple[...]
        continue
    if isinstance(value, type) and (issubclass(value, BaseException) or inspect.isabstract(value)):
        continue
    tried(name, value)
if module_name in ("fkit", "fkit.structures"):
    for name, value in samples():
        for method in dir(value):
            function = getattr(value, method) if not method.startswith("_") else None
            if function is not None and inspect.ismethod(function):
                tried(f"{name}.{method}", function)
sys.__stdout__.write(json.dumps(rows))
"""


@pytest.mark.parametrize("module", SURFACE)
def test_wrong_arguments_are_one_clear_error(module, tmp_path):
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, module, *SURFACE[module]],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rows = json.loads(done.stdout)
    assert rows == [], "\n".join(": ".join(row) for row in rows)
