"""Programs on torch: purity, donation, equality with a hand-written loop, randomness, errors."""

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import fkit
from fkit.array.ops import Host, Numpy
from fkit.array.random import call_key, fold, key, tag, uniform
from fkit.array.room import open as open_room
from fkit.training.optimizer import Optimizer
from fkit.training.program import Program
from fkit.training.spec import Phase, Spec
from fkit.tree.error import FkitError, FkitKeyError, FkitRuntimeError, FkitTypeError, FkitValueError

HEAD = {"type": "LinearClsHead", "num_classes": 4}
POOL = {"type": "GlobalAveragePooling"}
MODELS: Mapping[str, Any] = {
    "mlp": {"backbone": {"type": "MLP", "in_channels": 3 * 8 * 8, "hidden": (16, 8)}, "head": {**HEAD, "in_channels": 8}},
    "convnet": {
        "backbone": {"type": "ConvNet", "in_channels": 3, "channels": (4, 6), "dropout": 0.0},
        "neck": POOL,
        "head": {**HEAD, "in_channels": 6, "cal_acc": True},
    },
    "resnet": {
        "backbone": {"type": "ResNet_CIFAR", "depth": 18, "base_channels": 4, "with_cp": True},
        "neck": POOL,
        "head": {**HEAD, "in_channels": 32},
    },
    "group norm": {
        "backbone": {"type": "ConvNet", "in_channels": 3, "norm_cfg": {"type": "GN", "num_groups": 2}, "channels": (4, 6), "dropout": 0.0},
        "neck": POOL,
        "head": {**HEAD, "in_channels": 6},
    },
}  # fmt: skip
OPTIMIZERS = (
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3, "nesterov": True}),
    ("Adam", {"lr": 1e-2, "weight_decay": 1e-3}),
    ("Adam", {"lr": 1e-2, "amsgrad": True}),
    ("AdamW", {"lr": 1e-2, "betas": (0.8, 0.99)}),
    ("RMSprop", {"lr": 1e-3, "momentum": 0.5}),
    ("NAdam", {"lr": 1e-3}),
    ("Adagrad", {"lr": 1e-2}),
)


def batch(seed: int = 0, n: int = 6, dtype: str = "float32") -> fkit.Batch:
    rng = np.random.default_rng(seed)
    return fkit.Batch(rng.normal(size=(n, 3, 8, 8)).astype(dtype), {"gt_label": rng.integers(0, 4, n)})


def spec(model: Any, optimizer: Optimizer | None = None, **changes: Any) -> Spec:
    registry = fkit.registry()
    cfg = {"type": "ImageClassifier", **MODELS[model]} if isinstance(model, str) else model

    def make(backend: str) -> Any:
        return cfg() if callable(cfg) else fkit.build(cfg, registry, "models", backend=backend)

    chosen = optimizer or Optimizer.of("SGD", {"lr": 0.1, "momentum": 0.9})
    return Spec(make, changes.pop("optimizers", {"main": chosen}), device=changes.pop("device", "cpu"), **changes)


def program(model: Any = "mlp", optimizer: Optimizer | None = None, **changes: Any) -> Program:
    return open_room("torch").program(spec(model, optimizer, **changes))


