"""Hooks that draw predictions, by value: which images, under which names; and in a run."""

import numpy as np
import pytest

import fkit
from fkit.run.effect import WriteImage, WriteText
from fkit.run.event import EVENTS, Event
from fkit.run.hook.visualise import (
    BadCaseAnalysisHook,
    DetVisualizationHook,
    GroundingVisualizationHook,
    NaiveVisualizationHook,
    PoseVisualizationHook,
    SegVisualizationHook,
    TrackVisualizationHook,
    VisualizationHook,
    seen_image,
)
from fkit.run.state import Memory, Position, RunState
from fkit.structures.batch import Batch
from fkit.tree.error import FkitError, FkitValueError
from fkit.visualize.task import SegLocalVisualizer
from tests.run.small import config, registry

INPUTS = np.arange(3 * 64, dtype=np.float32).reshape(3, 1, 8, 8)
META = ({"img_path": "a/cat.jpg"}, {"img_path": "a/dog.jpg"}, {"sample_idx": 7})
SCORES = {"pred_score": np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])}
RUN = RunState(Position(), None, {}, {})  # pyright: ignore[reportArgumentType]


def told(hook, mode, memory=Memory(), outputs=SCORES, **fields):  # noqa: B008
    event = Event(f"after_{mode}_iter", mode, batch=Batch(INPUTS, {}, {}, META), outputs=outputs, **fields)
    return getattr(hook, event.name)(memory, RUN, event)


def drawn(hook, mode, memory=Memory(), **fields):  # noqa: B008
    memory, effects = told(hook, mode, memory, **fields)
    assert all(type(effect) is WriteImage and effect.image.dtype == np.uint8 for effect in effects)
    return [(effect.name, effect.step) for effect in effects]


OFF = (
    DetVisualizationHook(), GroundingVisualizationHook(), TrackVisualizationHook(), SegVisualizationHook(),
    VisualizationHook(), PoseVisualizationHook(), BadCaseAnalysisHook(),
)  # fmt: skip


def test_they_are_off_unless_a_config_turns_them_on():
    for hook in OFF:
        assert not any(hook.answers(event) for event in EVENTS), hook
    assert {event for event in EVENTS if DetVisualizationHook(draw=True).answers(event)} == {
        "after_val_iter",
        "after_test_iter",
    }


def test_a_detectors_hook_draws_the_first_of_a_batch_and_in_a_test_all():
    hook = DetVisualizationHook(draw=True, interval=4, test_out_dir="out")
    assert (
        drawn(hook, "val", iteration=2, inner=3) == [("out/val_img", 4)]
        and drawn(hook, "val", iteration=2, inner=2) == []
    )
    memory, effects = told(hook, "test", inner=1)
    assert [(one.name, one.step) for one in effects] == [("out/test_img", 1), ("out/test_img", 2), ("out/test_img", 3)]
    assert drawn(hook, "test", memory, inner=2) == [("out/test_img", 4), ("out/test_img", 5), ("out/test_img", 6)]
    assert drawn(PoseVisualizationHook(enable=True, interval=4), "val", iteration=4, inner=1) == [("val_img", 4)]


def test_other_hooks_draw_the_images_of_their_packages():
    assert drawn(SegVisualizationHook(draw=True, interval=2), "val", iteration=9, inner=2) == [
        ("val_cat", 9), ("val_dog", 9), ("val_2", 9)]  # fmt: skip
    assert drawn(SegVisualizationHook(draw=True, interval=2), "val", iteration=9, inner=3) == []
    hook = VisualizationHook(enable=True, interval=2)
    assert drawn(hook, "val", epoch=5, inner=1) == [("cat", 5), ("2", 5)]
    assert drawn(hook, "val", Memory(observed=3), epoch=5, inner=2) == [("dog", 5)]
    assert drawn(TrackVisualizationHook(draw=True, frame_interval=2), "test", inner=1) == [
        ("test_img", 0),
        ("test_img", 2),
    ]
    naive = NaiveVisualizationHook(draw_gt=False)
    assert drawn(naive, "test", inner=1) == [("cat", 0), ("dog", 0), ("2", 0)] and not naive.answers("after_val_iter")


def test_an_image_is_drawn_as_the_model_was_shown_it():
    [effect] = told(DetVisualizationHook(draw=True, interval=1), "val", inner=1)[1]
    answer = fkit.tree.name.open_name("fkit.visualize.prediction:class_answers")(SCORES, str, 0.3)[0]
    assert np.array_equal(effect.image, answer.draw(seen_image(INPUTS[0])))


