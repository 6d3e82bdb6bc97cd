"""What stands between gradient and update: torch's own numbers, and the same in both rooms; wrappers of a program."""

import math

import jax
import numpy as np
import pytest
import torch

import fkit
from fkit.array.ops import Numpy
from fkit.array.room import open as open_room
from fkit.structures.batch import Batch
from fkit.training.average import annealing, averaged, stochastic
from fkit.training.ema import use_ema, with_ema
from fkit.training.optimizer import Optimizer
from fkit.training.spec import Phase, Spec
from fkit.training.transform import Context, accumulate, apply, clip_norm, clip_value
from fkit.tree.error import FkitError

GRADS = {"a": np.array([[3.0, -4.0], [1.0, 2.0]]), "b": np.array([0.5, -6.0])}
MODEL = fkit.Config(
    {
        "type": "ImageClassifier",
        "backbone": {"type": "MLP", "in_channels": 16, "hidden": (8,)},
        "head": {"type": "LinearClsHead", "num_classes": 3, "in_channels": 8},
    }
)


def _batch(step, count=4):
    rng = np.random.default_rng(step)
    return Batch(rng.normal(size=(count, 1, 4, 4)), {"gt_label": rng.integers(0, 3, count)})


def _program(backend, *transforms, optimizer=("SGD", {"lr": 0.5, "momentum": 0.9}), groups=(), **options):
    spec = Spec(
        lambda name: fkit.build(MODEL, fkit.registry(), "models", backend=name),
        {"main": Optimizer.of(*optimizer, groups)},
        (Phase(transforms=transforms),),
        dtype="float64",
        device="cpu",
        example=lambda: np.zeros((1, 1, 4, 4)),
        **options,
    )
    return open_room(backend).program(spec)


def _params(program, state):
    return {path: array for path, array in program.collect(state).items() if path.startswith("params/")}


