"""Runs of one or several processes: torchrun starts ``python -m tests.backend.torch.fleet FOLDER LAUNCHER CASE...``."""

import hashlib
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

import fkit
import fkit.compat as c
from fkit.array.room import open as open_room
from fkit.backend.torch.fleet import close_fleet, open_fleet
from fkit.backend.torch.interop import walk
from fkit.training.fleet import ALONE, Parallel
from fkit.training.optimizer import Optimizer
from fkit.training.spec import Phase, Spec
from fkit.training.transform import accumulate
from tests.run.small import config, registry


@dataclass(frozen=True)
class Halt(fkit.Hook):
    """Something that befalls process 1 after a step."""

    priority = "LOWEST"
    at: int = 5
    how: str = "SIGTERM"

    def after_train_iter(self, memory, run, event):
        if event.iteration == self.at and os.environ.get("RANK") == "1":
            if self.how == "raise":
                raise KeyError("of one process")
            os.kill(os.getpid(), getattr(signal, self.how))
        return memory, ()


class Idle(nn.Module):
    """A model that has a layer for nothing."""

    def __init__(self):
        super().__init__()
        self.used, self.idle = nn.Linear(64, 10), nn.Linear(64, 10)

    def forward(self, inputs, samples=None, mode="tensor"):
        scores = self.used(inputs.flatten(1))
        if mode == "loss":
            return {"loss": nn.functional.cross_entropy(scores, samples.targets["gt_label"])}
        return {"pred_score": scores.softmax(1)}


def conv(**changes):
    """Three steps an epoch, of 16 samples on all processes together; batch norm and dropout."""
    loader = config().train_dataloader.merge({"batch_size": None, "global_batch_size": 16, "drop_last": True})
    return config(train_dataloader=loader, **changes)


def mlp(model=None, **changes):
    """The same without batch norm; or with another model."""
    backbone = dict(type="MLP", in_channels=64, hidden=(16, 8), dropout=0.25)
    head = dict(type="LinearClsHead", num_classes=10, in_channels=8)
    rest, _ = conv(**changes).pop("model")
    return rest.merge({"model": model or dict(type="ImageClassifier", backbone=backbone, head=head)})


def _moved(kind, **options):
    return dict(optimizer=dict(_delete_=True, type=kind, **options))


_WRAPPED = dict(
    type="MMDistributedDataParallel", bucket_cap_mb=1, gradient_as_bucket_view=True, find_unused_parameters=True
)
_TWICE = dict(accumulative_counts=2, clip_grad=dict(max_norm=0.1))
_FOUR = dict(accumulative_counts=4, clip_grad=dict(max_norm=0.1))
_POLICY = dict(type="torch.distributed.fsdp.wrap.size_based_auto_wrap_policy", min_num_params=100)
_SIZED = dict(type="FSDPStrategy", model_wrapper=dict(auto_wrap_policy=_POLICY))
_TWO = dict(
    _delete_=True, body=dict(params="^backbone", optimizer=dict(type="Lion", lr=1e-3)),
    head=dict(params="^head", optimizer=dict(type="AdamW", lr=1e-2), **_TWICE),
)  # fmt: skip
CASES = {
    "ddp": mlp,
    "options": lambda: mlp(model_wrapper_cfg={**_WRAPPED, "broadcast_buffers": False}),
    "own": conv,
    "sync": lambda: conv(sync_bn="torch"),
    "clip": lambda: mlp(optimizer="AdamW", optim_wrapper=_TWICE),
    "sums": lambda: mlp(optim_wrapper=_FOUR),
    "compiled": lambda: mlp(compile=True, optim_wrapper=_TWICE),
    "rest": lambda: mlp(optim_wrapper=_FOUR, custom_hooks=[dict(type="Halt")]),
    "fewer": lambda: mlp(optim_wrapper=_FOUR, custom_hooks=[dict(type="Halt")]),
    "shards": lambda: mlp(parallel="fsdp"),
    "parts": lambda: conv(parallel="fsdp", sync_bn="mmcv", custom_hooks=[dict(type="EMAHook", momentum=0.1)]),
    "lars": lambda: mlp(parallel="fsdp", optim_wrapper=_moved("LARS", lr=5.0, momentum=0.9, weight_decay=1e-3)),
    "lamb": lambda: mlp(strategy=_SIZED, optim_wrapper=_moved("Lamb", lr=0.1)),
    "phases": lambda: mlp(parallel="fsdp", optim_wrapper=_TWO),
    "shift": lambda: mlp(optimizer="AdamW", optim_wrapper=_TWICE, parallel="fsdp", custom_hooks=[dict(type="Halt")]),
    "steady": lambda: mlp(optimizer="AdamW", optim_wrapper=_TWICE, parallel="fsdp"),
    "term": lambda: mlp(custom_hooks=[dict(type="Halt")]),
    "other": lambda: mlp(custom_hooks=[dict(type="Halt")]),
    "raise": lambda: mlp(custom_hooks=[dict(type="Halt", how="raise")]),
    "kill": lambda: mlp(custom_hooks=[dict(type="Halt", how="SIGKILL")]),
    "idle": lambda: mlp(model=dict(type="Idle")),
}


