"""How fast configs are read, merged and printed, beside mmengine, measured in turn in one run.

    python experiments/bench/config.py --peer PYTHON [--corpus FOLDER ...] [--repeat N]

PYTHON is the interpreter of an environment with mmengine 0.10.7; without it only fkit is measured. FOLDER holds
config files (a package's `.mim/configs`); all that it has are read, by both. Each number is the best of N; of a corpus
it is processor time, for it is read once.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def detection(folder: Path) -> Path:
    """A detection config of five files and 657 nodes, as mmdet's are built."""
    norm = "norm_cfg=dict(type='BN', requires_grad=True)"
    model = f"""
model = dict(
    type='FasterRCNN',
    data_preprocessor=dict(type='DetDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True, pad_size_divisor=32),
    backbone=dict(type='ResNet', depth=50, num_stages=4, out_indices=(0, 1, 2, 3), frozen_stages=1, {norm},
        norm_eval=True, style='pytorch', init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50')),
    neck=dict(type='FPN', in_channels=[256, 512, 1024, 2048], out_channels=256, num_outs=5),
    rpn_head=dict(type='RPNHead', in_channels=256, feat_channels=256,
        anchor_generator=dict(type='AnchorGenerator', scales=[8], ratios=[0.5, 1.0, 2.0], strides=[4, 8, 16, 32, 64]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_means=[.0, .0, .0, .0], target_stds=[1.0, 1.0, 1.0, 1.0]),
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
        loss_bbox=dict(type='L1Loss', loss_weight=1.0)),
    roi_head=dict(type='CascadeRoIHead', num_stages=3, stage_loss_weights=[1, 0.5, 0.25],
        bbox_roi_extractor=dict(type='SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=0),
            out_channels=256, featmap_strides=[4, 8, 16, 32]),
        bbox_head=[dict(type='Shared2FCBBoxHead', in_channels=256, fc_out_channels=1024, roi_feat_size=7, num_classes=80,
            bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_means=[0., 0., 0., 0.], target_stds=[std, std, 2 * std, 2 * std]),
            reg_class_agnostic=True, loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
            loss_bbox=dict(type='SmoothL1Loss', beta=1.0, loss_weight=1.0)) for std in (0.1, 0.05, 0.033)],
        mask_head=dict(type='FCNMaskHead', num_convs=4, in_channels=256, conv_out_channels=256, num_classes=80,
            loss_mask=dict(type='CrossEntropyLoss', use_mask=True, loss_weight=1.0))),
    train_cfg=dict(
        rpn=dict(assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3,
                match_low_quality=True, ignore_iof_thr=-1),
            sampler=dict(type='RandomSampler', num=256, pos_fraction=0.5, neg_pos_ub=-1, add_gt_as_proposals=False),
            allowed_border=0, pos_weight=-1, debug=False),
        rpn_proposal=dict(nms_pre=2000, max_per_img=2000, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0),
        rcnn=[dict(assigner=dict(type='MaxIoUAssigner', pos_iou_thr=iou, neg_iou_thr=iou, min_pos_iou=iou,
                match_low_quality=False, ignore_iof_thr=-1),
            sampler=dict(type='RandomSampler', num=512, pos_fraction=0.25, neg_pos_ub=-1, add_gt_as_proposals=True),
            mask_size=28, pos_weight=-1, debug=False) for iou in (0.5, 0.6, 0.7)]),
    test_cfg=dict(rpn=dict(nms_pre=1000, max_per_img=1000, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0),
        rcnn=dict(score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=100, mask_thr_binary=0.5)))
"""
    names = ", ".join(f"'class_{at}'" for at in range(92))
    data = (
        f"""
metainfo = dict(classes=({names}), palette=[{", ".join(["(220, 20, 60)"] * 10)}])
"""
        + """
dataset_type = 'CocoDataset'
data_root = 'data/coco/'
backend_args = None
train_pipeline = [dict(type='LoadImageFromFile', backend_args=backend_args),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True), dict(type='Resize', scale=(1333, 800), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5), dict(type='PackDetInputs')]
test_pipeline = [dict(type='LoadImageFromFile', backend_args=backend_args),
    dict(type='Resize', scale=(1333, 800), keep_ratio=True), dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]
train_dataloader = dict(batch_size=2, num_workers=2, persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True), batch_sampler=dict(type='AspectRatioBatchSampler'),
    dataset=dict(type=dataset_type, data_root=data_root, ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img='train2017/'), filter_cfg=dict(filter_empty_gt=True, min_size=32), pipeline=train_pipeline))
val_dataloader = dict(batch_size=1, num_workers=2, persistent_workers=True, drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type=dataset_type, data_root=data_root, ann_file='annotations/instances_val2017.json',
        data_prefix=dict(img='val2017/'), test_mode=True, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='CocoMetric', ann_file=data_root + 'annotations/instances_val2017.json', metric=['bbox', 'segm'])
test_evaluator = val_evaluator
"""
    )
    schedule = """
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=12, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', begin=0, end=12, by_epoch=True, milestones=[8, 11], gamma=0.1)]
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=0.0001))
auto_scale_lr = dict(enable=False, base_batch_size=16)
"""
    runtime = """
default_scope = 'mmdet'
default_hooks = dict(timer=dict(type='IterTimerHook'), logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'), checkpoint=dict(type='CheckpointHook', interval=1),
    sampler_seed=dict(type='DistSamplerSeedHook'), visualization=dict(type='DetVisualizationHook'))
env_cfg = dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0), dist_cfg=dict(backend='nccl'))
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='DetLocalVisualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True)
log_level = 'INFO'
load_from = None
resume = False
"""
    child = """
_base_ = ['model.py', 'data.py', 'schedule.py', 'runtime.py']
model = dict(backbone=dict(depth=101, init_cfg=dict(checkpoint='torchvision://resnet101')), neck=dict(norm_cfg=dict(type='GN')))
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=0.0001))
"""
    for name, text in (
        ("model", model),
        ("data", data),
        ("schedule", schedule),
        ("runtime", runtime),
        ("child", child),
    ):
        (folder / f"{name}.py").write_text(text)
    return folder / "child.py"


