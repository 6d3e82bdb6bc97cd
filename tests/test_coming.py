"""README's "Coming from OpenMMLab": every row of its tables is run, and what it gives is looked at."""

import re
import types
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import fkit
from fkit import compat, fileio, image, structures
from fkit.array.ops import Numpy
from fkit.edge.journal import read_rows
from fkit.training.merge import BaseTTAModel
from fkit.visualize import show_result

ROOT = Path(__file__).parents[1]
SECTION = re.search(
    r"^## Coming from OpenMMLab$(.*?)^## ", (ROOT / "README.md").read_text(), flags=re.DOTALL | re.MULTILINE
)[1]
CODE = re.compile(r"`([^`]+)`")
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split(" | "))
    for line in SECTION.partition("What is not there")[0].splitlines()
    if line.startswith("| `")
]

CONFIG = """
_base_ = "fkit::digits/mlp.py"
train_cfg = dict(max_epochs=1)
seed = 3
"""


CELLS = dict(
    default_scope="mmdet",
    model=dict(
        type="RetinaNet",
        backbone=dict(type="ResNet", depth=18, base_channels=8, out_indices=(2,), norm_cfg=dict(type="BN")),
        bbox_head=dict(
            type="RetinaHead",
            num_classes=2,
            in_channels=32,
            feat_channels=8,
            stacked_convs=1,
            anchor_generator=dict(type="AnchorGenerator", scales=[2], ratios=[1.0], strides=[16]),
        ),
        test_cfg=dict(nms_pre=9, score_thr=0.0, nms=dict(type="nms", iou_threshold=0.5), max_per_img=3),
    ),
    test_dataloader=dict(
        dataset=dict(
            type="CocoDataset",
            metainfo=dict(classes=("RBC", "WBC")),
            pipeline=[dict(type="LoadImageFromFile"), dict(type="PackDetInputs")],
        )
    ),
)