def test_scores_that_are_not_finite_are_said():
    broken = {"pred_score": np.array([[np.nan, 0.1]] * 3)}
    [effect] = told(DetVisualizationHook(draw=True, interval=1), "val", outputs=broken, inner=1)[1]
    assert effect == WriteText("val_img: not drawn: the model's scores are not finite.", "WARNING")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: DetVisualizationHook(show=True), "a run opens no windows"),
        (lambda: SegVisualizationHook(backend_args={"backend": "local"}), "no file is read"),
        (lambda: VisualizationHook(interval=0), "interval=0: at least 1"),
        (lambda: BadCaseAnalysisHook(enable=True), "not measured one by one"),
        (lambda: BadCaseAnalysisHook(metric_type="mean"), "metric_type = 'mean'"),
        (NaiveVisualizationHook, "predictions alone are drawn yet"),
    ],
)
def test_what_is_not_there_is_an_error(make, text):
    with pytest.raises(FkitValueError, match=text):
        make()


def test_predictions_of_a_kind_that_cannot_be_drawn_are_an_error():
    with pytest.raises(FkitError, match="the model predicts 'boxes'; what can be drawn"):
        told(DetVisualizationHook(draw=True, interval=1), "val", outputs={"boxes": np.zeros((3, 4))}, inner=1)


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_a_run_draws_with_the_names_of_its_classes(backend):
    cfg = config(custom_hooks=[{"type": "mmpretrain.VisualizationHook", "enable": True, "interval": 30}])
    plan = fkit.plan(cfg, registry(), backend=backend)
    asked = [effect for _, effects in fkit.train(plan, fkit.begin(plan), fkit.open_data(plan)) for effect in effects]
    assert [(one.name, one.step) for one in asked if type(one) is WriteImage] == [
        ("0", 1), ("30", 1), ("0", 2), ("30", 2), ("0", 3), ("30", 3)]  # fmt: skip
    assert dict(plan.hooks)["custom_hooks.0"].names(3) == "3"


def test_the_configs_visualizer_draws_and_an_unknown_one_is_an_error():
    hooks = [{"type": "SegVisualizationHook", "draw": True}]
    cfg = config(custom_hooks=hooks, visualizer={"type": "SegLocalVisualizer", "alpha": 1.0, "vis_backends": []})
    hook = dict(fkit.plan(cfg, registry()).hooks)["custom_hooks.0"]
    assert hook.board == SegLocalVisualizer(alpha=1.0)
    maps = {"pred_sem_seg": np.ones((3, 8, 8), np.int64)}
    pictures = [told(one, "test", outputs=maps)[1][0].image for one in (hook, SegVisualizationHook(draw=True))]
    assert (
        pictures[0][:8, :8].std(axis=(0, 1)).max() == 0 < pictures[1][:8, :8].std(axis=(0, 1)).max()
    )  # the image shines through
    with pytest.raises(FkitError, match="Did you mean 'SegLocalVisualizer'"):
        fkit.plan(config(visualizer={"type": "SegLocalVisualiser"}), registry())


def test_what_pads_an_image_is_not_drawn():
    meta = tuple({"img_path": f"{name}.jpg", "img_shape": (6, 8)} for name in "abc")
    maps = {"pred_sem_seg": np.zeros((3, 8, 8), np.int64)}
    hook = SegVisualizationHook(draw=True)
    event = Event("after_test_iter", "test", batch=Batch(INPUTS, {}, {}, meta), outputs=maps)
    plain = told(hook, "test", outputs=maps)[1][0].image
    assert hook.after_test_iter(Memory(), RUN, event)[1][0].image.shape[0] == plain.shape[0] - 2


def test_a_pose_is_drawn_on_the_crop_that_the_model_was_shown():
    """The point (60, 40) of the image is the middle of a crop that is 20 pixels wide and shown 40 wide."""
    meta = ({"input_center": (60.0, 40.0), "input_scale": (20.0, 20.0), "ori_shape": (100, 200)},)
    found = {
        "keypoints": np.array([[[[60.0, 40.0]]]]),
        "keypoint_scores": np.ones((1, 1, 1)),
        "bboxes": np.zeros((1, 1, 4)),
    }
    batch = Batch(np.zeros((1, 3, 40, 40), np.float32), meta=meta)
    event = Event("after_test_iter", "test", batch=batch, outputs={"pred_instances": found})
    _, [effect] = PoseVisualizationHook(enable=True).after_test_iter(Memory(), RUN, event)
    assert effect.image.shape[:2] == (40, 40)
    bright = np.argwhere(effect.image.max(-1) > 200)
    assert np.abs(bright.mean(0) - 20).max() < 1.5
