"""Where weights come from: each address, each kind of file, names of weights, and schemes of one's own."""

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import fkit
from fkit.edge.checkpoint import write_checkpoint
from fkit.edge.files import Files
from fkit.fileio.operation import put
from fkit.fileio.weights import REVISE, located, read_content, revised, weights_of
from fkit.fileio.zoo import mmcls, openmmlab, torchvision
from fkit.run.start import Saved
from fkit.tree.error import FkitError, FkitFileNotFoundError, FkitKeyError, FkitTypeError, FkitValueError

from .served import serving

DATA = Path(__file__).parents[1] / "golden/data/openmmlab"
W = {"a.weight": np.arange(6.0, dtype="f4").reshape(2, 3), "a.bias": np.zeros(2, "f4")}


def equal(one, other):
    return set(one) == set(other) and all(np.array_equal(one[name], other[name]) for name in other)


def saved(value):
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def tensors(arrays):
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda w: w,
        lambda w: {"state_dict": w, "meta": {"epoch": 3}},
        lambda w: {"model": w, "optimizer": {}},
        lambda w: {"model_state_dict": w},
    ],
    ids=["bare", "state_dict", "model", "model_state_dict"],
)
def test_the_weights_of_a_pth(wrapped, tmp_path):
    file = tmp_path / "a.pth"
    torch.save(wrapped(tensors(W)), file)
    for address in (file, str(file), f"file://{file}"):
        content = read_content(address)
        assert content.kind == "pth" and equal(weights_of(content), W)


