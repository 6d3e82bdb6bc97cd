"""What a run asks of its machine, performed: recordings of both backends, memory, an emptied cache."""

import json

import pytest

import fkit
from fkit.edge.machine import memory_now
from fkit.edge.perform import Edge
from tests.run.small import config, registry


def train(folder, backend, hook):
    hooks = [hook, {"type": "MemoryProfilerHook", "interval": 2}, {"type": "EmptyCacheHook", "after_iter": True}]
    plan = fkit.plan(config(custom_hooks=hooks, val_dataloader=None, val_evaluator=None), registry(), backend=backend)
    edge = Edge(folder, plan)
    for run, effects in fkit.train(plan, fkit.begin(plan), fkit.open_data(plan)):
        for effect in effects:
            edge.perform(effect, run)
    edge.close()
    return (folder / "log.txt").read_text()


@pytest.mark.parametrize(
    ("options", "file", "text"),
    [
        ({}, "profile.json", "profile.json (open it in chrome://tracing"),
        ({"on_trace_ready": {"type": "log_trace", "sort_by": "cpu_time_total"}}, None, "Self CPU time total"),
        ({"on_trace_ready": {"type": "tb_trace", "dir_name": "there"}}, "there", "there (for TensorBoard)"),
    ],
)
def test_torch_records_the_first_iterations(tmp_path, options, file, text):
    log = train(tmp_path, "torch", {"type": "ProfilerHook", "by_epoch": False, "profile_times": 2, **options})
    assert text in log and "memory: " in log
    if file == "profile.json":
        names = {row.get("name") for row in json.loads((tmp_path / file).read_text())["traceEvents"]}
        assert any(str(name).startswith("ProfilerStep#") for name in names) or "aten::conv2d" in names
    elif file is not None:
        assert list((tmp_path / file).iterdir())


def test_jax_records_the_first_iterations(tmp_path):
    log = train(tmp_path, "jax", {"type": "ProfilerHook", "by_epoch": False, "profile_times": 2})
    assert "tf_tracing_logs (for TensorBoard" in log
    assert any(path.is_file() for path in (tmp_path / "tf_tracing_logs").rglob("*"))


def test_memory_of_this_machine_is_said():
    assert memory_now().startswith("memory: ")
