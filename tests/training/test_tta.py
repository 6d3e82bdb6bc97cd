"""Test-time augmentation as values: batches of views, merges, and programs that merge; no files, no run."""

import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest

import fkit
from fkit.array.ops import Numpy
from fkit.array.room import open as open_room
from fkit.structures.batch import Batch
from fkit.structures.views import Views, views_of
from fkit.training.merge import AverageClsScoreTTA, BaseTTAModel, Merged, SegTTAModel
from fkit.training.tta import with_tta
from fkit.tree.error import FkitError, FkitKeyError, FkitTypeError, FkitValueError

META = {"ori_shape": (4, 6), "img_shape": (4, 6), "flip": False}
CFG = fkit.Config({
    "model": {
        "type": "ImageClassifier",
        "backbone": {"type": "ConvNet", "in_channels": 1, "channels": (4,)},
        "neck": {"type": "GlobalAveragePooling"},
        "head": {"type": "LinearClsHead", "num_classes": 3, "in_channels": 4},
    },
    "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}},
    "dtype": "float64",
})  # fmt: skip


def images(*size, count=2):
    return np.random.default_rng(0).normal(size=(count, 1, *size))


def view(size=(4, 6), **meta):
    return Batch(np.zeros((1, 3, *size)), meta=({**META, "img_shape": size, **meta},))


def merged(logits, views, **options):
    outputs = [{"seg_logits": np.array(one, float)} for one in logits]
    return SegTTAModel(**options).merge(Numpy(), outputs, views)["pred_sem_seg"]


def test_a_batch_of_views_is_its_first_that_is_not_flipped():
    turned, plain = view(flip=True, flip_direction="horizontal"), view(img_path="a")
    both = Views.of([turned, plain])
    assert both.meta[0]["img_path"] == "a" and views_of(both) == (turned, plain) and len(both) == 1
    assert Views.of([turned, turned]).meta == turned.meta
    assert pickle.loads(pickle.dumps(both)) == both != Views.of([plain, plain])
    for views, want in ((), "there is none"), ([plain, Batch(np.zeros((2, 1)))], "of 1 and 2 images"):
        with pytest.raises(FkitValueError, match=want):
            Views.of(views)


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_a_program_merges_what_it_predicts_of_views_of_any_sizes(backend):
    program = fkit.program(CFG, backend=backend, example=images(8, 8), donate=False)
    state, host = program.init(0), open_room(backend).host
    batches = [Batch(images(8, 8)), Batch(images(6, 10)), Batch(images(8, 8)[..., ::-1].copy())]
    each = [host(program.predict(state, batch)) for batch in batches]
    outputs = host(program.predict(state, Views.of(batches)))
    want = sum(one["pred_score"] for one in each) / 3
    np.testing.assert_allclose(outputs["pred_score"], want, rtol=1e-12)
    assert outputs["pred_score"].dtype == np.float64
    assert outputs["pred_label"].tolist() == want.argmax(1).tolist()
    for call in (
        lambda: program.loss(state, Views.of(batches), (1, 2)),
        lambda: program.train_step(state, Views.of(batches), program.hyperparams()),
    ):
        with pytest.raises(FkitValueError, match=r"a batch of 3 views of each image .* no loss is had of it"):
            call()


def test_both_backends_merge_to_the_same_numbers():
    scores = []
    for backend in ("torch", "jax"):
        program = fkit.program(CFG, backend=backend, example=images(8, 8))
        outputs = program.predict(program.init(0), Views.of([Batch(images(8, 8)), Batch(images(9, 7))]))
        scores.append(open_room(backend).host(outputs)["pred_score"])
    np.testing.assert_allclose(*scores, rtol=1e-9)


def test_views_and_merge_of_ones_own():
    program = fkit.program(CFG, example=images(8, 8), donate=False)
    state, batch = program.init(0), Batch(images(8, 8))

    def turned(batch):
        return [batch, replace(batch, inputs=batch.inputs[..., ::-1].copy())]

    wrapped = with_tta(program, turned, lambda xp, predictions, views: [len(predictions), xp.name, len(views)])
    assert wrapped.predict(state, batch) == [2, "torch", 2]
    first, second = (program.predict(state, one)["pred_score"] for one in turned(batch))
    default = with_tta(program, turned).predict(state, batch)
    np.testing.assert_allclose(default["pred_score"], (first + second) / 2)
    alone = with_tta(program).predict(state, batch)  # one view is predicted as it is
    np.testing.assert_array_equal(alone["pred_score"], first)
    for arguments, want in (
        ((None, 3), "merge is a function"),
        ((lambda: 0, None), "cannot be called as views"),
        ((None, len), "cannot be called as merge"),
    ):
        with pytest.raises(FkitTypeError, match=want):
            with_tta(program, *arguments)
    with pytest.raises(FkitTypeError, match="gave None"):
        with_tta(program, turned, lambda xp, predictions, views: None).predict(state, batch)


