"""Test-time augmentation from a config: the pipeline of the views, what merges, and what is said where one is not there."""

import json
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
import torch

import fkit
from fkit.array.room import open as open_room
from fkit.cli.main import main
from fkit.recipe.inference import open_pictures
from fkit.recipe.settings import read
from fkit.run.inference import predict_images
from fkit.structures.views import Views, views_of
from fkit.training.merge import BaseTTAModel
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError

FLIPS = [dict(type="RandomFlip", prob=0.0), dict(type="RandomFlip", prob=1.0)]
LAST = [dict(type="ToUnit"), dict(type="PackInputs")]
MODEL = dict(
    type="ImageClassifier",
    backbone=dict(type="ConvNet", in_channels=1, channels=(4,)),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(type="LinearClsHead", num_classes=10, in_channels=4),
)
DIGITS = fkit.Config(
    dict(
        model=MODEL,
        test_dataloader=dict(batch_size=90, dataset=dict(type="Digits", split="test", pipeline=LAST)),
        test_evaluator=[dict(type="Accuracy")],
        tta_model=dict(type="AverageClsScoreTTA"),
        tta_pipeline=[dict(type="TestTimeAug", transforms=[FLIPS, *[[one] for one in LAST]])],
        seed=0,
        device="cpu",
    )
)