class Net(nn.Module):
    """A linear classifier of the digits."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(64, 10)

    def forward(self, inputs, samples=None, mode="tensor"):
        logits = self.fc(inputs.flatten(1))
        if mode == "loss":
            return {"loss": nn.functional.cross_entropy(logits, samples.targets["gt_label"])}
        return {"pred_score": logits.softmax(1)} if mode == "predict" else logits


@dataclass(frozen=True)
class MeanTTA(BaseTTAModel):
    def merge(self, xp, predictions, views):
        return {"pred_score": sum(one["pred_score"] for one in predictions) / len(predictions)}


def double(x):
    return 2 * x


# what the fkit cell of a row must give: an expression over the names that it set
CHECKS = {
    'Config.fromfile("a.py")': "cfg.train_cfg.max_epochs == 1 and cfg.seed == 3",
    'Config.fromstring(text, ".py")': "cfg == fkit.Config({'x': 1})",
    'cfg.merge_from_dict({"train_cfg.max_epochs": 3})': "cfg.train_cfg.max_epochs == 3 and before.train_cfg.max_epochs == 1",
    'cfg.work_dir = "out"': "cfg.work_dir == 'out' and 'work_dir' not in before",
    'loop = cfg.pop("train_cfg")': "loop.max_epochs == 1 and 'train_cfg' not in cfg and 'train_cfg' in before",
    "copy.deepcopy(cfg)": "other == before",
    'cfg.dump("b.py")': "fkit.load_config('b.py') == cfg and 'max_epochs' in text",
    'MODELS = Registry("models")': "('models', 'ResNet') in reg and ('models', 'ResNet') not in fkit.Registry()",
    "@MODELS.register_module()": "('models', 'Net') in reg and ('models', 'Net') not in fkit.registry()",
    'MODELS.build(dict(type="Net"))': "isinstance(net, Net)",
    "build_from_cfg(node, HOOKS, defaults)": "hook.interval == 7 and hook.by_epoch is False",
    'custom_imports=dict(imports=["own"])': "('models', 'Mine') in reg",
    'init_default_scope("mmdet")': "'DetResNet' in str(net)",
    'mmcv.load("a.json")': "rows == [1, 2] and fileio.load('b.yaml') == [1, 2]",
    'list_from_file("names.txt")': "names == ['cat', 'dog']",
    'FileClient("disk").get("names.txt")': "data == b'cat\\ndog\\n'",
    'mmcv.imread("a.png")': "img.shape == (60, 80, 3) and image.imread('b.png').shape == (60, 80, 3)",
    "mmcv.imrescale(img, (40, 40))": "img.shape == (30, 40, 3)",
    "mmcv.imnormalize_(img, mean, std)": "img.dtype == np.float32 and picture.dtype == np.uint8 and float(img.max()) == -0.5",
    "track_parallel_progress(work, tasks, 2)": "done == [2, 4, 6]",
    "collect_env()": "'Python' in facts",
    'get_logger("mmdet")': "logger.name == 'mmdet'",
    "InstanceData(bboxes=boxes, labels=labels)": "len(found) == 2 and found[found.labels == 1].bboxes.shape == (1, 4)",
    "dets, keep = nms(boxes, scores, 0.5)": "dets.shape[1] == 5 and len(keep) == len(dets)",
    "from mmcv.cnn import ConvModule": "ConvModule(3, 4, 3, padding=1)(torch.zeros(1, 3, 5, 5)).shape == (1, 4, 5, 5)",
    'model = init_detector("a.py", "a.pth")': "detector.classes == ('RBC', 'WBC')",
    'result = inference_detector(model, "a.png")': "sample.pred_instances.bboxes.shape[1] == 4",
    'model.show_result(img, result, out_file="c.jpg")': "picture.shape == image.imread('c.jpg').shape == (60, 80, 3) and picture.any()",
    "Runner.from_cfg(cfg).train()": "run.status == 'finished' and (here / 'work_dirs/a/metrics.jsonl').exists()",
    "runner.test()": "0 < scores['accuracy/top1'] <= 1",
    'build_runner(dict(type="EpochBasedRunner", max_epochs=1), dict(model=model, optimizer=optimizer))': "runner.max_epochs == 1",
    "runner.register_training_hooks(lr_config)": "runner.hooks['lr_config']['policy'] == 'step'",
    'runner.run([loader], [("train", 1)])': "run.iteration == 2 and run.status == 'finished'",
    "Runner(model=..., hooks=..., ...)": "plan.course.limit == 1",
    "while runner.iter < runner.max_iters: ...": "run.status == 'finished' and run.iteration == 23",
    "runner.build_train_loop()": "data['train'].length == 23",
    "runner.epoch": "at == (0, 0)",
    "runner.current_lr()": "rates.shape == (1,)",
    "set_random_seed(0)": "run.iteration == 0",
    "model.init_weights()": "int(state.iteration) == 0",
    "model.train_step(data, optim_wrapper)": "int(state.iteration) == 1 and np.isfinite(float(logs['loss']))",
    "optim_wrapper.update_params(loss)": "int(state.iteration) == 1",
    "model.val_step(data)": "outputs['pred_score'].shape == (64, 10)",
    "model.state_dict()": "[w for n, w in weights.items() if n.startswith('params/backbone')][0].shape[1] == 64",
    'load_checkpoint(model, "a.pth")': "fkit.plan(cfg).settings.load_from.path == 'a.pth'",
    'runner.resume("latest.pth")': "fkit.plan(cfg).settings.resume is True",
    "class MyHook(Hook): def after_train_iter(self, runner, ...)": "answer[1] == (fkit.effect.WriteText('2!'),)",
    'runner.register_hook(MyHook(), "LOW")': "isinstance(dict(fkit.plan(cfg, reg).hooks)['custom_hooks.0'], MyHook)",
    'runner.outputs["loss"]': "loss == 0.5",
    'runner.message_hub.update_info("seen", 3)': "memory.exact['seen'] == 3",
    "runner.train_loop.stop_training = True": "effects[0].reason == 'good enough'",
    'runner.save_checkpoint(work_dir, "best.pth")': "effects[0].step == 0",
    'runner.logger.info("hello")': "effects[0].text == 'hello'",
    'message_hub.get_scalar("train/loss").mean(10)': "0 < recent < 10",
    'workflow = [("train", 1), ("val", 1)]': "fkit.plan(cfg).course.workflow == (('train', 1), ('val', 1))",
    'dict(type="EMAHook", momentum=0.0002)': "dict(fkit.plan(cfg).hooks)['custom_hooks.0'].momentum == 0.0002",
    'dict(type="MultiStepLR", milestones=[8, 11])': "len(fkit.plan(cfg).settings.schedules) == 1",
    "class MeanTTA(BaseTTAModel): def merge_preds(self, data_samples_list)": "merged['pred_score'].tolist() == [[0.5, 0.5]]",
    "clip_grad=dict(max_norm=35)": "[t.name for t in fkit.plan(cfg).program.spec.phases[0].transforms] == ['accumulate', 'clip_norm']",
}


@dataclass(frozen=True)
class MyHook(fkit.Hook):
    every: int = 10

    def after_train_iter(self, memory, run, event):
        return memory, () if event.iteration % self.every else (fkit.effect.WriteText(f"{event.iteration}!"),)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A work folder of a run that is finished."""
    folder = tmp_path_factory.mktemp("coming") / "done"
    (folder.parent / "a.py").write_text(CONFIG)
    fkit.run_config(fkit.load_config(folder.parent / "a.py").merge({"work_dir": str(folder)}))
    return folder