def same(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    return list(one) == list(other) and all(one[path].tobytes() == other[path].tobytes() for path in one)


def steps(made: Program, count: int, seed: int = 0) -> tuple[Any, list[float]]:
    state, losses = made.init(seed), []
    for i in range(count):
        state, logs = made.train_step(state, batch(i), made.hyperparams())
        losses.append(float(logs["loss"]))
    return state, losses


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("type", "options"), OPTIMIZERS, ids=[f"{a}-{'-'.join(b)}" for a, b in OPTIMIZERS])
def test_a_step_is_that_of_a_hand_written_loop_and_leaves_its_input(
    model: str, type: str, options: dict[str, Any]
) -> None:
    made = program(model, Optimizer.of(type, options), dtype="float64", donate=False)
    state = made.init(1)
    net = made.spec.model("torch").double()
    first = made.collect(state)
    net.load_state_dict(
        {path.split("/", 1)[1]: torch.from_numpy(first[path]) for path in first if path[:2] in ("pa", "bu")}
    )
    optimizer = getattr(torch.optim, type)(net.parameters(), **options)
    for i in range(5):
        given = batch(i, dtype="float64")
        loss = F.cross_entropy(net(torch.from_numpy(given.inputs)), torch.from_numpy(given.targets["gt_label"]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        before = made.collect(state)
        new, logs = made.train_step(state, given, made.hyperparams())
        assert same(made.collect(state), before)
        assert float(logs["loss"]) == pytest.approx(loss.item(), rel=1e-12)
        state = new
    found = made.collect(state)
    for name, tensor in net.state_dict().items():
        held = found[f"params/{name}"] if f"params/{name}" in found else found[f"buffers/{name}"]
        np.testing.assert_allclose(held, tensor.numpy(), rtol=1e-9, atol=1e-12, err_msg=name)
    assert found["iteration"] == found["updates"] == 5
    assert same(made.collect(made.restore(found)), found)


def test_donation_gives_the_same_bits_and_consumes_the_state() -> None:
    pure, fast = program("convnet", donate=False), program("convnet")
    one, _ = steps(pure, 4)
    state = fast.init(0)
    for i in range(4):
        old = state
        state, _ = fast.train_step(old, batch(i), fast.hyperparams())
        assert old.consumed
    assert same(pure.collect(one), fast.collect(state))
    with pytest.raises(FkitRuntimeError, match="was consumed by train_step"):
        fast.train_step(old, batch(), fast.hyperparams())
    with pytest.raises(FkitRuntimeError, match=r"or build the program with donate=False"):
        _ = old.params


def test_a_step_that_cannot_start_leaves_the_state() -> None:
    made = program()
    state = made.init(0)
    with pytest.raises(FkitKeyError, match="hyperparams lack 'lr'"):
        made.train_step(state, batch(), {"momentum": np.zeros(1)})
    with pytest.raises(FkitValueError, match="one number a parameter group"):
        made.train_step(state, batch(), {**made.hyperparams(), "lr": np.zeros(0)})
    assert not state.consumed


def test_two_processes_reach_the_same_bits() -> None:
    code = (
        "import hashlib, importlib.util, sys\n"
        "spec = importlib.util.spec_from_file_location('t', sys.argv[1]); t = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(t)\n"
        "made = t.program('convnet', masks=sys.argv[2]); state, _ = t.steps(made, 5, seed=3)\n"
        "arrays = made.collect(state)\n"
        "print(hashlib.sha256(b''.join(arrays[k].tobytes() for k in sorted(arrays))).hexdigest())\n"
    )
    run = [sys.executable, "-c", code, __file__, "counter"]
    found = {subprocess.run(run, capture_output=True, text=True, check=True).stdout for _ in range(2)}
    assert len(found) == 1 and len(found.pop()) == 65


class Drop(nn.Module):
    """A user's module with torch's own dropout, a tied weight, a constant and a parameter that the loss leaves out."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(192, 192)
        self.second = nn.Linear(192, 192)
        self.second.weight = self.first.weight
        self.out = nn.Linear(192, 4)
        self.drop = nn.Dropout(0.5)
        self.scale = nn.Parameter(torch.rand(3))
        self.idle = nn.Parameter(torch.ones(2))
        self.register_buffer("shift", torch.full((4,), 0.5), persistent=False)
        self.frozen = nn.Parameter(torch.ones(4), requires_grad=False)

    def forward(self, inputs: Tensor, samples: Any = None, mode: str = "tensor") -> Any:
        x = self.drop(self.second(F.relu(self.first(inputs.flatten(1)))))
        logits = self.out(x) * self.scale.sum() + self.shift * self.frozen
        if mode == "loss":
            return {"loss_a": F.cross_entropy(logits, samples.targets["gt_label"]), "loss_b": [x.mean(), x], "size": 3}
        return {"logits": logits}


def test_a_user_s_module_works_the_same_way() -> None:
    made = program(Drop, donate=False)
    inventory = made.inventory
    assert inventory.aliases == (("second.weight", "first.weight"),)
    assert "shift" not in {entry.name for entry in inventory.entries}
    assert {entry.name for entry in inventory.entries if not entry.layer} == {"scale", "idle", "frozen"}
    state = made.init(0)
    new, logs = made.train_step(state, batch(), made.hyperparams())
    assert set(logs) == {"loss", "loss_a", "loss_b", "size"}
    assert float(logs["loss"]) == pytest.approx(float(logs["loss_a"] + logs["loss_b"]))
    assert torch.equal(new.params["frozen"], state.params["frozen"])
    assert torch.equal(new.params["idle"], state.params["idle"])
    assert not torch.equal(new.params["scale"], state.params["scale"])
    assert list(made.predict(new, batch())) == ["logits"]
    # torch's own generator decides the mask, and the step seeds it: a resumed run draws the same
    torch.manual_seed(11)
    again, _ = made.train_step(made.restore(made.collect(state)), batch(), made.hyperparams())
    assert same(made.collect(new), made.collect(again))
    other, _ = made.train_step(state.replace(iteration=torch.tensor(1)), batch(), made.hyperparams())
    assert not torch.equal(new.params["out.weight"], other.params["out.weight"])


def test_own_values_come_from_the_seed_and_leave_torch_s_generator() -> None:
    before = torch.random.get_rng_state()
    one, two, other = program(Drop).init(4), program(Drop).init(4), program(Drop).init(5)
    assert torch.equal(one.params["scale"], two.params["scale"])
    assert not torch.equal(one.params["scale"], other.params["scale"])
    assert torch.equal(before, torch.random.get_rng_state())


class Masked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        from fkit.backend.torch.drop import Dropout

        self.weight = nn.Parameter(torch.ones(()))
        self.inner = nn.Sequential(Dropout(0.25))

    def forward(self, inputs: Tensor, samples: Any = None, mode: str = "tensor") -> Any:
        return {"loss": (self.inner(inputs) * self.weight).sum(), "kept": (self.inner(inputs) != 0).sum()}


def test_masks_are_the_run_s_own_bits() -> None:
    made = program(Masked, donate=False)
    ones = fkit.Batch(np.ones((5, 2, 3), np.float32))
    state = made.init(7)
    for _ in range(3):
        words = fold(Host(), fold(Host(), key(7, "train"), int(state.iteration)), 0)  # of phase 0
        second = call_key(Host(), fold(Host(), words, tag("inner.0")), 1)  # the call that counts
        mask = uniform(Numpy(), second, 0, (5, 2, 3)) >= 0.25
        losses, _ = made.loss(state, ones, words, train=True)
        state, logs = made.train_step(state, ones, made.hyperparams())
        assert int(logs["kept"]) == int(losses["kept"]) == mask.sum()
    quiet, _ = made.loss(state, ones, words)
    assert int(quiet["kept"]) == 30


def test_masks_of_the_backend_are_repeatable_too() -> None:
    made = program(Masked, masks="backend", donate=False)
    big = fkit.Batch(np.ones((500, 20), np.float32))
    state = made.init(7)
    kept = [int(made.train_step(state, big, made.hyperparams())[1]["kept"]) for _ in range(2)]
    assert kept[0] == kept[1] and 7300 < kept[0] < 7700
    ours = int(program(Masked, donate=False).train_step(state, big, made.hyperparams())[1]["kept"])
    assert ours != kept[0]


def test_loss_updates_no_buffer_but_gives_new_ones() -> None:
    made = program("convnet")
    state = made.init(0)
    before = made.collect(state)
    losses, buffers = made.loss(state, batch(), (1, 2), train=True)
    assert set(losses) == {"loss", "accuracy_top-1"}
    assert int(buffers["backbone.bn1.num_batches_tracked"]) == 1
    assert same(before, made.collect(state))
    _, kept = made.loss(state, batch(), np.array([1, 2], np.uint32))
    assert all(torch.equal(kept[name], state.buffers[name]) for name in kept)


def test_groups_and_changing_hyperparameters() -> None:
    optimizer = Optimizer.of("SGD", {"lr": 0.1}, [{"params": r"bias$", "lr": 0.0}])
    made = program("mlp", optimizer, donate=False)
    state = made.init(0)
    new, _ = made.train_step(state, batch(), made.hyperparams())
    assert torch.equal(new.params["head.fc.bias"], state.params["head.fc.bias"])
    assert not torch.equal(new.params["head.fc.weight"], state.params["head.fc.weight"])
    still, _ = made.train_step(state, batch(), {**made.hyperparams(), "lr": np.zeros(2)})
    assert torch.equal(still.params["head.fc.weight"], state.params["head.fc.weight"])


def test_a_group_without_momentum_beside_one_with() -> None:
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-2}
    made = program("mlp", Optimizer.of("SGD", options, [{"params": "bias$", "momentum": 0.0}]), dtype="float64")
    state = made.init(0)
    net = made.spec.model("torch").double()
    net.load_state_dict({path[7:]: torch.from_numpy(a) for path, a in made.collect(state).items() if path[:2] == "pa"})
    biases = [tensor for name, tensor in net.named_parameters() if name.endswith("bias")]
    others = [tensor for name, tensor in net.named_parameters() if not name.endswith("bias")]
    optimizer = torch.optim.SGD([{"params": biases, "momentum": 0.0}, {"params": others}], **options)
    for i in range(4):
        given = batch(i, dtype="float64")
        optimizer.zero_grad()
        F.cross_entropy(net(torch.from_numpy(given.inputs)), torch.from_numpy(given.targets["gt_label"])).backward()
        optimizer.step()
        state, _ = made.train_step(state, given, made.hyperparams())
    for name, tensor in net.named_parameters():
        np.testing.assert_allclose(state.params[name], tensor.detach(), rtol=1e-10, err_msg=name)


class Duel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(192, 1)
        self.b = nn.Linear(192, 1)

    def forward(self, inputs: Tensor, samples: Any = None, mode: str = "tensor") -> Any:
        x = inputs.flatten(1)
        return {"loss_a": (self.a(x) - self.b(x)).pow(2).mean(), "loss_b": -(self.b(x) + self.a(x)).mean()}


def test_phases_fold() -> None:
    phases = (Phase("loss_a", "left", "^a"), Phase("loss_b", "right", "^b", every=2))
    optimizers = {"left": Optimizer.of("SGD", {"lr": 0.1}), "right": Optimizer.of("Adam", {"lr": 0.1})}
    made = program(Duel, optimizers=optimizers, phases=phases, donate=False)
    assert set(made.hyperparams()) == {"left.lr", "left.momentum", "left.weight_decay", "right.lr", "right.beta1",
                                       "right.beta2", "right.eps", "right.weight_decay"}  # fmt: skip
    first = made.init(0)
    second, _ = made.train_step(first, batch(), made.hyperparams())
    third, _ = made.train_step(second, batch(), made.hyperparams())
    assert not torch.equal(first.params["a.weight"], second.params["a.weight"])
    assert not torch.equal(first.params["b.weight"], second.params["b.weight"])
    assert torch.equal(second.params["b.weight"], third.params["b.weight"])
    assert float(third.opt["right"]["step"]["b.weight"]) == 1
    with pytest.raises(FkitKeyError, match="optimizer 'up'"):
        program(Duel, phases=(Phase(optimizer="up"),))
    with pytest.raises(FkitValueError, match="no trainable parameter"):
        program(Duel, phases=(Phase(params="nothing"),))


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_compute_types(dtype: str) -> None:
    made = program("convnet", dtype=dtype)
    images = fkit.Batch(np.random.default_rng(0).integers(0, 255, (4, 3, 8, 8), np.uint8), {"gt_label": np.arange(4)})
    state, logs = made.train_step(made.init(0), images, made.hyperparams())
    want = torch.float64 if dtype == "float64" else torch.float32
    assert {tensor.dtype for tensor in state.params.values()} == {want}
    assert state.buffers["backbone.bn1.running_var"].dtype == want
    assert state.opt["main"]["momentum_buffer"]["head.fc.weight"].dtype == want
    assert np.isfinite(float(logs["loss"]))
    near = program("convnet", dtype="float64").train_step(
        program("convnet", dtype="float64").init(0), images, made.hyperparams()
    )
    assert float(logs["loss"]) == pytest.approx(float(near[1]["loss"]), rel=0.05 if dtype == "bfloat16" else 1e-5)


def test_frozen_stages_hold_in_a_step() -> None:
    cfg = {"type": "ImageClassifier", **MODELS["resnet"]}
    cfg["backbone"] = {**cfg["backbone"], "frozen_stages": 1, "zero_init_residual": False, "with_cp": False}
    made = program(cfg, donate=False)
    state = made.init(0)
    new, _ = made.train_step(state, batch(), made.hyperparams())
    for name, tensor in {**new.params, **new.buffers}.items():
        old = state.params[name] if name in state.params else state.buffers[name]
        still = name.startswith(("backbone.conv1", "backbone.bn1", "backbone.layer1"))
        assert torch.equal(tensor, old) is still, name
    assert "backbone.conv1.weight" not in new.opt["main"]["momentum_buffer"]


def test_a_batch_that_may_not_be_written_to_is_taken_without_a_warning() -> None:
    made = program()
    given = batch()
    given.inputs.flags.writeable = False
    flipped = fkit.Batch(given.inputs[::-1], given.targets)
    assert made.predict(made.init(0), flipped)["pred_label"].shape == (6,)


def test_optimizer_state_must_be_whole() -> None:
    made = program("mlp", Optimizer.of("Adam", {}))
    arrays = made.collect(made.init(0))
    rest = {path: array for path, array in arrays.items() if path != "opt/main/exp_avg/head.fc.bias"}
    with pytest.raises(FkitValueError, match=r"missing \(1\): main/exp_avg/head.fc.bias"):
        made.restore(rest)
    with pytest.raises(FkitValueError, match=r"unknown \(6\): main/step"):
        program("mlp").restore({path: array for path, array in arrays.items() if "exp_avg" not in path} | {
            f"opt/main/momentum_buffer/{path[7:]}": array for path, array in arrays.items() if path.startswith("params/")
        })  # fmt: skip
    fresh = made.restore({path: array for path, array in arrays.items() if not path.startswith("opt/")})
    assert same(made.collect(fresh), arrays)


class Wrong(nn.Module):
    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.answer = answer

    def forward(self, inputs: Tensor, samples: Any = None, mode: str = "tensor") -> Any:
        return self.answer(self.weight)


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (lambda w: w, FkitTypeError, "returns a mapping of losses, found Tensor"),
        (lambda w: {"accuracy": w}, FkitValueError, r"hold no key that contains \"loss\""),
        (lambda w: {"loss": "low"}, FkitTypeError, "loss 'loss' is a str"),
    ],
)
def test_a_model_that_breaks_the_protocol(answer: Any, error: type[FkitError], text: str) -> None:
    made = program(lambda: Wrong(answer))
    with pytest.raises(error, match=text):
        made.train_step(made.init(0), batch(), made.hyperparams())


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"dtype": "float8"}, FkitValueError, "dtype = 'float8' is unknown"),
        ({"memory_format": "chanels_last"}, FkitValueError, "memory_format = 'chanels_last' is unknown"),
        ({"device": "gpu"}, FkitValueError, "device='gpu' is no device"),
        ({"device": "cuda:63"}, FkitValueError, "device='cuda:63'"),
        ({"optimizer": Optimizer.of("SGDD", {"lr": 1.0})}, FkitKeyError, "Did you mean 'SGD'"),
        ({"optimizer": Optimizer.of("LBFGS", {"lr": 1.0})}, FkitKeyError, "more than a gradient"),
        ({"optimizer": Optimizer.of("ASGD", {"alfa": 1.0})}, FkitTypeError, "alfa"),
        ({"optimizer": Optimizer.of("Adadelta", {"rho": -1.0})}, FkitValueError, "Invalid rho"),
        (
            {"optimizer": Optimizer.of("ASGD", {}, [{"params": "bias", "lambdd": 1.0}])},
            FkitTypeError,
            "Did you mean 'lambd'",
        ),
        ({"model": lambda: 3}, FkitTypeError, "torch.nn.Module, found 3"),
    ],
)
def test_what_cannot_be_made(changes: dict[str, Any], error: type[FkitError], text: str) -> None:
    with pytest.raises(error, match=text):
        program(**changes)


def test_labels_are_asked_for() -> None:
    made = program()
    with pytest.raises(FkitKeyError, match="no targets\\['gt_label'\\]"):
        made.train_step(made.init(0), fkit.Batch(batch().inputs), made.hyperparams())


@pytest.mark.filterwarnings("ignore")  # torch's compiler warns of torch's own code
def test_compiled_losses_are_the_eager_ones() -> None:
    eager, fast = program("mlp", donate=False), program("mlp", donate=False, compile=True)
    one, losses = steps(eager, 2)
    two, others = steps(fast, 2)
    assert losses == pytest.approx(others, rel=1e-5)
    np.testing.assert_allclose(one.params["head.fc.weight"], two.params["head.fc.weight"], atol=1e-6)
