"""mmcv's ``build_runner`` with objects that a script has made: a model, an optimizer, loaders."""

import json
import logging
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import fkit
from fkit.compat.runner import Fed
from fkit.run.hook.hook import Hook
from fkit.run.state import Memory
from fkit.tree.error import FkitError


class Line(nn.Module):
    """A model as mmcv wants one."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 1)

    def forward(self, inputs):
        return self.fc(inputs)

    def train_step(self, data, optimizer):
        inputs, targets = data
        loss = (self(inputs).squeeze(1) - targets).pow(2).mean()
        return dict(loss=loss, log_vars=dict(loss=loss.item(), loss_half=loss.item() / 2), num_samples=len(inputs))


def numbers(count=20):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(count, 3)).astype(np.float32)
    return torch.from_numpy(inputs), torch.from_numpy(inputs @ np.float32([1, -2, 3]) + 1)


def loader(shuffle=False):
    return DataLoader(TensorDataset(*numbers()), batch_size=4, shuffle=shuffle)


def made(**more):
    torch.manual_seed(0)
    model = Line()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    cfg = dict(type="EpochBasedRunner", max_epochs=3)
    return model, fkit.build_runner(cfg, dict(model=model, optimizer=optimizer, **more))


def by_hand(epochs, rate=lambda step: 0.05):
    torch.manual_seed(0)
    model = Line()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    step = 0
    for _ in range(epochs):
        for data in loader():
            optimizer.param_groups[0]["lr"] = rate(step)
            optimizer.zero_grad()
            model.train_step(data, optimizer)["loss"].backward()
            optimizer.step()
            step += 1
    return model.state_dict()


def same(weights, others):
    assert weights.keys() == others.keys()
    for name, value in others.items():
        assert torch.allclose(weights[name], value, rtol=1e-5, atol=1e-6), name


def test_a_ready_made_model_and_optimizer_train_as_by_hand():
    model, runner = made()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    run = runner.run([loader()], [("train", 1)])
    assert (run.status, run.iteration, run.epoch) == ("finished", 15, 3)
    same(runner.state_dict(run), by_hand(3))
    same(model.state_dict(), before)  # the caller's own stays as it was
    assert runner.current_lr(run) == [0.05] and runner.model_name == "Line"
    model.load_state_dict(runner.state_dict(run))


def test_hooks_are_registered_in_mmcvs_words():
    _, runner = made()
    runner = runner.register_training_hooks(
        lr_config=dict(policy="step", step=[2]), optimizer_config=dict(grad_clip=None), log_config=dict(interval=5)
    )
    run = runner.run([loader()], [("train", 1)])
    same(runner.state_dict(run), by_hand(3, lambda step: 0.05 if step < 10 else 0.005))
    assert runner.current_lr(run) == pytest.approx([0.005])


@dataclass(frozen=True)
class Count(Hook):
    every: int = 1

    def memory(self):
        return Memory(exact=0)

    def after_train_iter(self, memory, run, event):
        return Memory(memory.exact + (event.iteration % self.every == 0)), ()


def test_a_hook_is_a_value():
    _, runner = made()
    run = runner.register_hook(Count(5), priority="LOW").run([loader()], [("train", 1)])
    assert [memory.exact for name, memory in run.memory.items() if name.startswith("custom")] == [3]


def test_a_workflow_has_a_loader_for_each_item():
    _, runner = made()
    run = runner.run([loader(), loader()], [("train", 1), ("val", 1)])
    assert run.iteration == 15
    with pytest.raises(FkitError, match="1 data_loaders for the 2 items of workflow"):
        runner.run([loader()], [("train", 1), ("val", 1)])
    with pytest.raises(FkitError, match="two items 'train'"):
        runner.run([loader(), loader()], [("train", 1), ("train", 1)])


def test_a_work_folder_a_logger_and_meta(tmp_path, caplog):
    log = logging.getLogger("mine")
    log.setLevel(logging.INFO)
    with caplog.at_level(logging.INFO, logger="mine"):
        _, runner = made(work_dir=str(tmp_path / "work"), logger=log, meta=dict(exp_name="line"), timestamp="20260101")
        run = runner.run([loader()], [("train", 1)])
    record = json.loads((tmp_path / "work/run.json").read_text())
    assert (record["status"], record["meta"], record["timestamp"]) == ("finished", {"exp_name": "line"}, "20260101")
    assert run.iteration == 15 and (tmp_path / "work/checkpoints/latest").exists()
    assert any("loss_half" in record.message for record in caplog.records)
    assert "epoch" in (tmp_path / "work/log.txt").read_text()
    longer = fkit.build_runner(
        dict(type="EpochBasedRunner", max_epochs=5),
        dict(model=runner.model, optimizer=runner.optimizer, work_dir=str(tmp_path / "work")),
    )
    again = longer.resume().run([loader()], [("train", 1)])
    assert again.iteration == 25
    same(longer.state_dict(again), by_hand(5))


def test_iterations_and_parameter_groups():
    torch.manual_seed(0)
    model = Line()
    optimizer = torch.optim.SGD([{"params": [model.fc.weight], "lr": 0.1}, {"params": [model.fc.bias]}], lr=0.01)
    cfg = dict(type="IterBasedRunner", max_iters=7)
    runner = fkit.build_runner(cfg, dict(model=model, optimizer=optimizer))
    run = runner.run([loader()], [("train", 1)])
    assert run.iteration == 7 and sorted(runner.current_lr(run)) == [0.01, 0.1]
    step, weights = 0, model.state_dict()
    while step < 7:
        for data in loader():
            optimizer.zero_grad()
            model.train_step(data, optimizer)["loss"].backward()
            optimizer.step()
            step += 1
            if step == 7:
                break
    same(runner.state_dict(run), weights)


def test_the_kits_own_form_of_a_model_and_mmcvs_batch_processor():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 1)

        def forward(self, inputs, samples=None, mode="tensor"):
            scores = self.fc(inputs).squeeze(1)
            return {"loss": (scores - samples.targets["gt_label"]).pow(2).mean()} if mode == "loss" else {"out": scores}

    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 1)

        def forward(self, inputs):
            return self.fc(inputs).squeeze(1)

    def processor(model, data, train_mode):
        return dict(loss=(model(data[0]) - data[1]).pow(2).mean(), log_vars={}, num_samples=len(data[0]))

    ends = []
    for kind, more in ((Own, {}), (Bare, {"batch_processor": processor})):
        torch.manual_seed(0)
        model = kind()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        runner = fkit.build_runner(dict(max_epochs=3), dict(model=model, optimizer=optimizer, **more))
        ends.append(runner.state_dict(runner.run([loader()])))
    for weights in ends:
        same(weights, by_hand(3))


def test_a_shuffled_loader_gives_the_same_batches_again():
    source = Fed(loader(shuffle=True))
    first = [batch.inputs.tolist() for batch in source.batches(3)]
    assert first != [batch.inputs.tolist() for batch in source.batches(4)]
    assert [batch.inputs.tolist() for batch in source.batches(3, 2)] == first[2:]
    assert source.length == 5 and Fed(iter_twice := [numbers(2)] * 3).length == len(iter_twice)


@pytest.mark.parametrize(
    ("cfg", "more", "text"),
    [
        (dict(type="MyRunner", max_epochs=1), {}, "'MyRunner' is no runner of mmcv's"),
        (dict(max_epoch=1), {}, "a runner takes no 'max_epoch'"),
        (dict(max_epochs=1, max_iters=1), {}, "exclude each other"),
        (dict(max_epochs=1), dict(model=nn.Linear(3, 1)), "has no train_step, and its forward takes no `mode`"),
        (dict(max_epochs=1), dict(model=3), "`model` is a torch.nn.Module, not 3"),
        (dict(max_epochs=1), dict(logger="log"), "`logger` is a logging.Logger"),
        (dict(max_epochs=1), dict(optimizer=None), "a runner that trains needs `optimizer`"),
        (dict(max_epochs=1), dict(optimizer={"a": 1}), "`optimizer` is one of torch.optim, not several optimizers"),
        (dict(max_epochs=1), dict(optimizer=torch.optim.SGD(Line().parameters(), lr=1)), "none of the model's"),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_is_said(cfg, more, text):
    model = Line()
    with pytest.raises(FkitError, match=text):
        fkit.build_runner(cfg, dict(model=model, optimizer=torch.optim.SGD(model.parameters(), lr=0.1)) | more).run(
            [loader()]
        )


def test_an_optimizer_that_leaves_parameters_out_or_has_moved_is_refused():
    model = Line()
    part = torch.optim.SGD([model.fc.weight], lr=0.1)
    with pytest.raises(FkitError, match=r"leaves out parameters of the model that are trainable: fc\.bias"):
        fkit.build_runner(dict(max_epochs=1), dict(model=model, optimizer=part)).run([loader()])
    moved = torch.optim.Adam(model.parameters())
    model.train_step(numbers(), None)["loss"].backward()
    moved.step()
    with pytest.raises(FkitError, match="has made steps already"):
        fkit.build_runner(dict(max_epochs=1), dict(model=model, optimizer=moved)).run([loader()])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ([iter([numbers()])], "can be gone through again"),
        ([[3]], "a data loader gave 3"),
        ([[("a", "b")]], "an array of numbers is needed"),
    ],
)
def test_loaders_that_are_none_are_refused(data, text):
    _, runner = made()
    with pytest.raises(FkitError, match=text):
        runner.run(data)
