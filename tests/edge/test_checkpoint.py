"""Checkpoints: whole or not there, whatever operation is the last."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fkit.edge.checkpoint import delete_checkpoint, digest, locate, newest, read_checkpoint, steps, write_checkpoint
from fkit.edge.files import Files
from fkit.run.start import Saved
from fkit.tree.error import FkitFileNotFoundError, FkitValueError, RunError


def saved(value):
    record = {"position": {"iteration": value}, "exact": {}, "observed": {"timer": value}, "metrics": {}}
    return Saved({"params/w": np.full((2, 3), value, np.float32), "iteration": np.array(value)}, record)


class Crash(BaseException):
    """Stands for the end of the process: nothing after it runs, and nothing catches it."""


class CrashingFiles:
    """Disk operations that end at the n-th; a write that is hit leaves half of its bytes."""

    def __init__(self, deadly):
        self.left, self.files = deadly, Files()

    def __getattr__(self, name):
        def operation(*args):
            self.left -= 1
            if self.left == 0:
                if name == "write":
                    args[0].write_bytes(args[1][: len(args[1]) // 2])
                raise Crash
            return getattr(self.files, name)(*args)

        return operation


def test_what_is_read_is_what_was_written(tmp_path):
    folder = write_checkpoint(tmp_path, 7, saved(7), {"seed": 1}, Files())
    found = read_checkpoint(folder)
    assert folder.name == "step_00000007" and found.meta["seed"] == 1
    assert found.saved.record == saved(7).record
    assert found.saved.arrays["params/w"].tolist() == saved(7).arrays["params/w"].tolist()
    assert found.saved.arrays["iteration"].shape == ()
    assert (tmp_path / "latest").read_text() == folder.name
    assert sorted(p.name for p in tmp_path.iterdir()) == ["latest", "step_00000007"]
    assert locate(tmp_path / "latest") == locate(tmp_path) == locate(folder) == folder


@pytest.mark.parametrize("again", [False, True])
def test_a_crash_at_any_operation_leaves_a_whole_checkpoint(again, tmp_path):
    for deadly in range(1, 30):
        place = tmp_path / str(deadly)
        write_checkpoint(place, 1, saved(1), {}, Files())
        if again:
            write_checkpoint(place, 2, saved(2), {}, Files())
        try:
            write_checkpoint(place, 2, saved(3), {}, CrashingFiles(deadly))
        except Crash:
            found = newest(place)
            values = {int(found.saved.arrays["iteration"])}
            assert values <= ({2, 3} if again else {1, 3}), deadly
            write_checkpoint(place, 4, saved(4), {}, Files())
            assert newest(place).meta["step"] == 4
        else:
            assert deadly > 12
            break


def test_a_crash_while_deleting_leaves_no_half(tmp_path):
    for deadly in range(1, 5):
        place = tmp_path / str(deadly)
        for step in (1, 2):
            write_checkpoint(place, step, saved(step), {}, Files())
        try:
            delete_checkpoint(place, 1, CrashingFiles(deadly))
        except Crash:
            assert newest(place).meta["step"] == 2
    assert steps(tmp_path / "4") == (2,)


@given(st.integers(0, 10**6), st.sampled_from(["state.safetensors", "meta.json"]))
@settings(max_examples=60)
def test_any_flipped_bit_is_found(tmp_path_factory, at, name):
    place = tmp_path_factory.mktemp("flip")
    folder = write_checkpoint(place, 1, saved(1), {"seed": 3}, Files())
    data = bytearray((folder / name).read_bytes())
    data[at % len(data)] ^= 1 << at % 8
    (folder / name).write_bytes(data)
    with pytest.raises(FkitValueError, match=name.replace(".", r"\.")):
        read_checkpoint(folder)


def test_where_none_verifies_each_is_named(tmp_path):
    for step in (1, 2):
        folder = write_checkpoint(tmp_path, step, saved(step), {}, Files())
        (folder / "state.safetensors").write_bytes(b"")
    with pytest.raises(FkitValueError, match=r"no checkpoint verifies.\n  step_00000002: .*\n  step_00000001: "):
        newest(tmp_path)


def test_there_may_be_none(tmp_path):
    assert newest(tmp_path / "nothing") is None
    with pytest.raises(FkitFileNotFoundError, match="there is no checkpoint in it"):
        locate(tmp_path)


def test_a_weight_that_is_not_finite_is_not_saved(tmp_path):
    bad = saved(1)._replace(arrays={"params/w": np.array([1.0, np.nan])})
    with pytest.raises(RunError, match="w is not finite after iteration 1; no checkpoint was written"):
        write_checkpoint(tmp_path, 1, bad, {}, Files())
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_clear_error_and_harms_nothing(tmp_path):
    write_checkpoint(tmp_path, 1, saved(1), {}, Files())
    big = saved(2)._replace(arrays={"params/w": np.zeros(10)})
    (tmp_path / ".step_00000002.new").write_text("a file where the folder is to be")

    class Full(Files):
        def write(self, path, data):
            super().write(path.parent / ("x" * 300), data)  # a name that the disk refuses

    with pytest.raises(RunError, match=r"cannot be written: File name too long"):
        write_checkpoint(tmp_path, 2, big, {}, Full())
    assert newest(tmp_path).meta["step"] == 1


def test_the_fingerprint_is_of_exact_state_alone():
    other = saved(5)
    later = other._replace(record={**other.record, "observed": {"timer": 99}})
    assert digest(other) == digest(later)
    assert digest(other) != digest(saved(6))
    moved = other._replace(record=json.loads(json.dumps(other.record)))
    assert digest(other) == digest(moved)


@given(arrays(np.float32, (2, 2)), arrays(np.float32, (2, 2)))
def test_the_fingerprint_tells_arrays_apart_to_the_bit(a, b):
    same = a.tobytes() == b.tobytes()
    assert (digest(Saved({"w": a}, {})) == digest(Saved({"w": b}, {}))) == same
