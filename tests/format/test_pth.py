"""Files that torch saves, read without torch: equal to what torch reads; hostile ones give one clear error in little memory."""

import io
import json
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from fkit.format.meaning import History
from fkit.format.pth import read_pth
from fkit.tree.error import FkitValueError

DATA = Path(__file__).parents[1] / "golden/data/openmmlab"
T = torch.arange(24.0).reshape(2, 3, 4)


def saved(value, legacy=False):
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


def same(mine, theirs):
    if isinstance(theirs, torch.Tensor):
        theirs = (theirs.float() if theirs.dtype == torch.bfloat16 else theirs).detach().numpy()
        return mine.shape == theirs.shape and mine.dtype == theirs.dtype and np.array_equal(mine, theirs)
    if isinstance(theirs, dict):
        return set(mine) == set(theirs) and all(same(mine[key], value) for key, value in theirs.items())
    if isinstance(theirs, list | tuple):
        return isinstance(mine, tuple) and len(mine) == len(theirs) and all(map(same, mine, theirs))
    return type(mine) is type(theirs) and mine == theirs


VALUES = {
    "tensor": T,
    "permuted": T.permute(2, 0, 1),
    "part": T[1, 1:, ::2],
    "scalar": torch.tensor(5),
    "empty": torch.zeros(0, 3),
    "expanded": torch.ones(1).expand(4),
    "parameter": torch.nn.Parameter(T),
    "bfloat16": T.bfloat16(),
    "float16": T.half(),
    "float64": T.double(),
    "bool": T > 3,
    "uint8": T.byte(),
    "int8": T.char(),
    "int16": T.short(),
    "int32": T.int(),
    "complex": T.to(torch.complex64),
    "tied": [T, T.view(-1), T],
    "numbers": {"a": [1, 2.5, None, True, "x", (1,), 1 << 70, b"bytes", 1j], 3: {"deep": [[]]}},
}


@pytest.mark.parametrize("legacy", [False, True], ids=["archive", "row"])
@pytest.mark.parametrize("name", VALUES)
def test_values_are_those_that_torch_reads(name, legacy):
    assert same(read_pth(saved(VALUES[name], legacy)), VALUES[name])


@pytest.mark.parametrize("legacy", [False, True], ids=["archive", "row"])
def test_a_models_and_an_optimizers_state(legacy):
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    model(torch.rand(2, 3)).sum().backward()
    optimizer = torch.optim.Adam(model.parameters())
    optimizer.step()
    data = saved({"state_dict": model.state_dict(), "optimizer": optimizer.state_dict()}, legacy)
    theirs = torch.load(io.BytesIO(data), weights_only=True)
    assert same(read_pth(data), theirs)
    assert list(read_pth(data)["state_dict"]) == list(model.state_dict())


def test_what_is_read_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        read_pth(saved(T))[0] = 1


class TestMmengine:
    def test_torch_itself_refuses_the_file(self):
        with pytest.raises(pickle.UnpicklingError, match="weights_only"):
            torch.load(DATA / "mmengine_epoch_2.pth", weights_only=True)

    def test_history_numbers_and_counters_are_data(self):
        content = read_pth((DATA / "mmengine_epoch_2.pth").read_bytes())
        assert sorted(content) == ["message_hub", "meta", "optimizer", "param_schedulers", "state_dict"]
        history = content["message_hub"]["log_scalars"]["train/loss"]
        assert isinstance(history, History) and history.max_length == 1000000
        np.testing.assert_allclose(history.values, [1.41160393, 1.36317539, 1.30331099, 1.10446286], rtol=1e-8)
        assert history.counts.tolist() == [1, 1, 1, 1]
        assert type(content["message_hub"]["runtime_info"]["eta"]) is float
        assert content["param_schedulers"][1]["milestones"] == {2: 1}
        assert content["meta"]["dataset_meta"]["classes"] == ("a", "b", "c")
        assert content["optimizer"]["state"][0]["momentum_buffer"].shape == (4, 1, 3, 3)

    def test_weights_with_a_moving_average(self):
        content = read_pth((DATA / "mmengine_iter_3_ema.pth").read_bytes())
        assert sorted(content["ema_state_dict"]) == sorted(
            ["steps", *(f"module.{key}" for key in content["state_dict"])]
        )