class Pixels(torch.nn.Module):
    """A segmenter that looks at each pixel alone."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 2, 1)

    def forward(self, inputs, samples=None, mode="tensor"):
        logits = self.conv(inputs)
        return {"seg_logits": logits, "pred_sem_seg": logits.argmax(1)} if mode == "predict" else logits


def scored(cfg, registry=None, **options):
    """The scores of a model with its first weights."""
    plan = fkit.plan(cfg, registry or fkit.registry(), part="test", **options)
    for run, _ in fkit.test(plan, fkit.begin(plan, 0), fkit.open_data(plan)):
        last = run
    return dict(last.metrics)


def test_a_plan_reads_by_the_pipeline_of_the_views_and_merges():
    plan = fkit.plan(DIGITS, part="test", tta=True)
    plain = fkit.plan(DIGITS, part="test")
    state, host = plan.program.init(0), open_room("torch").host
    right = 0
    for batch, alone in zip(
        fkit.open_data(plan)["test"].batches(0), fkit.open_data(plain)["test"].batches(0), strict=True
    ):
        assert isinstance(batch, Views) and type(alone) is fkit.Batch
        first, second = views_of(batch)
        np.testing.assert_array_equal(first.inputs, alone.inputs)
        np.testing.assert_array_equal(second.inputs, alone.inputs[..., ::-1])
        both = [host(plain.program.predict(state, one))["pred_score"] for one in (first, second)]
        right += int((np.mean(both, 0).argmax(1) == alone.targets["gt_label"]).sum())
        np.testing.assert_allclose(host(plan.program.predict(state, batch))["pred_score"], np.mean(both, 0), rtol=1e-6)
    assert scored(DIGITS, tta=True) == {"accuracy/top1": pytest.approx(right / 360)}
    assert scored(DIGITS.merge({"test_dataloader.num_workers": 1}), tta=True) == scored(DIGITS, tta=True)


def test_both_backends_score_alike():
    cfg = DIGITS.merge(dict(dtype="float64"))
    assert scored(cfg, tta=True, backend="jax") == scored(cfg, tta=True)


def test_a_wrapped_dataset_has_its_pipeline_changed():
    inner = DIGITS.test_dataloader.dataset
    several = dict(type="ConcatDataset", datasets=[inner, dict(type="RepeatDataset", times=1, dataset=inner)])
    cfg = DIGITS.merge({"test_dataloader.dataset": {"_delete_": True, **several}})
    batches = list(fkit.open_data(fkit.plan(cfg, part="test", tta=True))["test"].batches(0))
    assert len(batches) == 8 and all(len(views_of(batch)) == 2 for batch in batches)
    cfg = DIGITS.merge({"val_dataloader": DIGITS.test_dataloader}).pop("test_dataloader")[0]  # validation's is taken
    assert len(views_of(next(fkit.open_data(fkit.plan(cfg, part="test", tta=True))["test"].batches(0)))) == 2


def test_what_merges_may_be_ones_own():
    @dataclass(frozen=True)
    class First(BaseTTAModel):
        which: int = 0

        def merge(self, xp, predictions, views):
            return predictions[self.which]

    registry = fkit.registry().register("models", First)
    assert scored(DIGITS.merge({"tta_model": dict(type="First")}), registry, tta=True) == scored(DIGITS)
    hook = dict(type="PrepareTTAHook", tta_cfg=dict(type="First", which=1))
    hooked = DIGITS.merge({"custom_hooks": [hook], "test_dataloader.dataset.pipeline": DIGITS.tta_pipeline})
    assert scored(hooked, registry) == scored(
        DIGITS.merge({"tta_model": dict(type="First", which=1)}), registry, tta=True
    )

    class Older(BaseTTAModel):
        def merge_preds(self, data_samples_list):
            return data_samples_list

    with pytest.raises(
        FkitTypeError, match=r"tta_model: Older is no tta_model: it has no merge\(xp, predictions, views\)"
    ):
        fkit.plan(
            DIGITS.merge({"tta_model": dict(type="Older")}), registry.register("models", Older), part="test", tta=True
        )


@pytest.mark.parametrize(
    ("changes", "options", "want"),
    [
        ({"tta_model": None}, {}, "needs tta_model, which the config does not set"),
        ({"tta_pipeline": None}, {}, "needs tta_pipeline, which the config does not set"),
        (
            {"tta_model": dict(type="DetTTAModel", tta_cfg=dict(nsm=1))},
            {},
            "tta_cfg has no key 'nsm'",
        ),
        ({"tta_model": dict(type="DetTTAModel", tta_cfg=dict(nms=dict(type="nsm")))}, {}, "type 'nsm' is unknown"),
        ({"tta_model": dict(type="SegTTAModl")}, {}, "Did you mean 'SegTTAModel'"),
        ({"tta_pipeline": []}, {}, "tta_pipeline"),
        ({}, {"part": "train"}, "of part='test' or 'val'"),
    ],
)
def test_what_is_missing_or_no_such_thing(changes, options, want):
    with pytest.raises(FkitError, match=want):
        fkit.plan(DIGITS.merge(changes), **{"part": "test", "tta": True, **options})


def test_a_pipeline_of_one_view_is_said():
    with pytest.raises(FkitError, match="tta_pipeline gives one view of an image"):
        scored(DIGITS.merge({"tta_pipeline": LAST}), tta=True)


def test_a_dataset_that_is_built_keeps_its_pipeline():
    built = fkit.build(DIGITS.test_dataloader.dataset, fkit.registry(), "datasets")
    with pytest.raises(FkitTypeError, match="is built already"):
        fkit.plan(DIGITS.merge({"test_dataloader.dataset": built}), part="test", tta=True)


def test_views_are_for_predictions_alone():
    train = dict(batch_size=8, dataset=dict(type="Digits", split="train", pipeline=DIGITS.tta_pipeline))
    cfg = DIGITS.merge(
        dict(
            train_dataloader=train,
            train_cfg=dict(max_epochs=1),
            optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
        )
    )
    plan = fkit.plan(cfg)
    with pytest.raises(FkitValueError, match="no loss is had of it"):
        list(fkit.train(plan, fkit.begin(plan, 0), fkit.open_data(plan), iter(())))


@pytest.fixture
def pictures(tmp_path):
    """A folder with two pictures of unlike sizes, and maps of theirs."""
    rng = np.random.default_rng(0)
    for folder, channels in (("img", (3,)), ("ann", ())):
        (tmp_path / folder).mkdir()
        for name, size in (("a", (12, 16)), ("b", (14, 10))):
            most = 256 if channels else 2
            cv2.imwrite(str(tmp_path / folder / f"{name}.png"), rng.integers(0, most, (*size, *channels), np.uint8))
    return tmp_path


def test_pictures_that_stand_alone_are_predicted_in_views_too(pictures):
    views = [[dict(type="Resize", scale_factor=n) for n in (1.0, 1.5)], FLIPS, [dict(type="PackSegInputs")]]
    pipeline = [dict(type="LoadImageFromFile"), dict(type="TestTimeAug", transforms=views)]
    cfg = fkit.Config(dict(model=dict(type="Pixels"), test_dataloader=dict(dataset=dict(type="No", pipeline=pipeline))))
    registry = fkit.registry().register("models", Pixels)
    program = fkit.program(cfg, registry)
    files = open_pictures(read(cfg), registry, [str(pictures / f"img/{name}.png") for name in "ab"])
    several = list(predict_images(program, open_room("torch"), program.init(0), files, 2))
    assert [one.outputs["pred_sem_seg"].shape for one in several] == [(1, 12, 16), (1, 14, 10)]


def test_an_old_pipeline_of_several_views_is_merged_as_todays_is(pictures):
    registry = fkit.registry().register("models", Pixels)
    steps = [dict(type="Resize", keep_ratio=True), dict(type="RandomFlip"), dict(type="ImageToTensor", keys=["img"])]
    old = [
        dict(type="LoadImageFromFile"),
        dict(
            type="MultiScaleFlipAug", img_scale=(16, 12), img_ratios=[0.5, 1.0, 1.5], flip=True,
            transforms=[*steps, dict(type="Collect", keys=["img"])],
        ),
    ]  # fmt: skip
    place = dict(data_root=str(pictures), img_suffix=".png", classes=("no", "yes"))
    first = dict(
        model=dict(type="Pixels"), seed=0,
        data=dict(samples_per_gpu=2, test=dict(type="CustomDataset", img_dir="img", ann_dir="ann", pipeline=old, **place)),
        evaluation=dict(metric="mIoU"),
    )  # fmt: skip
    views = [[dict(type="Resize", scale=(int(16 * n), int(12 * n)), keep_ratio=True) for n in (0.5, 1.0, 1.5)], FLIPS]
    new = [
        dict(type="LoadImageFromFile"),
        dict(type="TestTimeAug", transforms=[*views, [dict(type="LoadAnnotations")], [dict(type="PackSegInputs")]]),
    ]
    data = dict(
        type="BaseSegDataset", data_root=str(pictures), img_suffix=".png", metainfo=dict(classes=("no", "yes")),
        data_prefix=dict(img_path="img", seg_map_path="ann"), pipeline=[],
    )  # fmt: skip
    second = dict(
        model=dict(type="Pixels"), seed=0, default_scope="mmseg", tta_model=dict(type="SegTTAModel"), tta_pipeline=new,
        test_dataloader=dict(batch_size=1, dataset=data), test_evaluator=dict(type="IoUMetric"),
    )  # fmt: skip
    ours = scored(fkit.Config(second), registry, tta=True)
    assert scored(fkit.Config(first), registry) == pytest.approx(ours) and 0 < ours["mIoU"] < 1


def test_the_command_says_what_merges(tmp_path, capsys):
    cfg = DIGITS.merge(
        dict(
            train_dataloader=dict(batch_size=60, dataset=dict(type="Digits", split="train", pipeline=LAST)),
            train_cfg=dict(max_epochs=1),
            optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
        )
    )
    cfg.dump(tmp_path / "cfg.py")
    words = [str(tmp_path / "cfg.py"), str(tmp_path / "work")]
    assert main(["train", words[0], "--work-dir", words[1]]) == 0
    capsys.readouterr()
    assert main(["test", *words, "--tta", "--out", str(tmp_path / "a.json")]) == 0
    assert "in the views of tta_pipeline, merged by AverageClsScoreTTA" in capsys.readouterr().err
    scores = json.loads((tmp_path / "a.json").read_text())
    assert scores == fkit.test_config(fkit.load_config(words[0]), words[1], tta=True)
    capsys.readouterr()
    assert main(["test", *words, "--tta", "--cfg-options", "tta_model=None"]) == 2
    assert "tta_model=dict(type='AverageClsScoreTTA') averages" in capsys.readouterr().err
