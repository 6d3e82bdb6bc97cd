"""What a child process with four devices of the CPU's computes: ``python -m tests.backend.jax.sharing WHAT``.

Each function asserts what it is about, and what is left to say goes to standard output as JSON.
"""

import json
import sys
import warnings

import jax
import jax.monitoring
import numpy as np

import fkit
from fkit.backend.jax.feed import sent
from fkit.backend.jax.mesh import devices_of
from fkit.run.start import restore, save
from tests.run import small

EVEN = {"train_dataloader.batch_size": None, "train_dataloader.global_batch_size": 16}
WIDE = {"dtype": "float64"}


def plan(devices, donate=True, **changes):
    """A plan of the small run with batches of 16 whatever the number of devices; the last of an epoch has 2 samples."""
    cfg = small.config(**{"backend": "jax", "devices": devices, "train_cfg.max_epochs": 2, **EVEN, **changes})
    return fkit.plan(cfg, small.registry(), donate=donate)


def trained(made, run=None, stop=None):
    """A run to its end, or to the iteration ``stop``, and {iteration: what it logged} of the steps on the way."""
    run, rows = fkit.begin(made) if run is None else run, {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* has no equal parts")
        for run, effects in fkit.train(made, run, fkit.open_data(made)):
            for effect in effects:
                if isinstance(effect, fkit.run.effect.WriteScalars):
                    kept = {name: value for name, value in effect.scalars.items() if "time" not in name}
                    rows.setdefault(effect.step, {}).update({f"{effect.mode}/{k}": v for k, v in kept.items()})
            if run.iteration == stop:
                break
    return run, rows


def apart(one, other):
    """The largest difference between the numbers of two runs, relative to the larger."""
    assert one.keys() == other.keys() and all(one[step].keys() == other[step].keys() for step in one)
    pairs = [(one[step][name], other[step][name]) for step in one for name in one[step]]
    assert len(pairs) >= 8
    return max(abs(a - b) / max(abs(a), abs(b), 1e-30) for a, b in pairs)


def curves(changes):
    """How far the logs of 2 and of 4 devices are from those of one, and the states at the end."""
    ends = {count: plan(count, **changes) for count in (1, 2, 4)}
    runs = {count: trained(made) for count, made in ends.items()}
    states = {count: ends[count].program.collect(run.train) for count, (run, _) in runs.items()}
    for count in (2, 4):
        arrays = jax.tree.leaves(runs[count][0].train.params)
        assert all(len(array.sharding.device_set) == count and array.is_fully_replicated for array in arrays)
    far = {count: apart(runs[1][1], runs[count][1]) for count in (2, 4)}
    moved = [
        float(np.max(np.abs(states[1][path] - states[count][path])))
        for count in (2, 4)
        for path in states[1]
        if states[1][path].dtype.kind == "f"
    ]
    return {"logs": max(far.values()), "state": max(moved)}


def losses():
    """The small run: dropout, batch norm, augmentation, momentum, a schedule."""
    return {"float64": curves(WIDE), "float32": curves({})}


def parts():
    """All that has slots of its own: an average of the weights, clipping, accumulation, Adam's moments."""
    wrapper = dict(
        type="OptimWrapper",
        optimizer=dict(type="AdamW", lr=0.01),
        clip_grad=dict(max_norm=0.5),
        accumulative_counts=2,
        _delete_=True,
    )
    average = [dict(type="EMAHook", momentum=0.1)]
    return curves({**WIDE, "optim_wrapper": wrapper, "custom_hooks": average})


def resumes():
    """Stopped in the middle of an epoch on four devices: on four the rest is the same to the bit, on one and two to rounding."""
    made = plan(4, **WIDE)
    run, rows = trained(made)
    whole = made.program.collect(run.train)
    half, _ = trained(made, stop=3)
    kept = save(made, half)
    again, rest = trained(made, restore(made, kept))
    arrays = made.program.collect(again.train)
    assert all(arrays[path].tobytes() == whole[path].tobytes() for path in whole)
    later = {step: row for step, row in rows.items() if step > 3}
    assert rest == later
    far = []
    for count in (1, 2):
        other = plan(count, **WIDE)
        far.append(apart(later, trained(other, restore(other, kept))[1]))
    return max(far)


def steps():
    """A step on four devices uses its state up, compiles once, and gives what one without donation gives."""
    made, pure = plan(4), plan(4, donate=False)
    batches = [fkit.open_data(made)["train"].batch(0, number) for number in range(3)]
    state, kept = made.program.init(0), pure.program.init(0)
    numbers = made.program.hyperparams()
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, _, **__: compiled.append(event) if event.endswith("backend_compile_duration") else None
    )
    for number in range(6):
        if number == 2:
            compiled.clear()
        old = state.params
        state, logs = made.program.train_step(state, batches[number % 3], numbers)
        assert all(array.is_deleted() for array in old.values()), "donated"
        before = kept
        kept, same = pure.program.train_step(kept, batches[number % 3], numbers)
        assert float(logs["loss"]) == float(same["loss"])
        assert not any(array.is_deleted() for array in before.params.values())
    assert compiled == [], compiled
    one = plan(1).program
    outputs = made.program.predict(state, batches[0])
    mine = one.predict(one.restore(made.program.collect(state)), batches[0])
    scores = [np.asarray(each["pred_score"]) for each in (outputs, mine)]
    np.testing.assert_allclose(*scores, rtol=1e-5, atol=1e-6)
    held, first = (
        program.loss(each, batches[0], (1, 2), train=True)
        for program, each in ((made.program, state), (one, one.restore(made.program.collect(state))))
    )
    np.testing.assert_allclose(float(held[0]["loss"]), float(first[0]["loss"]), rtol=1e-5)