def test_averages_of_the_weights_are_merged_too():
    hooks = [dict(type="EMAHook", evaluate_on_origin=True), dict(type="PrepareTTAHook", tta_cfg=dict(type="Names"))]
    data = dict(dataset=dict(type="Digits", split="test"), batch_size=4)
    cfg = CFG.merge(dict(custom_hooks=hooks, test_dataloader=data, test_evaluator=dict(type="Accuracy"), seed=0))

    @dataclass(frozen=True)
    class Names(BaseTTAModel):
        def merge(self, xp, predictions, views):
            return {"count": len(predictions)}

    program = fkit.plan(cfg, fkit.registry().register("models", Names), part="test").program
    both = Views.of([Batch(images(8, 8))] * 2)
    for predict in (program.predict, program.beside["_origin"]):
        assert predict(program.init(0), both) == {"count": 2}


def test_maps_are_cut_turned_back_and_resized():
    logits = np.zeros((1, 2, 4, 8))
    logits[0, 1, 0, 0] = 5  # of a view that is padded on the right: above on the left, and so above on the right
    views = [view((4, 8), flip=True, flip_direction="horizontal")]
    views = [replace(views[0], targets={"input_shape": np.array([[4, 6]])})]
    assert np.argwhere(merged([logits], views)[0]).tolist() == [[0, 5]]
    views = [replace(views[0], meta=({**views[0].meta[0], "flip_direction": "diagonal"},))]
    assert np.argwhere(merged([logits], views)[0]).tolist() == [[3, 5]]
    half = np.zeros((1, 2, 2, 3))  # the model gives half of the view's pixels
    half[0, 1] = [[5], [-5]]
    assert merged([half], [view()])[0].tolist() == [[1] * 6, [1] * 6, [0] * 6, [0] * 6]


def test_unlike_images_are_padded_as_their_truth_is():
    metas = ({**META, "ori_shape": (4, 6)}, {**META, "ori_shape": (3, 5)})
    truth = {"gt_sem_seg": np.zeros((2, 4, 8), np.int64), "input_shape": np.array([[4, 6], [3, 5]])}
    logits = np.concatenate([np.zeros((2, 1, 4, 6)), np.ones((2, 1, 4, 6))], 1)
    labels = merged([logits] * 2, [Batch(np.zeros((2, 3, 4, 6)), truth, meta=metas)] * 2)
    assert labels.shape == (2, 4, 8) and labels[1].sum() == 15 and labels[0].sum() == 24
    bare = Batch(np.zeros((2, 3, 4, 6)), {"input_shape": truth["input_shape"]}, meta=metas)
    assert merged([logits] * 2, [bare] * 2).shape == (2, 4, 6)


def test_one_class_is_told_by_a_threshold():
    logits = [np.full((1, 1, 4, 6), number) for number in (-1.0, -0.5)]  # 0.27 and 0.38
    assert merged(logits, [view(), view()]).all()
    assert not merged(logits, [view(), view()], threshold=0.4).any()


def without(name):
    one = view()
    return replace(one, meta=({key: value for key, value in one.meta[0].items() if key != name},))


@pytest.mark.parametrize(
    ("logits", "views", "want"),
    [
        ([np.zeros((1, 2, 8, 8))], [view()], "seg_logits of 8 x 8 pixels for views of 4 x 6"),
        ([np.zeros((4, 6))], [view()], r"seg_logits are \(N, K, H, W\)"),
        ([np.zeros((1, 2, 4, 6))], [without("ori_shape")], "no 'ori_shape'"),
        ([np.zeros((1, 2, 4, 6))] * 2, [without("flip")] * 2, "no meta says whether they are flipped"),
        ([np.zeros((1, 2, 4, 6))], [Batch(np.zeros((1, 3, 4, 6)))], "have no meta"),
        ([np.zeros((1, 2, 4, 6))], [view(flip=True, flip_direction="left")], "flip_direction = 'left'"),
        ([np.zeros((1, 2, 4, 6))], [view(), view()], "1 predictions of 2 views"),
    ],
)
def test_what_cannot_be_merged(logits, views, want):
    with pytest.raises(FkitError, match=want):
        merged(logits, views)


def test_what_merges_is_chosen_by_what_is_predicted():
    views = [Batch(np.zeros((1, 1)))] * 2
    outputs = Merged().merge(Numpy(), [{"pred_score": np.array([[one, 1 - one]])} for one in (0.5, 1.0)], views)
    assert outputs["pred_score"].tolist() == [[0.75, 0.25]] and "pred_label" not in outputs
    boxes = [{"pred_instances": {"keypoints": np.zeros((1, 1, 2))}}] * 2
    with pytest.raises(FkitValueError, match=r"predicts pred_instances, which nothing merges"):
        Merged().merge(Numpy(), boxes, views)
    with pytest.raises(FkitKeyError, match="merges 'pred_score', and the model does not predict it"):
        AverageClsScoreTTA().merge(Numpy(), [{"seg_logits": 1}] * 2, views)
