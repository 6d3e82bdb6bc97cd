"""The book ``merge``: base, delta, result, in both of OpenMMLab's modes."""

import json
from pathlib import Path
from typing import Any

import pytest

import fkit
from fkit.config.change.delta import merge
from fkit.config.change.option import inheritance
from fkit.tree.canonical import encode
from tests.golden.decoding import untagged

BOOK = "merge"


def chain(files: list[Any], folder: Path, siblings: bool) -> fkit.Config:
    """The last of several files, each over the one before it, or the last over all."""
    for at, file in enumerate(files):
        bases = [f"f{i}.yaml" for i in range(at)] if siblings else [f"f{at - 1}.yaml"]
        own = {"_base_": bases} if at and (not siblings or at == len(files) - 1) else {}
        (folder / f"f{at}.yaml").write_text(fkit.Config({**own, **untagged(file)}).text("yaml"))
    return fkit.load_config(folder / f"f{len(files) - 1}.yaml")


def apply(case: dict[str, Any], folder: Path) -> fkit.Config:
    if "files" in case:
        return chain(case["files"], folder, case["layout"] == "siblings")
    base, delta = fkit.Config(untagged(case["base"])), untagged(case["delta"])
    if case["mode"] == "inherit":
        return merge(base, inheritance(delta))
    return base.merge(delta, allow_list_keys=case["allow_list_keys"])


def test_case(case: dict[str, Any], tmp_path: Path) -> None:
    if "error" in case:
        with pytest.raises(fkit.FkitError):
            apply(case, tmp_path)
        return
    result = apply(case, tmp_path)
    assert json.dumps(encode(result)) == json.dumps(case["result"])
    if "files" not in case:  # the same each time, and the arguments as they were
        base, delta = untagged(case["base"]), untagged(case["delta"])
        assert json.dumps(encode(base)) == json.dumps(case["base"])
        assert json.dumps(encode(delta)) == json.dumps(case["delta"])
        assert apply(case, tmp_path) == result
