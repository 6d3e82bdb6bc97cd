"""What a model may do in forward, and what is refused: buffers, hidden state, its batch; threads with one program."""

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import fkit
from fkit.array.room import open as open_room
from fkit.training.optimizer import Optimizer
from fkit.training.spec import Phase, Spec
from fkit.tree.error import FkitRuntimeError, FkitTypeError, FkitValueError

BATCH = fkit.Batch(np.arange(12, dtype=np.float32).reshape(4, 3), {"y": np.ones((4, 1), np.float32)})


class Net(nn.Module):
    """A linear layer, and whatever a test does in forward."""

    mean: Tensor
    steps: Tensor

    def __init__(self, act: Callable[[Any, Tensor, Any], Any]) -> None:
        super().__init__()
        self.act = act
        self.weight = nn.Parameter(torch.full((3, 1), 0.1))
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("loose", torch.zeros(2), persistent=False)
        self.plain: Any = [1, 2]

    def forward(self, inputs: Tensor, samples: Any = None, mode: str = "tensor") -> Any:
        self.act(self, inputs, samples)
        y = (inputs - self.mean.detach()) @ self.weight
        return {"loss": (y - samples.targets["y"]).square().mean()} if mode == "loss" else y


def program(act: Callable[[Any, Tensor, Any], Any], **changes: Any) -> Any:
    spec = Spec(lambda _: Net(act), {"main": Optimizer.of("SGD", {"lr": 0.01})}, device="cpu", **changes)
    return open_room("torch").program(spec)


def assigns(net: Net, inputs: Tensor, samples: Any) -> None:
    if net.training:
        net.mean = 0.9 * net.mean + 0.1 * (inputs * net.weight.sum()).mean(0)
        net.steps = net.steps + 1


@pytest.mark.parametrize("donate", [True, False])
@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.filterwarnings("ignore")  # torch's compiler warns of torch's own code
def test_buffers_that_forward_assigns_are_the_state_s(donate: bool, compile: bool) -> None:
    made = program(assigns, donate=donate, compile=compile)
    state = made.init(0)
    mean, weight = np.zeros(3), float(state.params["weight"].sum())
    for step in range(3):
        losses, buffers = made.loss(state, BATCH, (0, 0), train=True)
        assert not np.allclose(buffers["mean"], state.buffers["mean"]) and not buffers["mean"].requires_grad
        state, logs = made.train_step(state, BATCH, made.hyperparams())
        assert float(logs["loss"]) == pytest.approx(float(losses["loss"]), rel=1e-5)
        mean = 0.9 * mean + 0.1 * BATCH.inputs.mean(0) * weight
        weight = float(state.params["weight"].sum())
        np.testing.assert_allclose(state.buffers["mean"], mean, rtol=1e-5)
        assert int(state.buffers["steps"]) == step + 1 and not state.buffers["mean"].requires_grad
    assert int(made.restore(made.collect(state)).buffers["steps"]) == 3


def test_an_assigned_buffer_is_the_state_s_own_memory() -> None:
    def act(net: Net, inputs: Tensor, samples: Any) -> None:
        if net.training:
            net.mean = inputs[0]

    made = program(act)
    inputs = BATCH.inputs.copy()
    state, _ = made.train_step(made.init(0), fkit.Batch(inputs, BATCH.targets), made.hyperparams())
    inputs[:] = 7
    assert state.buffers["mean"].tolist() == [0, 1, 2]


def shape(net: Net, inputs: Tensor, samples: Any) -> None:
    net.mean = net.mean.view(1, 3)


def kind(net: Net, inputs: Tensor, samples: Any) -> None:
    net._buffers["steps"] = 3  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (shape, FkitValueError, r"buffer 'mean' has shape \(3,\); forward assigns one of shape \(1, 3\)"),
        (kind, FkitTypeError, "puts a int in the place of its buffer 'steps'"),
    ],
)
def test_a_buffer_keeps_its_shape(act: Any, error: type[Exception], text: str) -> None:
    made = program(act)
    with pytest.raises(error, match=text):
        made.train_step(made.init(0), BATCH, made.hyperparams())


def into_inputs(net: Net, inputs: Tensor, samples: Any) -> None:
    inputs.flatten().relu_()


def into_samples(net: Net, inputs: Tensor, samples: Any) -> None:
    samples.targets["y"].add_(1)


CALLS: tuple[tuple[str, Callable[[Any, Any], Any]], ...] = (
    ("step", lambda made, state: made.train_step(state, BATCH, made.hyperparams())),
    ("loss", lambda made, state: made.loss(state, BATCH, (0, 0))),
    ("training loss", lambda made, state: made.loss(state, BATCH, (0, 0), train=True)),
    ("prediction", lambda made, state: made.predict(state, BATCH)),
)


@pytest.mark.parametrize("call", [call for _, call in CALLS], ids=[name for name, _ in CALLS])
@pytest.mark.parametrize("act", [into_inputs, into_samples])
def test_a_model_does_not_write_into_its_batch(act: Any, call: Any) -> None:
    made = program(act)
    with pytest.raises(FkitRuntimeError, match=r"the model writes into its inputs or samples by an operation in place"):
        call(made, made.init(0))


def in_place(net: Net, inputs: Tensor, samples: Any) -> None:
    net.mean += 1


def in_place_of_a_weight(net: Net, inputs: Tensor, samples: Any) -> None:
    with torch.no_grad():
        net.weight.clamp_(max=0.05)


def assigned(net: Net, inputs: Tensor, samples: Any) -> None:
    net.mean = net.mean + 1


