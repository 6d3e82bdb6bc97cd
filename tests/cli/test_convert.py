"""``fkit convert``: a .pth as flax's variables and back, in one command each."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import fkit
from fkit.cli.main import main
from fkit.interop import load_variables, to_flax

MODEL = "_base_ = 'fkit::digits/convnet.py'\n"


def run(capsys, *words):
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out.strip(), err.strip()


@pytest.fixture
def saved(tmp_path):
    """A config, and a .pth of its torch model as OpenMMLab writes one."""
    config = tmp_path / "net.py"
    config.write_text(MODEL)
    module = fkit.registry().build("models", fkit.load_config(str(config)).model, backend="torch")
    state = {name: torch.randn_like(p) if p.is_floating_point() else p for name, p in module.state_dict().items()}
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in state.items()}, "meta": {}}, tmp_path / "net.pth"
    )
    return config, tmp_path / "net.pth", state


@pytest.mark.parametrize("end", ["safetensors", "msgpack"])
@pytest.mark.parametrize("told", [True, False])
def test_a_pth_to_flax_and_back(saved, end, told, tmp_path, capsys):
    config, pth, state = saved
    words = ["--config", config] if told else []
    code, out, err = run(capsys, "convert", pth, "--to", "flax", *words, "--out", tmp_path / f"a.{end}")
    assert (code, out) == (0, str(tmp_path / f"a.{end}")), err
    assert ("without --config names and shapes decide" in err) is not told
    variables = load_variables(out)
    want = to_flax(state)
    assert set(variables) == {"params", "batch_stats"} == set(want)
    assert variables["params"]["head"]["fc"]["kernel"].shape == (64, 10)
    assert np.array_equal(variables["params"]["head"]["fc"]["kernel"], want["params"]["head"]["fc"]["kernel"])
    code, out, err = run(capsys, "convert", out, "--to", "torch", *words, "--out", tmp_path / "b.pth")
    assert code == 0, err
    back = torch.load(out, weights_only=True)["state_dict"]
    assert set(back) == set(state)
    assert all(torch.equal(back[name], value) for name, value in state.items() if not name.endswith("tracked"))


def test_torchs_own_weights_as_a_plain_file(saved, tmp_path, capsys):
    _, pth, state = saved
    code, out, _ = run(capsys, "convert", pth, "--to", "torch", "--out", tmp_path / "b.safetensors")
    assert code == 0 and {name: a.shape for name, a in load_file(out).items()} == {
        n: tuple(v.shape) for n, v in state.items()
    }


def test_a_run_of_the_kit_knows_its_config(tmp_path, capsys):
    work = tmp_path / "work"
    words = ["train_cfg.max_epochs=1"]
    code, _, err = run(
        capsys, "train", "digits/convnet", "--work-dir", work, "--backend", "jax", "--cfg-options", *words
    )
    assert code == 0, err
    code, out, err = run(capsys, "convert", work, "--to", "flax", "--out", tmp_path / "a.msgpack")
    assert code == 0 and "names and shapes" not in err, err
    cfg = fkit.load_config(str(work / "config.py"))
    module = fkit.registry().build("models", cfg.model, backend="jax")
    scores = module.apply(load_variables(out), np.zeros((2, 1, 8, 8), np.float32))
    assert scores.shape == (2, 10)


def test_wrong_input_is_one_clear_error(saved, tmp_path, capsys):
    _, pth, _ = saved
    other = tmp_path / "other.py"
    other.write_text(f"{MODEL}model = dict(head=dict(num_classes=7))")
    (tmp_path / "broken.msgpack").write_bytes(b"\xc1nothing")
    flax = tmp_path / "a.safetensors"
    assert run(capsys, "convert", pth, "--to", "flax", "--out", flax)[0] == 0
    cases = [
        ((pth, "--to", "flax", "--out", tmp_path / "a.pth"), "a file for flax ends with .safetensors or .msgpack"),
        ((pth, "--to", "jax", "--out", "a"), "--to = 'jax' is none of its values"),
        ((pth, "--to", "flax", "--config", other, "--out", tmp_path / "x.msgpack"), "head.fc.weight: model (7, 64), file (10, 64)"),
        ((flax, "--to", "flax", "--out", tmp_path / "x.msgpack"), "holds flax's variables already"),
        ((flax, "--to", "torch", "--config", other, "--out", tmp_path / "x.pth"), "of another shape"),
        ((tmp_path / "broken.msgpack", "--to", "torch", "--out", tmp_path / "x.pth"), "is no msgpack of flax's variables"),
        ((tmp_path / "nothere.pth", "--to", "flax", "--out", tmp_path / "x.msgpack"), "is not there"),
        ((flax, "--to", "torch", "--out", flax), "would be written onto"),
        ((pth, "--to", "flax", "--out", tmp_path / "x.msgpack", "--cfg-options", "seed=1"), "Name one by --config"),
    ]  # fmt: skip
    for words, said in cases:
        code, out, err = run(capsys, "convert", *words)
        assert (code, out) == (2, "") and said in err and "Traceback" not in err, err
    assert not list(tmp_path.glob("x.*"))