def best(function: Callable[[], Any], repeat: int, number: int = 1) -> float:
    """The shortest time of one call, in seconds."""
    times: list[float] = []
    for _ in range(repeat):
        start = time.perf_counter()
        for _ in range(number):
            function()
        times.append((time.perf_counter() - start) / number)
    return min(times)


def measure_fkit(file: Path, repeat: int) -> dict[str, float]:
    """fkit's times by name, in seconds."""
    import pickle

    import fkit
    from fkit.config.read.syntax import _parsed

    def cold() -> None:
        _parsed.clear()
        fkit.load_config(file)

    cfg, other = fkit.load_config(file), fkit.load_config(file)
    delta = {
        "model.backbone.depth": 18,
        "optim_wrapper.optimizer.lr": 0.1,
        "train_cfg.max_epochs": 24,
        "seed": 1,
        "log_level": "WARN",
    }
    fresh = pickle.dumps(cfg)
    return {
        "load, cold": best(cold, repeat),
        "load, warm": best(lambda: fkit.load_config(file), repeat),
        "pretty_text": best(lambda: cfg.pretty_text, repeat),
        "YAML text": best(lambda: cfg.text("yaml"), repeat),
        "merge of 5 keys": best(lambda: cfg.merge(delta), repeat, 100),
        "cfg.a.b.c": best(lambda: cfg.model.backbone.depth, repeat, 10000) - best(lambda: None, repeat, 10000),
        "equality": best(lambda: cfg == other, repeat, 20),
        "hash, first": min(_timed(hash, pickle.loads(fresh)) for _ in range(repeat)),
        "hash, again": best(lambda: hash(cfg), repeat, 1000),
        "pickle and back": best(lambda: pickle.loads(pickle.dumps(cfg)), repeat),
    }


def _timed(function: Callable[[Any], Any], value: Any) -> float:
    start = time.perf_counter()
    function(value)
    return time.perf_counter() - start


PEER = """
import json, pickle, sys, time
from mmengine.config import Config
from mmengine.fileio import dump
file, repeat = sys.argv[1], int(sys.argv[2])
def best(function, n=1):
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        for _ in range(n): function()
        times.append((time.perf_counter() - start) / n)
    return min(times)
cfg, other = Config.fromfile(file), Config.fromfile(file)
delta = {"model.backbone.depth": 18, "optim_wrapper.optimizer.lr": 0.1, "train_cfg.max_epochs": 24, "seed": 1, "log_level": "WARN"}
print(json.dumps({
    "load, cold": best(lambda: Config.fromfile(file)),
    "pretty_text": best(lambda: cfg.pretty_text),
    "YAML text": best(lambda: dump(cfg.to_dict(), file_format="yaml")),
    "merge of 5 keys": best(lambda: cfg.merge_from_dict(dict(delta)), 20),
    "cfg.a.b.c": best(lambda: cfg.model.backbone.depth, 1000),
    "equality": best(lambda: cfg._cfg_dict == other._cfg_dict),
    "pickle and back": best(lambda: pickle.loads(pickle.dumps(cfg))),
}))
"""