def test_a_file_of_safetensors(tmp_path):
    save_file(W, tmp_path / "a.safetensors")
    assert equal(weights_of(read_content(tmp_path / "a.safetensors")), W)
    (tmp_path / "b.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes()[:40])
    with pytest.raises(FkitValueError, match=r"b\.safetensors: is no file of safetensors, is truncated"):
        read_content(tmp_path / "b.safetensors")


def test_the_kits_own_checkpoint_by_each_of_its_names(tmp_path):
    arrays = {"params/a.weight": W["a.weight"], "buffers/a.bias": W["a.bias"], "opt/main/step/a.weight": W["a.bias"]}
    for step in (1, 2):
        write_checkpoint(
            tmp_path / "checkpoints", step, Saved({**arrays, "params/a.weight": W["a.weight"] + step}, {}), {}, Files()
        )
    for name in (
        ".",
        "checkpoints",
        "checkpoints/latest",
        "checkpoints/step_00000002",
        "checkpoints/step_00000002/state.safetensors",
    ):
        content = read_content(tmp_path / name)
        assert content.kind == "fkit" and equal(content.weights, {**W, "a.weight": W["a.weight"] + 2})


def test_the_average_of_either_kind_is_what_is_taken(tmp_path):
    content = read_content(DATA / "mmengine_iter_3_ema.pth")
    file = torch.load(DATA / "mmengine_iter_5_weights.pth")
    assert set(content.weights) == set(content.averaged) == set(file["state_dict"])
    whole = content.whole
    own = {name.removeprefix("module."): array for name, array in whole["ema_state_dict"].items() if name != "steps"}
    assert equal(weights_of(content, "own"), own) and equal(weights_of(content, "ema"), whole["state_dict"])
    assert weights_of(content) is content.averaged
    assert not np.array_equal(content.weights["head.fc.bias"], content.averaged["head.fc.bias"])
    arrays = {f"params/{name}": array for name, array in W.items()} | {f"slots/ema/{name}": W[name] + 1 for name in W}
    write_checkpoint(tmp_path, 1, Saved(arrays, {}), {}, Files())
    mine = read_content(tmp_path)
    assert equal(weights_of(mine), {name: W[name] + 1 for name in W}) and equal(weights_of(mine, "own"), W)
    torch.save(tensors(W), tmp_path / "a.pth")
    with pytest.raises(FkitValueError, match="holds no moving average"):
        weights_of(read_content(tmp_path / "a.pth"), "ema")
    with pytest.raises(FkitValueError, match=r"weights = 'eam' is unknown"):
        weights_of(mine, "eam")


def test_mmcvs_averages_among_the_buffers_are_no_weights():
    content = read_content_of({**W, "ema_a_weight": W["a.weight"], "ema_a_bias": W["a.bias"]})
    assert set(content.weights) == set(W)


def read_content_of(weights):
    reg = fkit.registry().register("checkpoint_schemes", lambda name: weights, name="mine")
    return read_content("mine://x", reg)


class TestNames:
    def test_the_wrappers_prefix_goes_by_default(self):
        assert list(revised({"module.a": W["a.bias"], "b.module.c": W["a.bias"]}, "f")) == ["a", "b.module.c"]
        assert REVISE == ((r"^module\.", ""),)

    def test_patterns_in_order_then_the_prefix(self):
        names = {"student.backbone.conv": W["a.bias"], "teacher.backbone.conv": W["a.weight"]}
        rules = [(r"^student\.", ""), (r"conv$", "conv1")]
        assert (
            list(revised(names, "f", "backbone", rules)) == list(revised(names, "f", "backbone.", rules)) == ["conv1"]
        )

    def test_errors(self):
        with pytest.raises(
            FkitValueError, match=r"f: no name of its weights begins with 'backbon'.*\n.*Did you mean 'backbone'"
        ):
            revised({"backbone.a": W["a.bias"]}, "f", "backbon")
        with pytest.raises(FkitValueError, match=r"'x.a' and 'y.a' both become 'a'"):
            revised({"x.a": W["a.bias"], "y.a": W["a.bias"]}, "f", None, [(r"^[xy]\.", "")])
        for rule in (("(", ""), ("a", r"\9")):
            with pytest.raises(FkitValueError, match="revise_keys"):
                revised({"a": W["a.bias"]}, "f", None, [rule])
        with pytest.raises(FkitTypeError, match="is no pair"):
            revised({"a": W["a.bias"]}, "f", None, ["ab"])


class TestSchemes:
    def test_names_of_weights_are_addresses(self):
        assert torchvision("resnet50").endswith("/resnet50-0676ba61.pth")
        assert torchvision("resnet50.IMAGENET1K_V1") == torchvision("resnet50")
        assert openmmlab("resnet50_caffe") == openmmlab("detectron/resnet50_caffe")
        assert mmcls("resnet18").startswith("https://download.openmmlab.com/mmclassification/")
        with pytest.raises(
            FkitKeyError, match=r"torchvision://resnet5: no weights of that name.*\n.*Did you mean 'resnet50'"
        ):
            torchvision("resnet5")

    def test_every_name_leads_to_an_address(self):
        from fkit.fileio import zoo

        for function, table in ((torchvision, zoo._VISION), (openmmlab, zoo._THIRD), (mmcls, zoo._CLASSIFIERS)):
            names = [line.split()[0] for line in table.strip().splitlines()]
            assert len(names) == len(set(names)) > 40
            assert all(function(name).startswith("https://download.") for name in names)

    def test_the_registry_has_them(self):
        assert fkit.registry().names("checkpoint_schemes") == (
            "mmcls",
            "modelzoo",
            "open-mmlab",
            "openmmlab",
            "torchvision",
        )

    def test_a_scheme_of_ones_own_is_one_registration(self, tmp_path):
        torch.save(tensors(W), tmp_path / "net.pth")
        reg = fkit.registry().register("checkpoint_schemes", lambda name: tmp_path / f"{name}.pth", name="mine")
        reg = reg.register("checkpoint_schemes", lambda name: f"mine://{name}", name="yours")
        assert equal(read_content("yours://net", reg).weights, W)
        assert equal(read_content_of(tensors(W)).weights, W)

    def test_what_a_scheme_may_not(self, tmp_path):
        def scheme(answer):
            return fkit.registry().register("checkpoint_schemes", answer, name="mine")

        with pytest.raises(FkitTypeError, match="mine://x: its scheme gives 3"):
            read_content("mine://x", scheme(lambda name: 3))
        with pytest.raises(FkitValueError, match="its scheme fails: ZeroDivisionError"):
            read_content("mine://x", scheme(lambda name: 1 / 0))
        with pytest.raises(FkitValueError, match="a name stands for a name"):
            read_content("mine://x", scheme(lambda name: f"mine://{name}"))
        with pytest.raises(FkitKeyError, match=r"there is no scheme 'torchvison'.*\n.*Did you mean 'torchvision'"):
            read_content("torchvison://resnet50")

    def test_a_backend_of_files_serves_weights(self):
        put(saved(tensors(W)), "memory://weights/a.pth")
        assert equal(read_content("memory://weights/a.pth").weights, W)

    def test_a_name_by_http_through_the_cache(self, tmp_path):
        """In a child, whose environment says where the cache is."""
        data = saved(tensors(W))
        name = f"net-{hashlib.sha256(data).hexdigest()[:8]}.pth"
        code = (
            "import sys, fkit; from fkit.fileio.weights import read_content\n"
            "reg = fkit.registry().register('checkpoint_schemes', lambda name: sys.argv[1], name='zoo')\n"
            "print(*(sorted(read_content('zoo://net', reg).weights) for _ in range(2)))"
        )
        with serving() as server:
            server.files["/" + name] = data
            env = {**os.environ, "FKIT_CACHE": str(tmp_path)}
            words = [sys.executable, "-c", code, f"{server.url}/{name}"]
            done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
            assert done.stdout.strip() == "['a.bias', 'a.weight'] ['a.bias', 'a.weight']", done.stderr
            assert len(server.asked) == 1


def test_what_is_not_there(tmp_path):
    torch.save(tensors(W), tmp_path / "net.pth")
    with pytest.raises(FkitFileNotFoundError, match=r"nett.pth: is not there.*\n.*Did you mean"):
        read_content(tmp_path / "nett.pth")
    with pytest.raises(FkitFileNotFoundError, match="there is no checkpoint in it"):
        read_content(tmp_path)
    for value, why in (
        ({"meta": 3}, "no weights are in it; it holds meta"),
        ([1], "no state_dict in it"),
        ({}, "it holds nothing"),
    ):
        torch.save(value, tmp_path / "b.pth")
        with pytest.raises(FkitValueError, match=why):
            read_content(tmp_path / "b.pth")


@pytest.mark.parametrize("odd", [None, 3, [], b"a"])
def test_wrong_arguments(odd):
    for call in (read_content, located, weights_of, lambda x: revised(x, "f"), torchvision, openmmlab, mmcls):
        with pytest.raises(FkitError):
            call(odd)
