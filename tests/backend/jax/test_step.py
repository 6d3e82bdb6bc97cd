"""A training step on JAX: what is compiled and how often, what moves, what stays on the host."""

import threading
import warnings
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen as nn
from frozendict import frozendict

from fkit.array.room import open as open_room
from fkit.backend.jax.layers import Linear
from fkit.backend.jax.number import packer
from fkit.structures import Batch, DetDataSample, InstanceData
from fkit.training.ema import use_ema, with_ema
from fkit.training.optimizer import Optimizer
from fkit.training.phase import parts_of
from fkit.training.spec import Phase, Spec
from fkit.training.transform import accumulate, clip_norm
from fkit.tree.error import FkitKeyError, FkitRuntimeError, FkitTypeError, FkitValueError

_ROWS = 4


class Rows(nn.Module):
    """Two linear layers, one of them out of the loss's reach; it notes each time that its code runs."""

    note: Any = str  # called with the mode
    reads: str = ""

    def example_inputs(self):
        return np.zeros((_ROWS, 3), np.float32)

    @nn.compact
    def __call__(self, inputs, samples=None, mode="tensor", train=False):
        self.note(mode)
        y, spare = Linear(2, name="fc")(inputs), Linear(2, name="spare")(inputs)
        if mode == "tensor":
            return y + spare
        samples = samples.targets.get("samples", ()) if samples is not None else ()
        if self.reads:
            y = y * getattr(samples[0], self.reads)[0]
        if mode == "predict":
            return {"score": y, "samples": [one.set(score=row) for one, row in zip(samples, y, strict=False)]}
        boxes = sum((one.gt_instances.bboxes.sum() for one in samples), jnp.zeros(()))
        return {"loss": jnp.square(y - 1).mean() + 0 * boxes, "size": jnp.square(spare).mean()}


def _program(model=None, optimizer=("SGD", {"lr": 0.1, "momentum": 0.9}), **options):
    optimizers = options.pop("optimizers", {"main": Optimizer.of(*optimizer, options.pop("groups", ()))})
    return open_room("jax").program(Spec(lambda backend: model or Rows(), optimizers, device="cpu", **options))


def _batch(seed=0, rows=_ROWS, **targets):
    return Batch(np.random.default_rng(seed).normal(size=(rows, 3)).astype(np.float32), targets)


def _described(step):
    """A batch of elements, each with metainfo of its own."""
    samples = [
        DetDataSample(
            metainfo={"img_path": f"{step}/{row}.jpg", "img_shape": (10 + step, 20 + row)},
            gt_instances=InstanceData(bboxes=np.ones((2, 4), np.float32), metainfo={"crowd": step * 10 + row}),
        )
        for row in range(_ROWS)
    ]
    return _batch(step, samples=samples)


def _steps(program, count, batch=_batch, state=None, **numbers):
    state = program.init(0) if state is None else state
    for step in range(count):
        state, logs = program.train_step(state, batch(step), {**program.hyperparams(), **numbers})
    return state, logs


# ------------------------------------------------------------------------------------------------- what is compiled


def test_metainfo_of_each_image_compiles_nothing_again_and_comes_back():
    ran = []
    program = _program(Rows(ran.append))
    state, _ = _steps(program, 1, _described)
    ran.clear()
    for step in range(4):
        state, _ = program.train_step(state, _described(step), program.hyperparams())
        program.loss(state, _described(step), (0, 1))
        outputs = program.predict(state, _described(step))
        for row, one in enumerate(outputs["samples"]):
            assert isinstance(one, DetDataSample) and np.array_equal(one.score, outputs["score"][row])
            assert dict(one.metainfo) == {"img_path": f"{step}/{row}.jpg", "img_shape": (10 + step, 20 + row)}
            assert one.gt_instances.crowd == step * 10 + row
    assert ran == ["loss", "predict"]  # program.loss and program.predict, compiled once each


def test_metainfo_is_nothing_to_compute_with():
    program = _program(Rows(str, "img_shape"))
    with pytest.raises(FkitTypeError, match=r"'img_shape' is metainfo, which stays on the host while JAX computes"):
        program.predict(program.init(0), _described(0))


def test_a_step_that_cannot_be_traced_leaves_the_state_as_it_was():
    program = _program(Rows(str, "img_shape"))
    state = program.init(0)
    with pytest.raises(FkitTypeError, match="stays on the host"):
        program.train_step(state, _described(0), program.hyperparams())
    assert not state.consumed and np.asarray(state.params["fc.weight"]).shape == (3, 2)


