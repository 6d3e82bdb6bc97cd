"""What a prediction on JAX does not read of a batch compiles nothing again; what it reads is there."""

from typing import Any

import jax
import numpy as np
import pytest
from flax import linen as nn

from fkit.array.room import open as open_room
from fkit.backend.jax.layers import Linear
from fkit.backend.jax.spared import Spared
from fkit.structures import Batch
from fkit.training.optimizer import Optimizer
from fkit.training.spec import Spec


class Reads(nn.Module):
    """A linear layer; its prediction reads targets in one way."""

    note: Any = str  # called each time that its code has run to its end
    how: str = "nothing"

    def example_inputs(self):
        return np.zeros((2, 3), np.float32)

    @nn.compact
    def __call__(self, inputs, samples=None, mode="tensor", train=False):
        y = Linear(2, name="fc")(inputs)
        if mode == "tensor":
            return y
        targets = samples.targets
        said = {
            "nothing": dict,
            "scale": lambda: {"scale": targets["scale"] * 2},
            "named": lambda: {"there": np.ones(("gt_boxes" in targets) + ("gt_none" in targets) + len(targets))},
            "absent": lambda: {"none": np.ones(1) if targets.get("gt_none") is None else None},
            "objects": lambda: {"sum": targets["gt_boxes"]["x"].sum()},
            "valid": lambda: {"count": samples.valid["gt_boxes"].sum()},
            "all": lambda: {"sums": {name: sum(leaf.sum() for leaf in jax.tree.leaves(value)) for name, value in targets.items()}},
            "copy": lambda: {"sum": {**targets, "more": 1}["gt_map"].sum()},
            "passed": lambda: {"targets": targets},
        }[self.how]()  # fmt: skip
        self.note(self.how)
        return {"score": y, **said}


def _made(how):
    ran: list[str] = []
    program = open_room("jax").program(
        Spec(lambda backend: Reads(ran.append, how), {"main": Optimizer.of("SGD", {"lr": 0.1})}, device="cpu")
    )
    return program, program.init(0), ran


def _batch(objects, side):
    targets = {
        "scale": np.float32([1.5, 2.5]),
        "gt_boxes": {"x": np.arange(2.0 * objects, dtype=np.float32).reshape(2, objects)},
        "gt_map": np.ones((2, side, side), np.float32),
    }
    valid = {"gt_boxes": np.arange(objects)[None] < np.array([[objects], [1]])}
    return Batch(np.ones((2, 3), np.float32), targets, valid)


@pytest.mark.parametrize("how", ["nothing", "scale", "named", "absent"])
def test_what_is_not_read_compiles_nothing_again(how: str) -> None:
    program, state, ran = _made(how)
    ran.clear()
    outputs = [program.predict(state, _batch(objects, side)) for objects, side in [(1, 4), (2, 5), (9, 7)]]
    assert ran == [how]
    if how == "scale":
        assert np.asarray(outputs[2]["scale"]).tolist() == [3.0, 5.0]
    if how == "named":
        assert outputs[0]["there"].shape == (4,)  # one of the two names, and three in all


@pytest.mark.parametrize(
    ("how", "key", "want"),
    [
        ("objects", "sum", [1.0, 6.0]),
        ("valid", "count", [2, 3]),
        ("copy", "sum", [32.0, 50.0]),
        ("all", "sums", [{"scale": 4.0, "gt_boxes": 1.0, "gt_map": 32.0}, {"scale": 4.0, "gt_boxes": 6.0, "gt_map": 50.0}]),
    ],
)  # fmt: skip
def test_what_is_read_is_there(how: str, key: str, want: list[Any]) -> None:
    program, state, ran = _made(how)
    ran.clear()
    for (objects, side), expected in zip([(1, 4), (2, 5)], want, strict=True):
        for _ in range(2):
            found = jax.tree.map(float, program.predict(state, _batch(objects, side))[key])
            assert found == expected
    assert ran == [how] * 2  # a shape, a compilation


def test_what_is_passed_on_is_whole() -> None:
    program, state, _ = _made("passed")
    batch = _batch(2, 5)
    found = program.predict(state, batch)["targets"]
    assert not isinstance(found, Spared)
    for name in ("scale", "gt_map"):
        assert np.array_equal(found[name], batch.targets[name])
    assert np.array_equal(found["gt_boxes"]["x"], batch.targets["gt_boxes"]["x"])


def test_what_is_compiled_is_what_runs(caplog: pytest.LogCaptureFixture) -> None:
    program, state, _ = _made("objects")
    compiled: list[int] = []
    for objects in (1, 1, 2, 2):
        caplog.clear()
        with caplog.at_level("WARNING"), jax.log_compiles():
            program.predict(state, _batch(objects, objects))
        compiled.append(sum("Finished XLA compilation of jit(predict)" in row.getMessage() for row in caplog.records))
    assert compiled == [1, 0, 1, 0]