@pytest.mark.parametrize("call", [CALLS[1][1], CALLS[3][1]], ids=["loss", "prediction"])
@pytest.mark.parametrize(
    ("act", "text"),
    [
        (in_place, "evaluating, the model writes into 'mean' of the state"),
        (in_place_of_a_weight, "evaluating, the model writes into 'weight' of the state"),
        (assigned, "evaluating, the model assigns to 'mean' of its buffers"),
    ],
)
def test_evaluation_changes_no_state(act: Any, text: str, call: Any) -> None:
    made = program(act)
    with pytest.raises(FkitRuntimeError, match=text):
        call(made, made.init(0))


def test_after_an_error_a_program_is_as_before() -> None:
    def act(net: Net, inputs: Tensor, samples: Any) -> None:
        if inputs[0, 0] > 5:
            raise ZeroDivisionError

    made = program(act, donate=False)
    state = made.init(0)
    for call in (made.predict, lambda state, batch: made.train_step(state, batch, made.hyperparams())):
        with pytest.raises(ZeroDivisionError):
            call(state, fkit.Batch(BATCH.inputs + 6, BATCH.targets))
    assert made.predict(state, BATCH).shape == (4, 1)


def counts(net: Net, inputs: Tensor, samples: Any) -> None:
    net.plain = [*net.plain, 3]


def appends(net: Net, inputs: Tensor, samples: Any) -> None:
    net.plain.append(3)


def makes(net: Net, inputs: Tensor, samples: Any) -> None:
    net.cache = inputs.mean()


def loose(net: Net, inputs: Tensor, samples: Any) -> None:
    net.loose += 1  # type: ignore[operator]


def mode(net: Net, inputs: Tensor, samples: Any) -> None:
    net.eval()


def late_buffer(net: Net, inputs: Tensor, samples: Any) -> None:
    net.register_buffer("late", torch.zeros(1))


def late_weight(net: Net, inputs: Tensor, samples: Any) -> None:
    net.late = nn.Parameter(torch.zeros(1))


def late_layer(net: Net, inputs: Tensor, samples: Any) -> None:
    net.late = nn.Linear(3, 1)


@pytest.mark.parametrize(
    ("act", "name"),
    [
        (counts, "plain"), (appends, "plain"), (makes, "cache"), (loose, "loose"), (mode, "training"),
        (late_buffer, "late"), (late_weight, "late"), (late_layer, "late"),
    ],
)  # fmt: skip
def test_hidden_state_is_named_once(act: Any, name: str) -> None:
    made = program(act)
    state = made.init(0)
    with pytest.warns(UserWarning, match=rf"Net: forward sets '{name}': hidden state"):
        state, _ = made.train_step(state, BATCH, made.hyperparams())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.train_step(state, BATCH, made.hyperparams())


def new_weight(net: Net, inputs: Tensor, samples: Any) -> None:
    net.weight = nn.Parameter(net.weight.detach() + 1)


def new_data(net: Net, inputs: Tensor, samples: Any) -> None:
    net.weight.data = net.weight.data + 1


def written(net: Net, inputs: Tensor, samples: Any) -> None:
    if net.training:
        with torch.no_grad():
            net.weight.clamp_(max=0.05)


@pytest.mark.parametrize("act", [new_weight, new_data])
@pytest.mark.parametrize("call", ["train_step", "predict", "loss"])
def test_a_parameter_that_forward_replaces_is_refused(act: Any, call: str) -> None:
    made = program(act, donate=False)
    state = made.init(0)
    more = {"train_step": (BATCH, made.hyperparams()), "predict": (BATCH,), "loss": (BATCH, (1, 2), True)}[call]
    with pytest.raises(FkitRuntimeError, match=r"puts other values in the place of 'weight' of its parameters"):
        getattr(made, call)(state, *more)


def test_a_parameter_that_forward_writes_into_is_the_state_s() -> None:
    made = program(written)
    before = made.init(0)
    weight = before.params["weight"].clone()
    after, _ = made.train_step(before, BATCH, {**made.hyperparams(), "lr": np.array([0.0])})
    assert (after.params["weight"] == weight.clamp(max=0.05)).all() and (weight > 0.05).any()


def test_threads_with_one_program_do_not_meet() -> None:
    """Predictions of one state beside training steps of others, each as if alone."""
    registry = fkit.registry()
    model = {
        "type": "ImageClassifier",
        "backbone": {"type": "ConvNet", "in_channels": 1, "channels": (4, 6), "dropout": 0.3},
        "neck": {"type": "GlobalAveragePooling"},
        "head": {"type": "LinearClsHead", "num_classes": 4, "in_channels": 6},
    }
    spec = Spec(
        lambda backend: fkit.build(model, registry, "models", backend=backend),
        {"main": Optimizer.of("SGD", {"lr": 0.1, "momentum": 0.9})},
        phases=(Phase(),),
        device="cpu",
    )
    made = open_room("torch").program(spec)
    rng = np.random.default_rng(0)
    batch = fkit.Batch(rng.normal(size=(6, 1, 8, 8)).astype(np.float32), {"gt_label": rng.integers(0, 4, 6)})
    states = [made.init(seed) for seed in range(4)]

    def predicted(seed: int) -> bytes:
        return b"".join(made.predict(states[seed], batch)["pred_score"].numpy().tobytes() for _ in range(25))

    def trained(seed: int) -> bytes:
        state = made.init(seed)
        for _ in range(10):
            state, _ = made.train_step(state, batch, made.hyperparams())
        return b"".join(array.tobytes() for array in made.collect(state).values())

    alone = [predicted(seed)[: 6 * 4 * 4] * 25 for seed in range(4)], [trained(seed) for seed in range(4)]
    with ThreadPoolExecutor(8) as pool:
        one, two = pool.map(predicted, range(4)), pool.map(trained, range(4))
        assert (list(one), list(two)) == alone