def test_too_many_compilations_are_said_once_with_what_differs():
    program = _program()
    state = program.init(0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for rows in range(1, 9):
            program.predict(state, _batch(rows=rows))
            program.predict(state, _batch(rows=rows))
        assert not told
        for rows in range(9, 12):
            program.predict(state, _batch(rows=rows))
    (one,) = told
    assert "JAX has compiled predict 9 times" in str(one.message)
    assert "differ in inputs: float32[8,3], then float32[9,3]." in str(one.message)


def test_what_else_may_differ_is_told_too():
    program = _program()
    state = program.init(0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for count in range(9):
            program.predict(state, _batch(samples=[], **{f"name{count}": np.zeros(1, np.float32)}))
    assert "targets['name7']: float32[1], then absent; targets['name8']: absent, then float32[1]" in str(
        told[0].message
    )


def test_fields_that_are_no_metainfo_are_part_of_the_program_and_told():
    program = _program()
    state = program.init(0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for count in range(9):
            program.predict(
                state, _batch(samples=[DetDataSample(words="x" * 300 + str(count), metainfo={"id": count})])
            )
    assert "the structure of targets: ..." in str(told[0].message)
    assert "xx7'" in str(told[0].message) and "xx8'" in str(told[0].message) and len(str(told[0].message)) < 700


def test_a_hundred_groups_of_equal_settings_cost_what_one_does():
    groups = [
        {"params": f"^{layer}.{kind}$", "weight_decay": 0.05} for layer in ("fc", "spare") for kind in ("w.*", "b.*")
    ]
    programs = [_program(groups=each) for each in (groups, [{"params": ".", "weight_decay": 0.05}])]
    sizes = []
    for program in programs:
        assert program.hyperparams()["lr"].shape == (2,)  # these, and what is left over
        args = (program.init(0), _batch(), dict(program.hyperparams()))
        jaxpr = jax.make_jaxpr(program.train_step)(*args).jaxpr
        (call,) = (eqn for eqn in jaxpr.eqns if eqn.params.get("name") == "train")
        sizes.append(len(call.params["jaxpr"].jaxpr.eqns))
    assert sizes[0] == sizes[1]


def test_hyperparams_change_without_recompiling():
    ran = []
    program = _program(Rows(ran.append))
    state, _ = _steps(program, 1)
    ran.clear()
    still = np.asarray(state.params["fc.weight"])
    state, _ = _steps(program, 3, state=state, lr=np.zeros(1), momentum=np.array([0.5]))
    assert not ran and np.array_equal(state.params["fc.weight"], still)


@pytest.mark.parametrize("kind", [dict, frozendict, MappingProxyType])
def test_numbers_of_the_host_are_packed_on_the_host(kind):
    """A schedule's are mapping proxies, new at each step: what JAX joins on the device takes as long as a small step."""
    program = _program()
    pack = packer(parts_of(program.spec, program.inventory))
    assert isinstance(
        pack(kind({name: np.array(row) for name, row in program.hyperparams().items()})).numbers, np.ndarray
    )


def test_hyperparams_may_change_in_place_and_are_never_stale():
    program = _program(donate=False)
    state, kept = program.init(0), program.hyperparams()
    frozen = frozendict(kept)  # its arrays can be written to
    fixed = frozendict({name: value.copy() for name, value in kept.items()})
    for value in fixed.values():
        value.flags.writeable = False
    for hyperparams in (kept, frozen):
        before, _ = program.train_step(state, _batch(), hyperparams)
        hyperparams["lr"][:] = 0.0
        after, _ = program.train_step(state, _batch(), hyperparams)
        assert not np.array_equal(before.params["fc.weight"], state.params["fc.weight"])
        assert np.array_equal(after.params["fc.weight"], state.params["fc.weight"])
        hyperparams["lr"][:] = 0.1
    for _ in range(2):
        again, _ = program.train_step(state, _batch(), fixed)
        assert np.array_equal(again.params["fc.weight"], before.params["fc.weight"])


def test_averages_of_the_weights_are_part_of_the_one_compiled_call():
    def share(done):
        return (1, 0.5, 0.0, 0.25)[done % 4]

    plain = _program(donate=False)
    calls = {}
    for name, program in {"plain": plain, "two": with_ema(with_ema(plain, 0.1), share, "other")}.items():
        state = program.init(0)

        def step(inputs, program=program, state=state):
            state, _ = program.train_step(state, Batch(inputs), program.hyperparams())
            return state

        jaxpr = jax.make_jaxpr(step)(_batch().inputs).jaxpr
        calls[name] = [eqn.params["name"] for eqn in jaxpr.eqns if "jaxpr" in eqn.params]
    assert calls == {"plain": ["train"], "two": ["train"]}


def test_a_weight_of_the_newest_that_changes_compiles_nothing_again(caplog):
    weights = (1, 0.5, 0.0, np.float32(0.25), 1.0, 1e-3)
    ran = []
    program = with_ema(with_ema(_program(Rows(ran.append)), 0.1), weights.__getitem__, "other")
    state, numbers = program.init(0), program.hyperparams()
    ran.clear()
    with jax.log_compiles():
        state, _ = program.train_step(state, _batch(), numbers)
        assert "jit(train)" in caplog.text and ran == ["loss"]
        caplog.clear()
        for step in range(1, len(weights)):
            state, _ = program.train_step(state, _batch(step), numbers)
    assert caplog.text == "" and ran == ["loss"]


def test_an_average_copies_and_rests_exactly_whatever_the_numbers_are():
    """A weight of 1 leaves nothing of what was there, and one of 0 takes nothing in: not even what is no number."""
    program = with_ema(_program(donate=False), lambda done: (0.0, 1.0)[done])
    start = program.init(0)
    odd = {name: jnp.full_like(array, np.nan) for name, array in start.params.items()}
    state = start.replace(params=odd)
    for wanted in (start.params, None):
        state, _ = program.train_step(state, _batch(), program.hyperparams())
        for name, array in state.slots["ema"].items():
            np.testing.assert_array_equal(array, (wanted or state.params)[name])
    state = start.replace(slots={"ema": odd}, iteration=np.int64(1))
    state, _ = program.train_step(state, _batch(), program.hyperparams())
    for name, array in state.slots["ema"].items():
        np.testing.assert_array_equal(array, state.params[name])


def test_an_average_follows_a_step_that_somebody_has_put_another_round():
    """A plain function has nothing to compile the average into: it is mixed after it, to the same numbers."""
    ends = []
    for wrapped in (False, True):
        program = _program(dtype="float64")
        if wrapped:
            inner = program.train_step
            program = program._replace(train_step=lambda *args, inner=inner: inner(*args))
        program = with_ema(program, lambda done: (1.0, 0.5, 0.0, 0.3)[done])
        assert hasattr(program.train_step, "followed_by") != wrapped
        state, _ = _steps(program, 4)
        ends.append(program.collect(state))
    for path, array in ends[0].items():
        np.testing.assert_allclose(array, ends[1][path], rtol=1e-12, atol=1e-15, err_msg=path)


def test_one_slot_has_one_average():
    program = with_ema(_program(), 0.1)
    with pytest.raises(FkitValueError, match="the program has a slot 'ema' already"):
        with_ema(program, 0.2)
    with pytest.raises(FkitValueError, match="the program has a slot 'accumulate' already"):
        with_ema(_program(phases=(Phase("loss", transforms=(accumulate(2),)),)), 0.2, "accumulate")


# ------------------------------------------------------------------------------------------------------- what moves


@pytest.mark.parametrize(
    ("type", "options"),
    [("SGD", {"momentum": 0.9, "weight_decay": 0.1}), ("Adam", {"weight_decay": 0.1}), ("AdamW", {})],
    ids=str,
)
def test_what_the_loss_does_not_reach_rests_as_in_torch(type, options):
    options = {"lr": 0.1, **options}
    program = _program(optimizer=(type, options), phases=(Phase("loss"),), dtype="float64")
    start = program.init(0)
    arrays = program.collect(start)
    net = torch.nn.ModuleDict({name: torch.nn.Linear(3, 2) for name in ("fc", "spare")}).double()
    net.load_state_dict({path[7:]: torch.from_numpy(array) for path, array in arrays.items() if path[:7] == "params/"})
    rule = getattr(torch.optim, type)(net.parameters(), **options)
    state = start
    for step in range(5):
        state, logs = program.train_step(state, _batch(step), program.hyperparams())
        rule.zero_grad()
        loss = (net["fc"](torch.from_numpy(_batch(step).inputs).double()) - 1).square().mean()
        loss.backward()
        rule.step()
        assert float(logs["loss"]) == pytest.approx(loss.item(), rel=1e-12)
    end = program.collect(state)
    for name, value in net.state_dict().items():
        np.testing.assert_allclose(end[f"params/{name}"], value, rtol=1e-12, atol=1e-15)
    assert np.array_equal(end["params/spare.weight"], arrays["params/spare.weight"])
    for path, array in end.items():
        if path.startswith("opt/") and "/spare." in path:
            assert np.array_equal(array, arrays[path]), path
    assert int(state.updates) == 5


def test_a_loss_that_reaches_nothing_is_told_as_in_torch():
    program = _program(phases=(Phase("loss", params="^spare"),))
    state = program.init(0)
    with pytest.raises(FkitValueError, match="the loss of phase 'main' reaches none of its parameters"):
        program.train_step(state, _batch(0), program.hyperparams())
    assert not state.consumed


def test_steps_in_which_no_phase_is_due_are_no_updates_and_wait_for_nothing():
    program = _program(phases=(Phase("loss", every=3),))
    state, moved = program.init(0), []
    for step in range(7):
        before = np.asarray(state.params["fc.weight"])
        state, logs = program.train_step(state, _batch(step), program.hyperparams())
        assert type(state.iteration) is np.int64 and isinstance(state.updates, jax.Array)
        assert (set(logs) == {"loss", "size"}) == (step % 3 == 0)
        moved.append(not np.array_equal(before, state.params["fc.weight"]))
    assert moved == [step % 3 == 0 for step in range(7)] and int(state.updates) == 3 and state.iteration == 7


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_may_rise_from_0_and_fall_to_it_as_in_torch(nesterov):
    start = 0.9 if nesterov else 0.0  # torch's nesterov asks for a momentum
    options = {"lr": 0.1, "weight_decay": 0.01, "momentum": start, "nesterov": nesterov}
    program = _program(optimizer=("SGD", options), phases=(Phase("loss"),), dtype="float64")
    state = program.init(0)
    weights = {path[10:]: array for path, array in program.collect(state).items() if path.startswith("params/fc.")}
    layer = torch.nn.Linear(3, 2).double()
    layer.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    rule = torch.optim.SGD(layer.parameters(), **options)
    for step, momentum in enumerate((start, 0.0, 0.5, 0.9, 0.0, 0.7, 0.7)):
        rule.param_groups[0]["momentum"] = momentum
        numbers = {**program.hyperparams(), "momentum": np.array([momentum])}
        state, _ = program.train_step(state, _batch(step), numbers)
        rule.zero_grad()
        (layer(torch.from_numpy(_batch(step).inputs).double()) - 1).square().mean().backward()
        rule.step()
        arrays = program.collect(state)
        np.testing.assert_allclose(arrays["params/fc.weight"], layer.weight.detach(), rtol=1e-12, err_msg=str(step))
        held = rule.state[layer.weight].get("momentum_buffer")
        assert ("opt/main/momentum_buffer/fc.weight" in arrays) == (held is not None)
        if held is not None:
            np.testing.assert_allclose(arrays["opt/main/momentum_buffer/fc.weight"], held, rtol=1e-12)
        state = program.restore(arrays)  # at any moment


def test_transforms_and_what_the_loss_does_not_reach_go_together():
    program = _program(phases=(Phase("loss", transforms=(accumulate(2), clip_norm(0.1))),))
    state = program.init(0)
    kept = state.slots["accumulate"]
    moved = []
    for step in range(4):
        before = np.asarray(state.params["fc.weight"])
        state, _ = program.train_step(state, _batch(step), program.hyperparams())
        moved.append(not np.array_equal(before, state.params["fc.weight"]))
        assert set(state.slots["accumulate"]) == set(kept)
    assert moved == [False, True, False, True] and int(state.updates) == 2
    arrays = program.collect(state)
    assert program.collect(program.restore(arrays)).keys() == arrays.keys()


# ------------------------------------------------------------------------------------------------ what is not shared


def test_arrays_of_the_caller_are_never_donated():
    program = _program()
    images, numbers = jnp.ones((_ROWS, 3)), {name: jnp.asarray(v) for name, v in program.hyperparams().items()}
    arrays = {path: jnp.asarray(array) for path, array in program.collect(program.init(0)).items()}
    state = program.restore(arrays)
    for _ in range(3):
        state, _ = program.train_step(state, Batch(images), numbers)
    assert not any(array.is_deleted() for array in (images, *numbers.values(), *arrays.values()))
    assert float(images.sum()) == _ROWS * 3
    weight, buffer = jnp.ones((3, 2)), jnp.zeros((3, 2))
    held = state.opt["main"]["momentum_buffer"]
    state = state.replace(
        params={**state.params, "fc.weight": weight},
        opt={"main": {"momentum_buffer": {**held, "fc.weight": buffer}}},
    )
    following, _ = program.train_step(state, Batch(images), numbers)
    assert not weight.is_deleted() and not buffer.is_deleted() and float(weight.sum()) == 6
    assert not np.array_equal(following.params["fc.weight"], weight)


def test_a_moving_average_in_place_of_the_weights_may_be_trained_on():
    program = with_ema(_program(), 0.1)
    state, _ = _steps(program, 3)
    state, _ = program.train_step(use_ema(state), _batch(), program.hyperparams())
    assert np.isfinite(np.asarray(state.slots["ema"]["fc.weight"])).all()


def test_what_is_both_weights_and_average_is_donated_once():
    program = with_ema(with_ema(_program(), 0.1), 0.2, "other")
    state, _ = _steps(program, 2)
    for change in (
        lambda state: {"params": state.slots["other"]},
        lambda state: {"slots": {"ema": state.params, "other": state.params}},
        lambda state: {"params": dict(state.slots["ema"])},
    ):
        start = program.collect(state := state.replace(**change(state)))
        state, _ = program.train_step(state, _batch(), program.hyperparams())
        end = program.collect(state)
        for name, weight in (("ema", 0.1), ("other", 0.2)):
            old, new = start[f"slots/{name}/fc.weight"], end["params/fc.weight"]
            np.testing.assert_allclose(end[f"slots/{name}/fc.weight"], old + weight * (new - old), rtol=1e-6)


def test_nobody_waits_for_the_device():
    """A step gives what is still to be computed: the model waits until the step has been given."""
    begun = threading.Event()

    def wait(x):
        begun.wait(30)
        return x

    class Slow(Rows):
        @nn.compact
        def __call__(self, inputs, samples=None, mode="tensor", train=False):
            y = Linear(2, name="fc")(inputs)
            shape = jax.ShapeDtypeStruct(y.shape, y.dtype)
            return {
                "loss": y.sum() + jax.lax.stop_gradient(jax.pure_callback(wait, shape, jax.lax.stop_gradient(y)).sum())
            }

    program = _program(Slow(), phases=(Phase("loss", every=2),), donate=False)
    states = [program.init(0)]
    for step in range(2):
        states.append(program.train_step(states[-1], _batch(step), program.hyperparams())[0])
    assert states[-1].iteration == 2 and not begun.is_set()
    begun.set()
    assert int(states[-1].updates) == 1


def test_threads_do_not_disturb_each_other():
    program = _program(donate=False)
    states = [program.init(seed) for seed in range(4)]
    want = [np.asarray(program.predict(state, _batch())["score"]) for state in states]
    trained = [program.train_step(state, _batch(), program.hyperparams())[0].params["fc.weight"] for state in states]
    wrong = []

    def work(index):
        for _ in range(50):
            score = program.predict(states[index], _batch())["score"]
            state, _ = program.train_step(states[index], _batch(), program.hyperparams())
            if not (np.array_equal(score, want[index]) and np.array_equal(state.params["fc.weight"], trained[index])):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_states_are_read_by_name_and_frozen():
    program = _program()
    state = program.init(0)
    assert list(state.params) == ["fc.weight", "fc.bias", "spare.weight", "spare.bias"] and len(state.params) == 4
    assert "fc.weight" in state.params and "fc" not in state.params
    with pytest.raises(FkitKeyError, match=r"there is no 'fc.wieght'.\n  Did you mean 'fc.weight'"):
        state.params["fc.wieght"]
    with pytest.raises(FkitTypeError, match="frozen"):
        state.params.arrays = ()
    plain = state.replace(
        params=dict(state.params), opt={"main": {"momentum_buffer": dict(state.opt["main"]["momentum_buffer"])}}
    )
    following, _ = program.train_step(plain, _batch(), program.hyperparams())
    assert plain.consumed and list(following.params) == ["fc.weight", "fc.bias", "spare.weight", "spare.bias"]
    with pytest.raises(FkitRuntimeError, match="consumed"):
        plain.params  # noqa: B018


@pytest.mark.parametrize("memory_format", ["auto", "contiguous", "channels_last"])
def test_memory_formats_are_torchs_and_pass(memory_format):
    program, plain = _program(memory_format=memory_format), _program()
    logs, want = (made.train_step(made.init(0), _batch(), made.hyperparams())[1] for made in (program, plain))
    assert {name: float(value) for name, value in logs.items()} == {name: float(value) for name, value in want.items()}


def test_what_is_no_memory_format_is_told():
    with pytest.raises(FkitValueError, match="memory_format = 'chanels_last' is unknown"):
        _program(memory_format="chanels_last")
