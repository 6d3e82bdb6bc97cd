"""Updates: torch's own numbers where a loss leaves parameters out, momentum is raised, slots are there from the start."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import fkit
from fkit.array.room import open as open_room
from fkit.backend.torch.optimizer import update
from fkit.training.optimizer import Optimizer
from fkit.training.spec import Phase, Spec
from fkit.training.transform import Transform
from fkit.tree.error import FkitValueError

OPTIMIZERS = (
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.1}),
    ("Adagrad", {"lr": 0.1, "weight_decay": 0.1}),
    ("NAdam", {"lr": 0.1, "weight_decay": 0.1}),
)


class Some(nn.Module):
    """Two towers; the batch says which of them the loss reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 1)
        self.b = nn.Linear(3, 1)

    def forward(self, inputs: Tensor, samples: Any = None, mode: str = "tensor") -> Any:
        tower = {"a": self.a, "b": self.b}[mode[0]]
        return {"loss": tower(inputs).square().sum()}


def program(model: Any, optimizer: Optimizer, **changes: Any) -> Any:
    return open_room("torch").program(
        Spec(lambda _: model(), {"main": optimizer}, device="cpu", dtype="float64", **changes)
    )


def batch(seed: int) -> fkit.Batch:
    return fkit.Batch(np.random.default_rng(seed).normal(size=(5, 3)))


@pytest.mark.parametrize(("type", "options"), OPTIMIZERS, ids=[name for name, _ in OPTIMIZERS])
def test_what_the_loss_does_not_reach_is_left_alone_as_torch_leaves_it(type: str, options: dict[str, Any]) -> None:
    """Neither decayed nor stepped, its slots as they were: in a step of another loss, and for good."""
    phases = (Phase(mode="a", name="first"), Phase(mode="b", name="second", every=3))
    made = program(Some, Optimizer.of(type, options), phases=phases)
    state = made.init(0)
    net = Some().double()
    net.load_state_dict({path[7:]: torch.from_numpy(a) for path, a in made.collect(state).items() if path[:2] == "pa"})
    reference = getattr(torch.optim, type)(net.parameters(), **options)
    for step in range(5):
        given = batch(step)
        state, _ = made.train_step(state, given, made.hyperparams())
        for mode in ("a", "b") if step % 3 == 0 else ("a",):
            reference.zero_grad()
            net(torch.from_numpy(given.inputs), mode=mode)["loss"].backward()
            reference.step()
    arrays = made.collect(state)
    for name, tensor in net.named_parameters():
        np.testing.assert_allclose(arrays[f"params/{name}"], tensor.detach().numpy(), rtol=1e-12, err_msg=name)
    for name, tensor in net.named_parameters():
        for slot, value in reference.state[tensor].items():
            if isinstance(value, Tensor):
                np.testing.assert_allclose(arrays[f"opt/main/{slot}/{name}"], value.numpy(), rtol=1e-6, err_msg=slot)


