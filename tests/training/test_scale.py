"""Mixed precision: the loss scale against torch's GradScaler, skipped steps, exact resume, what computes in what."""

from typing import Any

import numpy as np
import pytest
import torch

import fkit
from fkit.array.room import open as open_room
from fkit.structures.batch import Batch
from fkit.training.optimizer import Optimizer
from fkit.training.scale import loss_scale
from fkit.training.spec import Phase, Spec
from fkit.training.transform import Context, accumulate, clip_norm
from fkit.tree.error import FkitError
from tests.run.small import config, registry

MODEL = fkit.Config(
    {
        "type": "ImageClassifier",
        "backbone": {"type": "MLP", "in_channels": 16, "hidden": (8,)},
        "head": {"type": "LinearClsHead", "num_classes": 3, "in_channels": 8},
    }
)
BACKENDS = ("torch", "jax")
# of a loss in half precision against float32, relative: eight bits of bfloat16, eleven of float16
TOLERANCE = {"bfloat16": 3e-2, "float16": 3e-3}


def _batch(step: int, loud: float = 1.0) -> Batch:
    rng = np.random.default_rng(step)
    return Batch((loud * rng.normal(size=(8, 1, 4, 4))).astype(np.float32), {"gt_label": rng.integers(0, 3, 8)})


def _program(backend: str, *transforms: Any, dtype: str = "float32", optimizer: str = "SGD", **options: Any) -> Any:
    numbers = {"lr": 0.1, "momentum": 0.9} if optimizer == "SGD" else {"lr": 0.01}
    return open_room(backend).program(
        Spec(
            lambda name: fkit.build(MODEL, fkit.registry(), "models", backend=name),
            {"main": Optimizer.of(optimizer, numbers)},
            (Phase(transforms=transforms),),
            dtype=dtype,
            device="cpu",
            example=lambda: np.zeros((1, 1, 4, 4)),
            **options,
        )
    )


def _curve(program: Any, steps: int = 30) -> np.ndarray:
    state, losses = program.init(1), []
    for step in range(steps):
        state, logs = program.train_step(state, _batch(step), program.hyperparams())
        losses.append(float(logs["loss"]))
    return np.array(losses)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_scale_goes_as_torch_s_grad_scaler_s(backend: str) -> None:
    rules = dict(init_scale=2.0**10, growth_factor=4.0, backoff_factor=0.25, growth_interval=3)
    scaler, transform = torch.amp.GradScaler("cpu", **rules), loss_scale(**rules)
    xp = open_room(backend).ops
    lift = open_room(backend).asarray
    slots = {name: lift(array) for name, array in transform.init({}).items()}
    param = torch.nn.Parameter(torch.zeros(2))
    sgd = torch.optim.SGD([param], lr=1.0)
    for step in range(24):
        broken = step in (2, 7, 8, 20)
        value = np.array([np.nan if step == 7 else np.inf, 1.0] if broken else [1.0, 2.0], np.float32)
        scale = float(scaler.scale(torch.tensor(1.0)))
        param.grad = torch.from_numpy(value * scale)
        before = param.detach().clone()
        scaler.step(sgd)
        scaler.update()
        grads, slots, moves, logs = transform.update(
            xp, {"a": lift(value * np.float32(scale))}, slots, Context(step, {})
        )
        assert float(logs["grad_scale"]) == scale and bool(moves) is not broken
        assert float(slots["scale"]) == scaler.get_scale()
        assert int(slots["growth_tracker"]) == scaler._get_growth_tracker()
        assert torch.equal(param, before) == broken
        if not broken:
            assert np.asarray(grads["a"]).tolist() == [1.0, 2.0]