class Mine:
    """A class of a user's own, in a checkpoint."""


@pytest.mark.parametrize("legacy", [False, True], ids=["archive", "row"])
def test_what_a_file_needs_beyond_data_is_named(legacy):
    import argparse
    import datetime

    for value, name in (
        (argparse.Namespace(a=1), "argparse.Namespace"),
        (Mine(), "test_pth.Mine"),
        (datetime.date(2020, 1, 1), "datetime.date"),
        (print, "builtins.print"),
        (torch.nn.Linear(1, 1), "torch.nn.modules.linear.Linear"),
        (torch.zeros(2).to_sparse(), "torch._utils._rebuild_sparse_tensor"),
    ):
        with pytest.raises(FkitValueError) as caught:
            read_pth(saved({"state_dict": {}, "meta": value}, legacy), "a.pth")
        assert f"a.pth: the file needs {name}" in str(caught.value).replace("tests.format.", "")
        assert "weights_only=False" in str(caught.value)


class Bomb:
    """A pickle that runs a command, where it is believed."""

    def __reduce__(self):
        import os

        return os.system, ("touch pwned",)


def test_no_code_of_a_file_is_run(here):
    for data in (saved(Bomb()), saved(Bomb(), legacy=True), pickle.dumps(Bomb())):
        with pytest.raises(FkitValueError, match=r"(posix|nt)\.system|no file that torch saved"):
            read_pth(data)
    state = pickle.dumps({"a": 1}, protocol=2)
    assert not Path("pwned").exists() and read_pth(archive(state)) == {"a": 1}