class Still(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.other = nn.Parameter(torch.ones(2))

    def forward(self, inputs: Tensor, samples: Any = None, mode: str = "tensor") -> Any:
        return {"loss": (self.weight.detach() * inputs).sum()}


def test_a_loss_that_reaches_nothing_is_an_error() -> None:
    made = program(Still, Optimizer.of("SGD", {"lr": 0.1}))
    with pytest.raises(FkitValueError, match=r"the loss of phase 'main' reaches none of its parameters"):
        made.train_step(made.init(0), fkit.Batch(np.ones((1, 2))), made.hyperparams())


def test_updates_count_the_steps_in_which_something_moved() -> None:
    made = program(Some, Optimizer.of("SGD", {"lr": 0.1}), phases=(Phase(mode="a", every=2),))
    state = made.init(0)
    for step in range(5):
        state, logs = made.train_step(state, batch(step), made.hyperparams())
        assert bool(logs) is (step % 2 == 0)
    assert int(state.iteration) == 5 and int(state.updates) == 3
    assert made.collect(state)["updates"].dtype == np.int64


def test_momentum_may_be_raised_from_zero() -> None:
    """By a schedule: torch makes its buffers at that step; a group whose momentum is 0 rests."""
    made = program(
        Some, Optimizer.of("SGD", {"lr": 0.1}, [{"params": "bias", "weight_decay": 0.1}]), phases=(Phase(mode="a"),)
    )
    state = made.init(0)
    assert not state.opt["main"]
    net = Some().double()
    net.load_state_dict({path[7:]: torch.from_numpy(a) for path, a in made.collect(state).items() if path[:2] == "pa"})
    reference = torch.optim.SGD([{"params": [net.a.bias], "weight_decay": 0.1}, {"params": [net.a.weight]}], lr=0.1)
    for step, momentum in enumerate(((0, 0), (0, 0.9), (0, 0.9), (0.5, 0.9), (0.5, 0), (0.5, 0.8))):
        for group, value in zip(reference.param_groups, momentum, strict=True):
            group["momentum"] = value
        numbers = {**made.hyperparams(), "momentum": np.array(momentum, np.float64)}
        state, _ = made.train_step(state, batch(step), numbers)
        reference.zero_grad()
        net(torch.from_numpy(batch(step).inputs), mode="a")["loss"].backward()
        reference.step()
        np.testing.assert_allclose(state.params["a.weight"], net.a.weight.detach(), rtol=1e-12)
        np.testing.assert_allclose(state.params["a.bias"], net.a.bias.detach(), rtol=1e-12)
        state = made.restore(made.collect(state))
    assert set(state.opt["main"]) == {"momentum_buffer"}


def test_slots_that_an_optimizer_has_from_its_construction_on_are_the_state_s() -> None:
    """Adagrad keeps its sums so in some versions of torch; whatever a fresh object holds is what a run begins with."""
    names = ("a", "b")
    params = {name: torch.ones(2, 3) for name in names}
    slots = update(Optimizer.of("Adagrad", {"initial_accumulator_value": 0.5}), names).init(params)
    leaves = [nn.Parameter(tensor) for tensor in params.values()]
    fresh = torch.optim.Adagrad(leaves, initial_accumulator_value=0.5)
    for name, leaf in zip(names, leaves, strict=True):
        want = {slot: value for slot, value in fresh.state.get(leaf, {}).items()}
        assert {slot for slot in slots if name in slots[slot]} == set(want)
        for slot, value in want.items():
            assert torch.equal(slots[slot][name], value)


def test_a_named_optimizer_is_no_state_of_the_program() -> None:
    """Two threads with one program, each on its own state: as if alone."""
    made = program(Some, Optimizer.of("ASGD", {"lr": 0.01}), phases=(Phase(mode="a"),))

    def end(seed: int) -> Any:
        state = made.init(seed)
        for step in range(60):
            state, _ = made.train_step(state, batch(step), made.hyperparams())
        return made.collect(state)["params/a.weight"].tobytes()

    alone = [end(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(end, range(4))) == alone


@pytest.mark.parametrize(("type", "options"), OPTIMIZERS, ids=[name for name, _ in OPTIMIZERS])
def test_whether_to_move_may_be_known_on_the_device_alone(type: str, options: dict[str, Any]) -> None:
    """A transform whose answer is a tensor: a step that does not move leaves weights, slots and the count of updates."""

    def update(xp: Any, grads: Any, slots: Any, context: Any) -> Any:
        return grads, slots, torch.tensor(context.turn % 2 == 1)

    gate = Transform("gate", lambda params: {}, update)
    gated = program(Some, Optimizer.of(type, options), phases=(Phase(mode="a", transforms=(gate,)),))
    plain = program(Some, Optimizer.of(type, options), phases=(Phase(mode="a"),))
    state, other = gated.init(0), plain.init(0)
    for step in range(6):
        state, _ = gated.train_step(state, batch(step), gated.hyperparams())
        if step % 2:
            other, _ = plain.train_step(other, batch(step), plain.hyperparams())
    arrays, want = gated.collect(state), plain.collect(other)
    assert int(arrays.pop("iteration")) == 6 and int(want.pop("iteration")) == int(arrays["updates"]) == 3
    assert {path: array.tobytes() for path, array in arrays.items()} == {
        path: array.tobytes() for path, array in want.items()
    }
