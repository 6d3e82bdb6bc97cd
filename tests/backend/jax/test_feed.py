"""Batches that are sent ahead to a device: the same numbers as from the host, order, errors, ends, resume."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
import pytest

import fkit
from fkit.array.room import open as open_room
from fkit.backend.jax.device import device_of
from fkit.backend.jax.feed import sent
from fkit.backend.jax.room import Jax
from fkit.run.scoring import Scoring
from fkit.run.start import save
from fkit.structures import InstanceData
from fkit.tree.error import FkitError
from tests.run import small


@dataclass(frozen=True)
class Sending(Jax):
    """The room of a device that is not the host's memory, as far as batches go: here the host's CPU plays it."""

    def feed(self, batches: Iterator[fkit.Batch], program: Any, train: bool = True) -> Iterator[fkit.Batch]:
        labels = program.inventory.labels if train else {}
        return sent(batches, device_of(program.spec.device), program.spec.dtype == "float64", labels)


def batch(label: int = 1) -> fkit.Batch:
    rng = np.random.default_rng(label)
    return fkit.Batch(
        rng.random((4, 1, 8, 8), np.float32), {"gt_label": np.full(4, label)}, meta=[{"img_id": label}] * 4
    )


@pytest.fixture(scope="module")
def program() -> Any:
    """Of all the runs here: what JAX has compiled of it serves the next one."""
    return fkit.plan(small.config(), small.registry(), backend="jax").program


def plan(program: Any, room: Jax | None = None, registry: Any = None, **changes: Any) -> Any:
    made = fkit.plan(small.config(**changes), registry or small.registry(), backend="jax")
    return replace(made, program=program, room=room or made.room)


def ended(plan: Any, stop_after: int | None = None, run: Any = None) -> Any:
    """The arrays of a run's end, or of one that is left in the middle, and the metrics of its last validation."""
    run = fkit.begin(plan) if run is None else run
    for run, _ in fkit.train(plan, run, fkit.open_data(plan)):
        if run.iteration == stop_after:
            break
    return run, {name: array.tobytes() for name, array in plan.program.collect(run.train).items()}


def test_the_room_gives_batches_of_the_cpu_as_they_are(program: Any) -> None:
    batches = iter([batch()])
    assert open_room("jax").feed(batches, program) is batches


@pytest.mark.parametrize("device", ["cpu", None])
@pytest.mark.parametrize("wide", [False, True])
def test_arrays_are_on_the_device_in_the_program_s_types(device: str | None, wide: bool) -> None:
    boxes = InstanceData(bboxes=np.ones((2, 4)), metainfo={"path": "a.jpg"})
    given = fkit.Batch(
        {"image": np.ones((2, 3), np.uint8), "views": (np.ones((2, 1)), np.zeros((2, 2)))},
        {"gt": boxes, "gt_label": np.arange(2), "scale": 2.0, "names": np.array(["a", "b"])},
        {"gt": np.ones((2, 4), bool)},
        [{"img_id": 3}, {"img_id": 4}],
    )
    (one,) = sent(iter([given]), device_of(device), wide)
    arrays = (one.inputs["image"], *one.inputs["views"], one.targets["gt"].bboxes, one.targets["gt_label"])
    assert all(isinstance(array, jax.Array) for array in (*arrays, one.valid["gt"]))
    assert [str(array.dtype) for array in arrays[2:]] == (
        ["float64", "float64", "int64"] if wide else ["float32", "float32", "int32"]
    )
    # Python's numbers keep their weak type, and what is no number is refused where it always was
    assert one.targets["scale"] == 2.0 and isinstance(one.targets["scale"], float) and one.targets["names"][1] == "b"
    assert one.targets["gt"].path == "a.jpg" and one.meta[1]["img_id"] == 4
    assert arrays[0].committed is (device is not None)


