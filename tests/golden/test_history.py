"""The book ``history``: what mmengine and mmcv 1.x keep of scalars, and the lines they make of them."""

import json
from typing import Any

import numpy as np
import pytest
import torch

import fkit
from fkit.run.hook.processor import At, LogProcessor
from fkit.training.history import HistoryBuffer, LogBuffer
from fkit.training.hub import MessageHub

BOOK = "history"


def cases(book: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**case, "kind": kind} for kind in KINDS for case in book[kind]]


def untag(value: Any) -> Any:
    if isinstance(value, dict):
        if "__float__" in value:
            return float(value["__float__"])
        if "__tensor__" in value:
            return torch.tensor(value["__tensor__"])
        if "__array__" in value:
            return np.array(value["__array__"])
        return {name: untag(item) for name, item in value.items()}
    return [untag(item) for item in value] if isinstance(value, list) else value


def same(value: Any, want: Any) -> None:
    """Equal, and numbers to a relative 1e-9."""
    if isinstance(want, dict):
        assert list(value) == list(want)
        for name in want:
            same(value[name], want[name])
    elif isinstance(want, list):
        assert len(value) == len(want)
        for one, other in zip(value, want, strict=True):
            same(one, other)
    elif isinstance(want, float):
        assert value == pytest.approx(want, rel=1e-9, nan_ok=True)
    else:
        assert value == want


def history_buffer(case: dict[str, Any]) -> None:
    def made() -> HistoryBuffer:
        buffer = HistoryBuffer(**case.get("init", {}))
        for update in untag(case["updates"]):
            buffer = buffer.update(*update)
        return buffer

    if "error" in case:
        with pytest.raises(fkit.FkitError):
            made()
        return
    buffer = made()
    for query in case["queries"]:
        if "error" in query:
            with pytest.raises(fkit.FkitError):
                getattr(buffer, query["method"])(*query["args"])
        else:
            same(getattr(buffer, query["method"])(*query["args"]), untag(query["result"]))
    same([column.tolist() for column in buffer.data], untag(case["data"]))


def message_hub(case: dict[str, Any]) -> None:
    hub = MessageHub()
    for step in case["ops"]:
        if "error" in step:
            with pytest.raises(fkit.FkitError):
                act(hub, step["op"], untag(step["args"]))
            continue
        hub, answer = act(hub, step["op"], untag(step["args"]))
        same(answer, step["result"])


def act(hub: MessageHub, name: str, options: dict[str, Any]) -> tuple[MessageHub, Any]:
    """The hub after an operation, and what is recorded of it."""
    if name.startswith("update"):
        return getattr(hub, name)(**options), None
    if name == "pop_info":
        return hub.pop_info(**options)
    if name == "get_info":
        return hub, hub.get_info(**options)
    if name == "scalar_keys":
        return hub, list(hub.log_scalars)
    if name == "get_scalar":
        history = hub.get_scalar(**options)
        data = [column.tolist() for column in history.data]
        return hub, {"data": data, "mean": history.mean(), "current": history.current()}
    state = json.loads(json.dumps(hub.state()))
    if name == "state_keys":
        return hub, {kind: list(table) if kind != "resumed_keys" else table for kind, table in state.items()}
    state = MessageHub.of(state)
    scalars = {key: [column.tolist() for column in one.data] for key, one in state.log_scalars.items()}
    return hub, {
        "log_scalars": scalars, "runtime_info": dict(state.runtime_info), "resumed_keys": dict(state.resumed_keys)
    }  # fmt: skip


def log_processor(case: dict[str, Any]) -> None:
    hub = MessageHub()
    for key, values in case["scalars"].items():
        for value in values:
            hub = hub.update_scalar(key, *(value if isinstance(value, list) else [value]))
    counters, options = case["counters"], dict(case["call"])
    method, mode, trained = options.pop("method"), options["mode"], counters.get("train_loop", True)
    epoch = (counters["epoch"] + (mode == "train")) * trained
    at = At(
        options["batch_idx"] + 1, counters[f"{mode}_len"], counters["iter"] + 1, counters["max_iters"], epoch,
        counters["max_epochs"], trained,
    )  # fmt: skip

    def made() -> Any:
        processor = LogProcessor(**case["log_processor"])
        if method == "get_log_after_iter":
            return processor.after_iter(mode, hub.log_scalars, at, case["infos"].get("eta"))
        infos = case["infos"] if options.get("with_non_scalar") else {}
        return processor.after_epoch(mode, hub.log_scalars, at, infos)

    if "error" in case:
        with pytest.raises(fkit.FkitError):
            made()
        return
    tag, text = made()
    same([list(row) for row in tag.items()], case["tag"])
    assert text == case["text"]


def log_buffer(case: dict[str, Any]) -> None:
    buffer = LogBuffer()
    for step in case["ops"]:
        if "error" in step:
            with pytest.raises(fkit.FkitError):
                getattr(buffer, step["op"])(*step["args"])
            continue
        buffer = getattr(buffer, step["op"])(*step["args"])
        lengths = {name: len(history) for name, history in buffer.history.items()}
        same({"output": buffer.output, "ready": buffer.ready, "history": lengths}, untag(step["state"]))


KINDS = {kind.__name__: kind for kind in (history_buffer, message_hub, log_processor, log_buffer)}


def test_case(case: dict[str, Any]) -> None:
    KINDS[case["kind"]](case)