@pytest.mark.parametrize("order", [1.0, 2.0, 3.0, math.inf])
@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_clipping_gives_torch_s_numbers(order, limit):
    params = [torch.nn.Parameter(torch.zeros(array.shape, dtype=torch.float64)) for array in GRADS.values()]
    for param, array in zip(params, GRADS.values(), strict=True):
        param.grad = torch.from_numpy(array.copy())
    before = float(torch.nn.utils.clip_grad_norm_(params, limit, order))
    for backend in ("numpy", "torch", "jax"):
        xp = Numpy() if backend == "numpy" else open_room(backend).ops
        with jax.enable_x64(True):
            lift = {"numpy": np.asarray, "torch": torch.from_numpy, "jax": jax.numpy.asarray}[backend]
            grads, _, moves, logs = clip_norm(limit, order).update(
                xp, {k: lift(v) for k, v in GRADS.items()}, {}, Context(0, {})
            )
            assert float(logs["grad_norm"]) == pytest.approx(before, rel=1e-12)
        for param, clipped in zip(params, grads.values(), strict=True):
            np.testing.assert_allclose(np.asarray(clipped), param.grad.numpy(), rtol=1e-12)
        assert moves is True
    torch.nn.utils.clip_grad_value_(params, 0.25)
    by_value = clip_value(0.25).update(Numpy(), grads, {}, Context(0, {}))[0]
    for param, clipped in zip(params, by_value.values(), strict=True):
        np.testing.assert_allclose(np.asarray(clipped), param.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("make", [lambda: clip_norm(0), lambda: clip_norm("1"), lambda: clip_norm(1.0, -2),
                                  lambda: clip_value(-1.0), lambda: accumulate(0), lambda: accumulate(1.5)])  # fmt: skip
def test_numbers_out_of_range_are_refused(make):
    with pytest.raises(FkitError, match=r"clip_grad\.|accumulative_counts"):
        make()


def test_the_fold_asks_every_transform_and_moves_only_if_all_want():
    chain = (("accumulate", accumulate(2)), ("clip_value", clip_value(1.0)))
    slots = {"accumulate": {name: np.zeros_like(array) for name, array in GRADS.items()}}
    _, changed, moves, logs = apply(chain, Numpy(), GRADS, slots, Context(0, {}))
    assert not moves and list(changed) == ["accumulate"] and not logs  # nothing moves: nothing is clipped
    grads, changed, moves, logs = apply(chain, Numpy(), GRADS, changed, Context(1, {}))
    assert moves and not any(array.any() for array in changed["accumulate"].values())
    assert np.abs(grads["b"]).max() == 1.0 and float(logs["grad_value"]) == 6.0


@pytest.mark.parametrize("donate", [True, False])
def test_accumulation_is_the_larger_batch_on_both_backends(donate):
    """Two batches of 4 accumulated are one of 8; in between nothing moves, and `updates` counts what did."""
    ends = []
    for backend in ("torch", "jax"):
        program = _program(backend, accumulate(2), donate=donate)
        plain = _program(backend)
        state, whole = program.init(3), plain.init(3)
        for step in range(6):
            before = _params(program, state)
            state, _ = program.train_step(state, _batch(step), program.hyperparams())
            same = all(np.array_equal(array, before[path]) for path, array in _params(program, state).items())
            assert same == (step % 2 == 0)
        for step in range(0, 6, 2):
            one, two = _batch(step), _batch(step + 1)
            labels = np.concatenate([one.targets["gt_label"], two.targets["gt_label"]])
            both = Batch(np.concatenate([one.inputs, two.inputs]), {"gt_label": labels})
            whole, _ = plain.train_step(whole, both, plain.hyperparams())
        assert (int(state.updates), int(state.iteration)) == (3, 6)
        for path, array in _params(plain, whole).items():
            np.testing.assert_allclose(_params(program, state)[path], array, rtol=1e-10)
        ends.append(_params(program, state))
    for path, array in ends[0].items():
        np.testing.assert_allclose(ends[1][path], array, rtol=1e-10)


def test_slots_survive_collect_restore_and_convert_in_the_middle():
    programs = {backend: _program(backend, accumulate(3), clip_norm(0.1)) for backend in ("torch", "jax")}
    for first, second in (("torch", "jax"), ("jax", "torch")):
        ends = []
        for there in (first, second):
            state = programs[first].init(1)
            for step in range(2):
                state, _ = programs[first].train_step(state, _batch(step), start_numbers(programs))
            state = programs[first].convert(state, there)
            for step in range(2, 5):
                state, _ = programs[there].train_step(state, _batch(step), start_numbers(programs))
            ends.append(programs[there].collect(state))
        for path, array in ends[0].items():
            np.testing.assert_allclose(ends[1][path], array, rtol=1e-9, atol=1e-12, err_msg=path)
        assert any(path.startswith("slots/accumulate/") for path in ends[0])
    arrays = programs["torch"].collect(programs["torch"].init(0))
    lacking = {path: array for path, array in arrays.items() if not path.startswith("slots/")}
    for program in programs.values():
        with pytest.raises(FkitError, match=r"lacks slots of this run's gradient transforms"):
            program.restore(lacking)


def start_numbers(programs):
    return programs["torch"].hyperparams()


def test_a_moving_average_is_a_slot_that_survives_and_equals_torch_s():
    ends = {}
    for backend in ("torch", "jax"):
        program = with_ema(_program(backend), momentum=0.1)
        state = program.init(5)
        state, _ = program.train_step(state, _batch(0), program.hyperparams())
        want = _params(program, state)  # the first step copies
        for step in range(1, 4):
            state, _ = program.train_step(state, _batch(step), program.hyperparams())
            want = {path: array + 0.1 * (_params(program, state)[path] - array) for path, array in want.items()}
        state = program.restore(program.collect(state))
        assert int(state.iteration) == 4
        ends[backend] = program.collect(state)
        for path, array in want.items():
            average = ends[backend][path.replace("params/", "slots/ema/")]
            np.testing.assert_allclose(average, array, rtol=1e-12)
        averaged = program.collect(use_ema(state))
        np.testing.assert_allclose(averaged["params/head.fc.weight"], want["params/head.fc.weight"], rtol=1e-12)
        other = "jax" if backend == "torch" else "torch"
        converted = with_ema(_program(other), momentum=0.1).collect(program.convert(state, other))
        assert all(np.array_equal(converted[path], array) for path, array in ends[backend].items())
        before, mine = program.collect(use_ema(state)), program.restore(program.collect(state))
        after = program.collect(program.train_step(use_ema(mine), _batch(7), program.hyperparams())[0])
        for path in want:  # trained on, the average is what it was until the step's weights are mixed in
            average = before[path] + 0.1 * (after[path] - before[path])
            np.testing.assert_allclose(after[path.replace("params/", "slots/ema/")], average, rtol=1e-12, atol=1e-15)
        plain = _program(backend)
        other = {name.removeprefix("params/"): array for name, array in _params(plain, plain.init(6)).items()}
        loaded = program.collect(program.load(state, other))
        for name, array in other.items():
            assert np.array_equal(loaded[f"params/{name}"], array), name
            assert np.array_equal(loaded[f"slots/ema/{name}"], array), name
        with pytest.raises(FkitError, match="holds no moving average"):
            program.restore(plain.collect(plain.init(0)))
        with pytest.raises(FkitError, match="holds no moving average"):
            use_ema(plain.init(0))
    for path, array in ends["torch"].items():
        np.testing.assert_allclose(ends["jax"][path], array, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("donate", [True, False])
def test_averages_of_any_weight_are_the_same_numbers_in_both_rooms(donate):
    share = averaged(annealing(0.1, 3), begin=2, interval=2)  # copies, rests, and mixes, each time by another weight
    ends = {}
    for backend in ("torch", "jax"):
        plain = _program(backend, accumulate(2), clip_norm(0.5), donate=donate)
        program = with_ema(with_ema(plain, share), stochastic(), "mean")
        state = program.init(5)
        for step in range(9):
            last = program.collect(state)
            kept, state = state, program.train_step(state, _batch(step), program.hyperparams())[0]
            assert kept.consumed == donate
            arrays = program.collect(state)
            for name, weight in (("ema", share(step)), ("mean", stochastic()(step))):
                for path in _params(program, state):
                    slot = path.replace("params/", f"slots/{name}/")
                    want = last[slot] + weight * (arrays[path] - last[slot])
                    np.testing.assert_allclose(arrays[slot], want, rtol=1e-12, atol=1e-15)
                    if weight in (0, 1):
                        assert np.array_equal(arrays[slot], arrays[path] if weight else last[slot])
        ends[backend] = arrays
    assert ends["torch"].keys() == ends["jax"].keys()
    for path, array in ends["torch"].items():
        np.testing.assert_allclose(ends["jax"][path], array, rtol=1e-9, atol=1e-12, err_msg=path)


def test_a_mean_of_two_takes_all_of_one_or_nothing_whatever_the_other_is():
    odd, even = np.array([np.nan, np.inf, 1e300, 2.0]), np.array([1.0, -1.0, -1e300, 4.0])
    for backend in ("numpy", "torch", "jax"):
        xp = Numpy() if backend == "numpy" else open_room(backend).ops
        lift = {"numpy": np.array, "torch": torch.tensor, "jax": jax.numpy.array}[backend]
        for reuse in (False, True):
            with jax.enable_x64(True):
                for weight, want in ((0, even), (1.0, odd), (0.25, even + 0.25 * (odd - even))):
                    (mixed,) = xp.mixed([lift(even)], [lift(odd)], weight, reuse)
                    np.testing.assert_array_equal(np.asarray(mixed), want, err_msg=f"{backend} {weight}")


def test_groups_with_equal_options_are_one():
    names = [f"layer{i}.weight" for i in range(162)]
    groups = [{"params": f"^{name}$", "lr": 0.1 * (i % 3 + 1)} for i, name in enumerate(names)]
    optimizer = Optimizer.of("SGD", {"lr": 0.1}, groups)
    assert optimizer.count == 3 and optimizer.hyperparams()["lr"].shape == (3,)
    assigned = optimizer.assign(names)
    assert [len(members) for members in assigned] == [54, 54, 54]
    assert assigned[1] == tuple(name for i, name in enumerate(names) if i % 3 == 1)
    assert optimizer.settings(2)["lr"] == pytest.approx(0.3)


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_groups_change_what_their_members_get(backend):
    groups = [{"params": "backbone", "lr": 0.0}, {"params": "head.*bias", "lr": 0.0}]
    program = _program(backend, groups=groups)
    start = program.init(0)
    before = _params(program, start)
    state, _ = program.train_step(start, _batch(0), program.hyperparams())
    after = _params(program, state)
    moved = {path for path in after if not np.array_equal(after[path], before[path])}
    assert moved == {"params/head.fc.weight"}