def test_a_scale_that_is_given_stays() -> None:
    program = _program("torch", loss_scale(512.0, dynamic=False), dtype="float16")
    state = program.init(0)
    before = program.collect(state)
    state, logs = program.train_step(state, _batch(0, 1e6), program.hyperparams())
    after = program.collect(state)
    assert float(logs["grad_scale"]) == 512.0 == float(after["slots/loss_scale/scale"])
    assert int(after["updates"]) == 0 and int(after["iteration"]) == 1
    assert all(
        np.array_equal(after[path], array) for path, array in before.items() if path.startswith(("params", "opt"))
    )


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "AdamW", "RMSprop", "LARS", "Lamb", "Lion", "NAdam"])
def test_an_overflow_moves_nothing_and_halves_the_scale(optimizer: str) -> None:
    """Weights, momenta and step counters keep their bits: the fused kernels are told so on the device."""
    program = _program("torch", loss_scale(), dtype="float16", optimizer=optimizer)
    state = program.init(0)
    for step, loud in enumerate((1.0, 1e6, 1.0)):
        before = program.collect(state)
        state, logs = program.train_step(state, _batch(step, loud), program.hyperparams())
        after, skipped = program.collect(state), loud > 1.0
        held = [path for path in before if path.startswith(("params", "opt"))]
        assert all(np.array_equal(before[path], after[path]) for path in held) == skipped
        assert int(after["updates"]) == (1, 1, 2)[step]
        assert float(after["slots/loss_scale/scale"]) == (2.0**16, 2.0**15, 2.0**15)[step]
        assert set(logs) >= {"loss", "grad_scale"}


@pytest.mark.parametrize(
    ("backend", "dtype"),
    [("torch", "float16"), ("torch", "bfloat16"), ("jax", "bfloat16"), ("torch", "half"), ("jax", "half")],
)
@pytest.mark.parametrize("scaled", [True, False])
def test_the_loss_in_half_precision_follows_float32(backend: str, dtype: str, scaled: bool) -> None:
    whole = _curve(_program(backend))
    half = _curve(_program(backend, *([loss_scale()] if scaled else []), dtype=dtype))
    assert not np.array_equal(whole, half)
    np.testing.assert_allclose(half, whole, rtol=TOLERANCE.get(dtype, TOLERANCE["bfloat16"]))


def test_with_accumulation_and_clipping_both_backends_agree() -> None:
    """In float64, where there is nothing to scale: the factors go in and come out again."""
    curves = [
        _curve(_program(backend, accumulate(3), loss_scale(1000.0), clip_norm(0.5), dtype="float64", total=30))
        for backend in BACKENDS
    ]
    plain = _curve(_program("torch", accumulate(3), clip_norm(0.5), dtype="float64", total=30))
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-9)
    np.testing.assert_allclose(curves[0], plain, rtol=1e-6)  # 1 / 1000 is rounded, to float32


@pytest.mark.parametrize("backend", BACKENDS)
def test_with_scaler_accumulation_and_clipping_a_state_goes_on_to_the_bit(backend: str) -> None:
    def program() -> Any:
        transforms = (accumulate(3), loss_scale(growth_interval=2), clip_norm(0.1))
        return _program(backend, *transforms, dtype="float16" if backend == "torch" else "bfloat16", total=11)

    def on(made: Any, state: Any, first: int, last: int) -> Any:
        for step in range(first, last):
            state, _ = made.train_step(state, _batch(step, 1e6 if step == 4 else 1.0), made.hyperparams())
        return state

    whole = program()
    want = whole.collect(on(whole, whole.init(2), 0, 11))
    for stop in (1, 5, 8):
        first, second = program(), program()
        saved = first.collect(on(first, first.init(2), 0, stop))
        ended = second.collect(on(second, second.restore(saved), stop, 11))
        assert ended.keys() == want.keys()
        assert all(np.array_equal(ended[path], array) for path, array in want.items()), stop
    assert int(want["updates"]) == (3 if backend == "torch" else 4)  # bfloat16 overflows where float32 does


def test_jax_has_no_float16_and_says_what_it_has() -> None:
    with pytest.raises(FkitError, match=r"(?s)'float16' is not on backend 'jax'.*dtype='bfloat16'"):
        _program("jax", dtype="float16")
    wrapper = {"optim_wrapper.type": "AmpOptimWrapper", "optim_wrapper.dtype": "float16"}
    with pytest.raises(FkitError, match=r"optim_wrapper.dtype: .*'float16' is not on backend 'jax'"):
        fkit.plan(config(**wrapper), registry(), backend="jax")


def _spec(**changes: Any) -> Spec:
    return fkit.plan(config(**changes), registry()).program.spec


AMP = {"optim_wrapper.type": "AmpOptimWrapper"}