@pytest.fixture
def world(here, done):
    """The names that the rows speak of, and files in the working folder."""
    (here / "done").symlink_to(done)
    (here / "a.py").write_text(CONFIG)
    (here / "names.txt").write_text("cat\ndog\n")
    fileio.dump([1, 2], str(here / "a.json"))
    picture = np.zeros((60, 80, 3), np.uint8)
    image.imwrite(picture, str(here / "a.png"))
    cfg = fkit.load_config("a.py")
    reg = fkit.registry().register("models", Net, backend="torch").register("hooks", MyHook)
    plan, model = fkit.plan(cfg, reg), Net()
    run, data = fkit.begin(plan), fkit.open_data(plan)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    numbers, own = plan.program.hyperparams(), types.ModuleType("own")
    own.register = lambda registry: registry.register("models", Net, name="Mine")
    return {
        "fkit": fkit, "fileio": fileio, "image": image, "compat": compat, "structures": structures, "np": np, "Net": Net,
        "cfg": cfg, "before": cfg, "text": "x = 1", "reg": reg,
        "node": {"type": "CheckpointHook", "interval": 7}, "defaults": {"by_epoch": False}, "img": picture,
        "picture": picture, "mean": np.ones(3), "std": np.full(3, 2.0), "work": double, "tasks": [1, 2, 3],
        "boxes": np.zeros((2, 4)), "labels": np.array([0, 1]), "here": here, "plan": plan, "run": run, "data": data,
        "program": plan.program, "state": run.train, "batch": next(data["train"].batches(0, 0)), "numbers": numbers,
        "model": model, "optimizer": optimizer, "loader": [(torch.zeros(4, 64), {"gt_label": torch.arange(4)})] * 2,
        "runner": fkit.build_runner(dict(type="EpochBasedRunner", max_epochs=1), dict(model=model, optimizer=optimizer)),
        "lr_config": dict(policy="step", step=[1]), "MyHook": MyHook, "read_rows": read_rows,
        "own": own, "show_result": show_result, "result": [np.array([[10.0, 10, 40, 40, 0.9]]), np.zeros((0, 5))],
        "MeanTTA": MeanTTA, "xp": Numpy(), "views": (),
        "predictions": [{"pred_score": np.array([row])} for row in ([1.0, 0.0], [0.0, 1.0])],
        "event": fkit.Event("after_train_iter", iteration=2, logs={"loss": 0.5}),
        "torch": torch, "scores": np.array([0.9, 0.8]), "cells": fkit.Config(CELLS),
    }  # fmt: skip


def test_every_row_has_its_check():
    assert len(ROWS) >= 40 and [CODE.findall(row[0])[0] for row in ROWS] == list(CHECKS)


@pytest.mark.parametrize("row", ROWS, ids=[CODE.findall(row[0])[0] for row in ROWS])
def test_a_row_runs(row, world, capsys):
    name, code = CODE.findall(row[0])[0], CODE.findall(row[1])[0]
    exec(compile(code, name, "exec"), world)
    assert eval(CHECKS[name], world)