def test_a_step_is_the_same_to_the_bit_and_leaves_the_batch(program: Any) -> None:
    (there,) = sent(iter([batch()]), None)
    ends = []
    for one in (batch(), there):
        state = program.init(0)
        for _ in range(3):  # its state is donated, three times; the batch is not
            state, _ = program.train_step(state, one, program.hyperparams())
        ends.append({name: array.tobytes() for name, array in program.collect(state).items()})
    assert ends[0] == ends[1] and not there.inputs.is_deleted()


@pytest.mark.parametrize("loop", ["epoch", "iter"])
def test_a_run_is_the_same_to_the_bit_and_resumes(program: Any, loop: str) -> None:
    whole, there = ended(plan(program, loop=loop))
    sending = plan(program, Sending(), loop=loop)
    run, here = ended(sending)
    assert here == there and run.metrics == whole.metrics and run.metrics
    half, _ = ended(sending, stop_after=6)  # two batches were read early, and count for nothing
    resumed, end = ended(sending, run=fkit.restore(sending, save(sending, half)))
    assert end == there and resumed.metrics == whole.metrics


def test_losses_of_held_out_data_are_sent_too(program: Any) -> None:
    changes = dict(workflow=[("train", 1), ("val", 1)], val_cfg=None, val_evaluator=None)
    assert ended(plan(program, Sending(), **changes))[1] == ended(plan(program, **changes))[1]


@dataclass(frozen=True)
class Host(Scoring):
    """A way to predict that is the user's own."""

    def predict(self, program: Any, state: Any, batch: fkit.Batch) -> Any:
        assert isinstance(batch.inputs, np.ndarray)
        return program.predict(state, batch)


@dataclass(frozen=True)
class Look(fkit.Hook):
    """Notes what it sees."""

    def after_val_iter(self, memory: Any, run: Any, event: Any) -> Any:
        assert isinstance(event.batch.inputs, np.ndarray) and isinstance(event.outputs["pred_score"], jax.Array)
        return memory, ()


def test_hooks_metrics_and_scorings_of_the_user_s_see_the_host_s_batch(program: Any) -> None:
    registry = small.registry().register("loops", Host).register("hooks", Look)
    for changes in (dict(val_cfg=dict(type="Host")), dict(custom_hooks=[dict(type="Look")])):
        run, _ = ended(plan(program, Sending(), registry, **changes))
        assert run.metrics


def test_a_label_and_a_broken_source_are_told_at_their_batch(program: Any) -> None:
    made, good = plan(program, Sending()), batch()

    def data(*batches: fkit.Batch) -> dict[str, fkit.Source]:
        return {"train": fkit.Source.of(batches), "val": fkit.Source.of([good])}

    done = 0
    with pytest.raises(FkitError, match=r"iteration 4: .*label 77 is none of 10 classes"):
        for run, _ in fkit.train(made, fkit.begin(made), data(good, good, good, batch(77))):
            done = run.iteration
    assert done == 3

    class Breaks(fkit.Source):
        length = 4

        def batches(self, epoch: int, start: int = 0) -> Iterator[fkit.Batch]:
            yield from [good] * 2
            raise OSError("the disk is gone")

    with pytest.raises(FkitError, match=r"iteration 3: the training data raised OSError: the disk is gone"):
        for run, _ in fkit.train(made, fkit.begin(made), {**data(good), "train": Breaks()}):
            done = run.iteration
    assert done == 2


def test_a_run_that_is_left_lets_its_workers_go(program: Any) -> None:
    closed: list[str] = []

    class Watched(fkit.Source):
        length = 4

        def batches(self, epoch: int, start: int = 0) -> Iterator[fkit.Batch]:
            try:
                yield from [batch()] * 4
            finally:
                closed.append("train")

    made = plan(program, Sending())
    stream = fkit.train(made, fkit.begin(made), {"train": Watched(), "val": fkit.Source.of([batch()])})
    while not next(stream)[0].iteration:
        assert closed == []
    stream.close()
    assert closed == ["train"]