def go(folder, case, launcher="none", **changes):
    """One case in its folder; the run at its end."""
    cfg = CASES[case]().merge({"work_dir": str(Path(folder) / case), "launcher": launcher, "threads": 1, **changes})
    reg = registry().register("hooks", Halt).register("models", Idle, backend="torch")
    return fkit.run_config(cfg, reg)


def digest(state):
    """Of all that a process holds of a state."""
    trees = [state.params, state.buffers, *(slot for slots in state.opt.values() for slot in slots.values())]
    data = b"".join(tensor.numpy().tobytes() for tree in trees for tensor in tree.values())
    return hashlib.sha256(data).hexdigest()


def names():
    """What mmengine's functions give two processes."""
    c.init_dist("pytorch", timeout=60)
    rank, world = c.get_dist_info()
    mine = torch.tensor([1.0 + rank, 4.0])
    said = {"info": [world, c.is_main_process(), c.get_backend(), c.is_distributed(), c.get_local_rank() == rank]}
    for op in ("sum", "mean", "product", "min", "max"):
        data = mine.clone()
        c.all_reduce(data, op)
        said[op] = data.tolist()
    table = {"b": mine.clone(), "a": torch.tensor(2.0 * rank)}
    c.all_reduce_dict(table, "mean")
    said["dict"] = {name: value.tolist() for name, value in table.items()}
    params = [nn.Parameter(mine.clone()), torch.tensor([rank], dtype=torch.int64), mine.double()]
    c.all_reduce_params(params, bucket_size_mb=1)
    said["params"] = [param.tolist() for param in params]
    said["all_gather"] = [row.tolist() for row in c.all_gather(mine)]
    said["gather"] = [row.tolist() for row in c.gather(mine)]
    sent, items = mine.clone(), [rank, "x"]
    c.broadcast(sent, src=1)
    c.broadcast_object_list(items, src=1)
    said["broadcast"] = [sent.tolist(), items]
    said["objects"] = [c.all_gather_object({"rank": rank}), c.gather_object(rank)]
    said["results"] = c.collect_results([rank, rank + 10, rank + 20], 5)
    said["master"] = c.master_only(lambda: "said")()
    said["seed"] = len(set(c.all_gather_object(c.sync_random_seed())))
    c.barrier()
    torch.distributed.destroy_process_group()
    return json.dumps(said)


def detector(fleet=ALONE, steps=3):
    """What a Mask R-CNN of two images logs, one of which each of two processes has; as JSON."""
    from tests.zoo.test_two_stage import batch, model

    registry, cfg = fkit.registry(), model("mask")
    spec = Spec(
        lambda name: fkit.build(cfg, registry, "models", backend=name), {"main": Optimizer.of("SGD", {"lr": 0.01})},
        dtype="float64", device="cpu", fleet=fleet, parallel=Parallel("ddp", (("find_unused_parameters", True),), True),
    )  # fmt: skip
    made, whole = open_room("torch").program(spec), batch()
    share = slice(None) if fleet.world == 1 else slice(fleet.rank, fleet.rank + 1)
    part = walk({"inputs": whole.inputs, "targets": whole.targets, "valid": whole.valid}, lambda array: array[share])
    mine = fkit.Batch(**part, meta=whole.meta[share])
    state, rows = made.init(3), []
    for _ in range(steps):
        state, logs = made.train_step(state, mine, made.hyperparams())
        rows.append(dict(zip(logs, fleet.mean([float(value) for value in logs.values()]), strict=True)))
    return json.dumps(rows)


def reductions(fleet=ALONE, steps=6):
    """How many sums over processes each step asks for, of which every third moves the parameters; as JSON."""
    cfg, reg = mlp().model, registry()
    spec = Spec(
        lambda name: fkit.build(cfg, reg, "models", backend=name), {"main": Optimizer.of("SGD", {"lr": 0.01})},
        (Phase(transforms=(accumulate(3),)),), device="cpu", fleet=fleet,
    )  # fmt: skip
    made, counts = open_room("torch").program(spec), []
    state = made.init(0)
    batch = fkit.Batch(torch.ones(4, 1, 8, 8), {"gt_label": torch.arange(4)}, {}, ())
    for _ in range(steps):
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
            state, _ = made.train_step(state, batch, made.hyperparams())
        counts.append(sum(event.name == "c10d::allreduce_" for event in seen.events()))
    return json.dumps(counts)


def met(work):
    """What this process and another come to."""
    rank = int(os.environ["RANK"])
    fleet, _ = open_fleet(rank, 2, rank, "cpu", "", 0)
    try:
        return work(fleet)
    finally:
        close_fleet()


def main(folder, launcher, *cases):
    """The cases in order, a line each in a file of this process: a digest of its state, or what the error says."""
    with open(Path(folder) / f"process_{os.environ['RANK']}.txt", "a") as file:
        for word in cases:
            try:
                also, case = {"detector": detector, "reductions": reductions}.get(word), word.removesuffix("+")
                said = (
                    names()
                    if word == "names"
                    else met(also)
                    if also
                    else digest(go(folder, case, launcher, resume=word.endswith("+")).train)
                )
            except fkit.FkitError as error:
                said = str(error).partition("\n")[0]
            print(word, said, sep="\t", file=file, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