@pytest.mark.parametrize(
    ("changes", "dtypes", "names"),
    [
        ({}, ("float32", None), []),
        ({"dtype": "bfloat16"}, ("bfloat16", None), []),
        ({"dtype": "float16"}, ("float16", None), ["loss_scale"]),
        (AMP, ("half", "float32"), ["loss_scale"]),
        ({**AMP, "optim_wrapper.dtype": "bfloat16"}, ("bfloat16", "float32"), ["loss_scale"]),
        ({**AMP, "optim_wrapper.dtype": "float16", "val_cfg": {"fp16": True}}, ("float16", None), ["loss_scale"]),
        ({**AMP, "dtype": "bfloat16"}, ("bfloat16", None), ["loss_scale"]),
        ({"val_cfg": {"fp16": True}}, ("float32", "half"), []),
        ({**AMP, "optim_wrapper.loss_scale": {"enabled": False}}, ("half", "float32"), []),
        (
            {**AMP, "optim_wrapper.accumulative_counts": 4, "optim_wrapper.clip_grad": {"max_norm": 1.0}},
            ("half", "float32"),
            ["accumulate", "loss_scale", "clip_norm"],
        ),
    ],
)
def test_what_a_config_computes_in(changes: Any, dtypes: Any, names: list[str]) -> None:
    spec = _spec(**changes)
    assert (spec.dtype, spec.predict_dtype) == dtypes
    assert [one.name for one in spec.phases[0].transforms] == names


@pytest.mark.parametrize(
    ("value", "scale", "moves"),
    [("dynamic", 65536.0, 0.5), (512.0, 512.0, 1.0), ({"init_scale": 8.0, "backoff_factor": 0.25}, 8.0, 0.25)],
)
def test_loss_scale_has_mmengine_s_three_forms(value: Any, scale: float, moves: float) -> None:
    (transform,) = _spec(**AMP, **{"optim_wrapper.loss_scale": value}).phases[0].transforms
    slots = transform.init({})
    assert float(slots["scale"]) == scale
    grads = {"a": torch.tensor([float("inf")])}
    after = transform.update(
        open_room("torch").ops, grads, {k: torch.tensor(v) for k, v in slots.items()}, Context(0, {})
    )[1]
    assert float(after["scale"]) == scale * moves


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"optim_wrapper.type": "ApexOptimWrapper"}, "AmpOptimWrapper' is torch's own"),
        ({"optim_wrapper.type": "AmpOptimWraper"}, "Did you mean 'AmpOptimWrapper'"),
        ({"optim_wrapper.loss_scale": 512.0}, "loss_scale = 512.0 is AmpOptimWrapper's"),
        ({**AMP, "optim_wrapper.use_fsdp": "yes"}, "use_fsdp = .yes. is not True or False"),
        ({**AMP, "dtype": "float64"}, "exclude one another"),
        ({**AMP, "dtype": "float16", "optim_wrapper.dtype": "bfloat16"}, "exclude one another"),
        ({"dtype": "float64", "val_cfg": {"fp16": True}}, "val_cfg.fp16 = True, and the run's dtype is 'float64'"),
        ({**AMP, "optim_wrapper.loss_scale": {"growth_factor": 0.5}}, "growth_factor = 0.5 is not a number above 1"),
    ],
)
def test_what_mixed_precision_cannot_be_is_refused(changes: Any, words: str) -> None:
    with pytest.raises(FkitError, match=words):
        _spec(**changes)


@pytest.mark.parametrize("backend", BACKENDS)
def test_predictions_are_in_half_precision_where_val_cfg_says_so(backend: str) -> None:
    programs = [
        fkit.plan(config(val_cfg=dict(fp16=half)), registry(), backend=backend).program for half in (False, True)
    ]
    batch = next(iter(fkit.open_data(fkit.plan(config(), registry()))["val"].batches(0, 0)))
    room = open_room(backend)
    whole, half = (room.host(program.predict(program.init(0), batch)) for program in programs)
    scores = [np.asarray(outputs["pred_score"], np.float32) for outputs in (whole, half)]
    assert not np.array_equal(*scores)
    np.testing.assert_allclose(*scores, rtol=5e-2)
    curves = [_losses(program, batch) for program in programs]
    assert curves[0] == curves[1]  # and training is as it was


def _losses(program: Any, batch: Batch) -> list[float]:
    state = program.init(0)
    return [float(program.train_step(state, batch, program.hyperparams())[1]["loss"])]