def archive(pickled, **files):
    """An archive as torch writes one, of a pickle and the files data/KEY."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as written:
        written.writestr("archive/data.pkl", pickled)
        for name, content in files.items():
            written.writestr(f"archive/data/{name}", content)
    return file.getvalue()


def tensor(shape, strides, numbers=4, offset=0):
    """The pickle of a tensor, as it says of itself."""

    class Rebuilt:
        def __reduce__(self):
            return torch._utils._rebuild_tensor_v2, ("the numbers", offset, shape, strides, False, {})

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            return ("storage", torch.FloatStorage, "0", "cpu", numbers) if obj == "the numbers" else None

    file = io.BytesIO()
    Pickler(file, protocol=2).dump(Rebuilt())
    return file.getvalue()


def nested(depth):
    return b"\x80\x02" + b"]" * depth + b"a" * (depth - 1) + b"."


def doubled(count):
    """A list that holds another twice, and so on: 2**count values of a few bytes each."""
    return b"\x80\x02]" + b"".join(b"q\x00]h\x00ah\x00a" for _ in range(count)) + b"."


def compressed():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as written:
        written.writestr("archive/data.pkl", bytes(1 << 28))
    return file.getvalue()


GOOD = saved({"state_dict": {"w": torch.zeros(1000)}})
HOSTILE = {
    "nothing": b"",
    "zeros": bytes(10000),
    "zero_pickle": b"\x80",
    "text": b'{"a": 1}',
    "a_page": b"<!DOCTYPE html><html>404</html>",
    "a_pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
    "half": GOOD[: len(GOOD) // 2],
    "without_its_end": GOOD[:-30],
    "half_a_row": saved({"w": torch.zeros(1000)}, legacy=True)[:2000],
    "changed": GOOD.replace(bytes(4000), bytes(3999) + b"\1"),
    "another_archive": (lambda f: (zipfile.ZipFile(f, "w").writestr("a.txt", "a"), f.getvalue())[1])(io.BytesIO()),
    "compressed": compressed(),
    "numbers_that_are_missing": archive(tensor((2, 2), (2, 1))),
    "too_few_numbers": archive(tensor((2, 2), (2, 1)), **{"0": bytes(8)}),
    "huge_shape": archive(tensor((1 << 40, 1 << 20), (1, 1)), **{"0": bytes(16)}),
    "huge_shape_of_one_number": archive(tensor((1 << 40, 1 << 20), (0, 0)), **{"0": bytes(16)}),
    "negative": archive(tensor((-1, 2), (1, 1)), **{"0": bytes(16)}),
    "backwards": archive(tensor((2, 2), (-1, -1), offset=3), **{"0": bytes(16)}),
    "before": archive(tensor((2,), (1,), offset=-1), **{"0": bytes(16)}),
    "floating_shape": archive(tensor((2.5,), (1,)), **{"0": bytes(16)}),
    "numbers_beyond_count": archive(tensor((2,), (1,), numbers=1 << 60), **{"0": bytes(16)}),
    "deep": archive(nested(100000)),
    "doubled": archive(doubled(60)),
    "itself": archive(b"\x80\x02]q\x00h\x00a."),
    "memo": archive(b"\x80\x02]r\xff\xff\xff\xff"),
    "long_text": archive(b"\x80\x04\x8d" + struct.pack("<Q", 1 << 50) + b"a."),
    "long_bytes": archive(b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"a."),
    "long_frame": archive(b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"a."),
    "bytearray": archive(b"\x80\x02cbuiltins\nbytearray\n\x8a\x06" + (1 << 40).to_bytes(6, "little") + b"\x85R."),
    "long_array": archive(pickle.dumps(np.zeros(3), protocol=2).replace(b"K\x03\x85", b"J\xff\xff\xff\x7f\x85")),
    "objects": archive(pickle.dumps(np.array([1, "a"], object), protocol=2)),
    "opcodes": archive(bytes(range(256)) * 10),
    "changes_a_class": archive(b"\x80\x02ccollections\nOrderedDict\n}b."),
    "calls_a_number": archive(b"\x80\x02K\x01)R."),
    "extension": archive(b"\x80\x02\x82\x01."),
}

CHILD = """
import json, resource, sys, time
from fkit.format.pth import read_pth
from fkit.tree.error import FkitError
resource.setrlimit(resource.RLIMIT_AS, (600 << 20, 600 << 20))
for file in sys.argv[1:]:
    used = time.process_time()
    try:
        answer = ["accepted", repr(read_pth(open(file, "rb").read(), "a.pth"))[:200]]
    except FkitError as error:
        answer = ["FkitError", str(error)]
    except BaseException as error:
        answer = [type(error).__name__, str(error)[:200]]
    print(json.dumps([file, *answer, time.process_time() - used]), flush=True)
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    for name, data in HOSTILE.items():
        (folder / name).write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *HOSTILE], capture_output=True, text=True, cwd=folder, check=False
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == len(HOSTILE), done.stderr
    return {name: (kind, text, spent) for name, kind, text, spent in rows}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_give_one_error(answers, name):
    kind, text, spent = answers[name]
    assert kind == "FkitError" and text.startswith("a.pth: ") and spent < 2, (kind, text, spent)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nothing", "is empty: it has 0 bytes"),
        ("a_page", "is a web page"),
        ("a_pointer", "git lfs pull"),
        ("half", "is truncated or was changed"),
        ("half_a_row", "is truncated: it ends before the numbers of its tensors do"),
        ("changed", "is truncated or was changed"),
        ("another_archive", "holds no data.pkl"),
        ("compressed", "is compressed, or larger than the file"),
        ("numbers_that_are_missing", "lacks archive/data/0"),
        ("huge_shape", "reaches beyond the numbers that the file has for it"),
        ("huge_shape_of_one_number", "far larger than the file"),
        ("deep", "nested too deeply"),
        ("doubled", "unfolds to more than"),
        ("itself", "holds itself"),
        ("bytearray", "needs builtins.bytearray"),
    ],
)
def test_hostile_files_say_why(answers, name, says):
    assert says in answers[name][1]