CORPUS_FKIT = """
import glob, json, os, sys, time, warnings
warnings.simplefilter("ignore")
import fkit
files = sorted(f for root in sys.argv[1:] for f in glob.glob(root + "/**/*.py", recursive=True))
sys.path[:0] = [root.split("/.mim/")[0].rpartition("/")[0] for root in sys.argv[1:]]
start, bad = time.process_time(), 0
for f in files:
    try: fkit.load_config(f)
    except fkit.FkitError: bad += 1
spent = time.process_time() - start
start = time.process_time()
for f in files: compile(open(f, encoding="utf-8").read(), f, "exec")
print(json.dumps([len(files), bad, spent, time.process_time() - start]))
"""
CORPUS_PEER = """
import glob, json, logging, sys, time, warnings
warnings.simplefilter("ignore"); logging.disable(logging.CRITICAL)
from mmengine.config import Config
files = sorted(f for root in sys.argv[1:] for f in glob.glob(root + "/**/*.py", recursive=True))
sys.path[:0] = [root.split("/.mim/")[0].rpartition("/")[0] for root in sys.argv[1:]]
start, bad = time.process_time(), 0
for f in files:
    try: Config.fromfile(f, import_custom_modules=False)
    except Exception: bad += 1
print(json.dumps([len(files), bad, time.process_time() - start, 0.0]))
"""


def child(python: str, code: str, *args: str) -> Any:
    """What a program prints as JSON."""
    done = subprocess.run([python, "-c", code, *args], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def process(command: list[str], repeat: int) -> float:
    """The shortest time of a whole process, in seconds."""
    return best(lambda: subprocess.run(command, capture_output=True, check=True), repeat)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="the interpreter of an environment with mmengine")
    parser.add_argument("--corpus", nargs="*", default=[], help="folders of config files")
    parser.add_argument("--repeat", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        file = detection(Path(name))
        ours: dict[str, float] = {}
        theirs: dict[str, float] = {}
        for _ in range(3):  # in turn, so that what else the machine does meets both
            _keep_least(ours, measure_fkit(file, arguments.repeat))
            if arguments.peer:
                _keep_least(theirs, child(arguments.peer, PEER, str(file), str(max(2, arguments.repeat // 10))))
        sources = [path.read_text() for path in Path(name).glob("*.py")]
        ours["compile and exec of the files"] = best(
            lambda: [_run(text) for text in sources[:1] and sources if "_base_" not in text], 20
        )
        show = [sys.executable, "-m", "fkit.cli.main", "config", "show", str(file)]
        ours["fkit config show, whole process"] = process(show, 5)
        if arguments.peer:
            theirs["fkit config show, whole process"] = process([arguments.peer, "-c", SHOW, str(file)], 2)
        bare = process([sys.executable, "-c", "pass"], 10)
        ours["python -c pass"] = bare
        ours["import fkit, whole process"] = process([sys.executable, "-c", "import fkit"], 10)
        ours["fkit --help, whole process"] = process([sys.executable, "-m", "fkit.cli.main", "--help"], 10)
    for what in dict.fromkeys([*ours, *theirs]):
        mine, other = ours.get(what), theirs.get(what)
        times = f"{other / mine:8.1f} x" if mine and other else ""
        aim = next((f"   aim {_ms(seconds).strip()}" for known, seconds in AIMS if known == what), "")
        print(f"{what:34} fkit {_ms(mine)}   mmengine {_ms(other)} {times}{aim}")
    if arguments.corpus:
        folders = [os.path.abspath(folder) for folder in arguments.corpus]
        count, bad, spent, compiled = child(sys.executable, CORPUS_FKIT, *folders)
        print(
            f"corpus: {count} files ({bad} refused) in {spent:.1f} s of processor time (aim 8.0 for the 2,948 of mmdet 3.3.0, "
            f"mmpose 1.3.2, mmpretrain 1.2.0 and mmsegmentation 1.2.2); reading and compiling each once {compiled:.1f} s"
        )
        if arguments.peer:
            count, bad, spent, _ = child(arguments.peer, CORPUS_PEER, *folders)
            print(f"mmengine: {count} files ({bad} refused) in {spent:.1f} s")
    return 0


# seconds that a reading should take at most, on one core of the machine that the README names
AIMS = (("load, cold", 0.003), ("cfg.a.b.c", 0.0000008))
SHOW = "import sys; from mmengine.config import Config; print(Config.fromfile(sys.argv[1]).pretty_text)"


def _run(text: str) -> None:
    exec(compile(text, "", "exec"), {})


def _keep_least(into: dict[str, float], found: dict[str, float]) -> None:
    for what, seconds in found.items():
        into[what] = min(seconds, into.get(what, seconds))


def _ms(seconds: float | None) -> str:
    return f"{seconds * 1000:10.4f} ms" if seconds is not None else " " * 13


if __name__ == "__main__":
    sys.exit(main())