def odd():
    """A batch without equal parts is computed whole by each device, which is said once."""
    made = plan(4)
    batch = fkit.open_data(made)["train"].batch(0, 3)
    assert len(batch) == 2
    state = made.program.init(0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(2):
            state, _ = made.program.train_step(state, batch, made.program.hyperparams())
        made.program.predict(state, batch)
    return [str(one.message) for one in told]


def fed():
    """Batches that are sent ahead lie where the step wants them, and train alike."""
    made = plan(4, **WIDE)
    data = list(fkit.open_data(made)["train"].batches(0, 0))
    devices = devices_of(4, None)
    ends = []
    for batches in (data, list(sent(iter(data), None, True, devices=devices))):
        state = made.program.init(0)
        for batch in batches[:3]:
            state, _ = made.program.train_step(state, batch, made.program.hyperparams())
        ends.append(made.program.collect(state))
    inputs = [batch.inputs for batch in batches]
    assert [each.is_fully_replicated for each in inputs] == [False, False, False, True]
    assert {shard.data.shape for shard in inputs[0].addressable_shards} == {(4, 1, 8, 8)}
    assert all(ends[0][path].tobytes() == ends[1][path].tobytes() for path in ends[0])


def counts():
    """All devices where nobody says how many; and what is refused."""
    assert plan(None, parallel="pmap").program.spec.devices == 4
    assert plan(None, parallel=dict(type="pmap", devices=2)).program.spec.devices == 2
    assert plan(None).program.spec.devices == 1
    assert plan(None, parallel="pmap", device="cpu:1").program.spec.devices == 1
    said = []
    for changes in (
        dict(devices=9),
        dict(devices=2, device="cpu:1"),
        dict(devices=2, parallel=dict(type="pmap", devices=4)),
        dict(devices=2, device="cuda"),
        dict(devices=3),
    ):
        try:
            made = plan(**changes)
            fkit.open_data(made)
        except fkit.FkitError as error:
            said.append(str(error))
    return said


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]]()))
