"""Arrays of torch, JAX and numpy share memory: no byte moves, or one clear error says why."""

import sys
from collections import OrderedDict
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from frozendict import frozendict

import fkit
from fkit.interop import jax_array, jax_tree, numpy_array, numpy_tree, torch_array, torch_tree

TO = {"torch": torch_array, "jax": jax_array, "numpy": numpy_array}
NARROW = ("float16", "float32", "bfloat16", "int8", "int16", "int32", "uint8", "uint16", "uint32", "bool", "complex64",
          "float8_e4m3fn", "float8_e5m2")  # fmt: skip
WIDE = ("float64", "int64", "uint64", "complex128")


def pointer(array):
    if isinstance(array, np.ndarray):
        return array.ctypes.data
    return array.data_ptr() if isinstance(array, torch.Tensor) else array.unsafe_buffer_pointer()


def aligned(shape, dtype=np.float32):
    """numpy's zeros at a multiple of 64 bytes."""
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    room = np.zeros(count + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + count].view(dtype).reshape(shape)


def made(kind, dtype, shape=(3, 4)):
    tensor = torch.arange(12).reshape(3, 4).remainder(2).to(getattr(torch, dtype))
    if kind == "torch":
        return tensor
    if kind == "jax":
        return jnp.array(np.arange(12).reshape(3, 4) % 2, jnp.dtype(dtype))
    answer = aligned(shape, jnp.dtype(dtype))
    answer[...] = np.arange(12).reshape(3, 4) % 2
    return answer


PAIRS = [(a, b) for a in TO for b in TO if a != b]


@pytest.mark.parametrize("dtype", [*NARROW, *WIDE])
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_no_byte_moves_and_the_type_stays(source, target, dtype):
    with jax.enable_x64(dtype in WIDE):
        array = made(source, dtype)
        answer = TO[target](array)
        assert pointer(answer) == pointer(array)
        assert str(answer.dtype).removeprefix("torch.") == dtype and tuple(answer.shape) == (3, 4)
        back = TO[source](answer)
        assert pointer(back) == pointer(array)
        copied = TO[target](array, copy=True)
        assert pointer(copied) != pointer(array)
        for one in (answer, copied):
            values = np.asarray(one.float() if target == "torch" and not dtype.startswith("c") else one, np.complex128)
            assert values.tolist() == (np.arange(12).reshape(3, 4) % 2).tolist()


@pytest.mark.parametrize("kind", TO)
def test_an_array_of_the_same_framework_is_itself(kind):
    array = made(kind, "float32")
    assert TO[kind](array) is array and pointer(TO[kind](array, copy=True)) != pointer(array)


@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (1, 1, 5)])
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_shapes_of_all_kinds(source, target, shape):
    array = TO[source](torch.zeros(shape))
    array = aligned(shape) if source == "numpy" else array
    for copy in (False, None, True):
        assert tuple(TO[target](array, copy=copy).shape) == shape


def test_who_shares_memory_sees_what_is_written():
    tensor = torch.zeros(3)
    shared, copied = jax_array(tensor), jax_array(tensor, copy=True)
    view = numpy_array(shared)
    tensor.fill_(7)
    assert view.tolist() == [7, 7, 7] and copied.tolist() == [0, 0, 0]
    assert not view.flags.writeable and numpy_array(shared, copy=True).flags.writeable


def test_axes_in_another_order_are_shared_too():
    tensor = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    array = jax_array(tensor)
    assert pointer(array) == tensor.data_ptr() and np.array_equal(np.asarray(array), tensor.numpy())
    assert torch_array(array).stride() == tensor.stride()
    with pytest.raises(fkit.FkitError, match="cannot be shared as it lies in memory"):
        numpy_array(array)
    assert np.array_equal(numpy_array(array, copy=None), tensor.numpy())


@pytest.mark.parametrize("kind", ["float64", "int64", "complex128"])
def test_64_bits_are_never_cut(kind):
    tensor = torch.tensor([2**40 + 5]).to(getattr(torch, kind))
    for source in (tensor, tensor.numpy()):
        for copy in (False, None, True):
            with pytest.raises(fkit.FkitError, match=r"jax\.enable_x64"):
                jax_array(source, copy=copy)
        with jax.enable_x64(True):
            answer = jax_array(source, copy=None)
        assert complex(np.asarray(answer)[0]) == 2**40 + 5 and str(answer.dtype) == kind
    with jax.enable_x64(True):
        answer = jax_array(tensor)
    assert torch_array(answer).tolist() == tensor.tolist()  # outside of the context too


REFUSED = {
    "a strided tensor": (lambda: torch.zeros(3, 4)[:, ::2], r"Give \.contiguous\(\)"),
    "a repeated tensor": (lambda: torch.zeros(1, 4).expand(3, 4), r"\.contiguous\(\)"),
    "a slice": (lambda: torch.zeros(9)[1:], "begins 4 bytes after a multiple of 64"),
    "numpy's memory": (lambda: aligned((17,))[1:], "copy=None copies where it must"),
    "strided memory": (lambda: aligned((4, 6))[:, ::2], "np.ascontiguousarray"),
    "backward memory": (lambda: aligned((6,))[::-1], "np.ascontiguousarray"),
    "a lazy conjugate": (lambda: torch.zeros(3, dtype=torch.complex64).conj(), "resolve_conj"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_jax_cannot_share_is_refused_or_copied(name):
    make, words = REFUSED[name]
    with pytest.raises(fkit.FkitError, match=words):
        jax_array(make())
    for copy in (None, True):
        answer = jax_array(make(), copy=copy)
        assert answer.shape == tuple(make().shape) and pointer(answer) != pointer(make())


def frozen():
    array = aligned((3,))
    array.flags.writeable = False
    return array


def used_up():
    array = jnp.zeros(3)
    array.delete()
    return array


NEVER = {
    "a gradient to jax": (jax_array, lambda: torch.ones(3, requires_grad=True), r"\.detach\(\)"),
    "a gradient to numpy": (numpy_array, lambda: torch.ones(3, requires_grad=True), r"fkit.interop.as_jax"),
    "meta": (jax_array, lambda: torch.ones(3, device="meta"), "no memory"),
    "sparse": (numpy_array, lambda: torch.eye(3).to_sparse(), "no plain memory"),
    "keys": (torch_array, lambda: jax.random.key(0), r"jax\.random\.key_data"),
    "used up": (torch_array, used_up, "donated"),
    "four bits": (torch_array, lambda: jnp.ones(3, jnp.int4), "does not become an array of torch"),
    "words": (torch_array, lambda: np.array(["a"]), "holds no numbers of this machine"),
    "objects": (jax_array, lambda: np.array([None]), "holds no numbers of this machine"),
    "a number": (jax_array, lambda: 3.0, "is an array of torch, JAX or numpy, not 3.0"),
    "a list": (torch_array, lambda: [1.0], "is an array of torch"),
}


@pytest.mark.parametrize("name", NEVER)
def test_what_cannot_pass_is_one_error(name):
    function, make, words = NEVER[name]
    with pytest.raises(fkit.FkitError, match=words):
        function(make())


def test_what_numpy_marks_read_only_is_no_tensor():
    with pytest.raises(fkit.FkitError, match="is read-only, and torch could write to it"):
        torch_array(frozen())
    assert torch_array(frozen(), copy=None).tolist() == [0, 0, 0]
    array = frozen()
    assert pointer(jax_array(array)) == pointer(array)  # JAX does not write


def test_inside_jit_there_is_no_memory():
    with pytest.raises(fkit.FkitError, match=r"as_jax\(function\)"):
        jax.jit(torch_array)(jnp.ones(3))


def test_an_odd_copy_is_an_error():
    with pytest.raises(fkit.FkitError, match="copy = 'yes' is none of its values"):
        jax_array(torch.ones(3), copy="yes")


class Pair(NamedTuple):
    left: object
    right: object


def test_trees_keep_their_classes_and_all_that_is_no_array():
    tensor = torch.ones(2)
    tree = OrderedDict(a=[tensor, None, 3], b=frozendict(c=(tensor, "x")), d=Pair(tensor, 1.5))
    there = jax_tree(tree)
    assert type(there) is OrderedDict and type(there["b"]) is frozendict and type(there["d"]) is Pair
    assert there["a"][1:] == [None, 3] and there["b"]["c"][1] == "x" and there["d"].right == 1.5
    for leaf in (there["a"][0], there["b"]["c"][0], there["d"].left):
        assert pointer(leaf) == pointer(tensor)
    back = torch_tree(there)
    assert pointer(back["d"].left) == pointer(tensor) and type(back) is OrderedDict
    assert pointer(numpy_tree(there)["a"][0]) == pointer(tensor)


def test_the_kits_structures_are_trees():
    sample = fkit.structures.DataSample(
        gt_instances=fkit.structures.InstanceData(labels=torch.arange(3).int(), scores=torch.ones(3)), note="a"
    )
    there = jax_tree(sample)
    assert isinstance(there.gt_instances.labels, jax.Array) and there.note == "a"
    assert pointer(there.gt_instances.labels) == pointer(sample.gt_instances.labels)
    batch = fkit.Batch(torch.ones(2, 3), {"gt_label": torch.zeros(2).int()})
    assert isinstance(jax_tree(batch).targets["gt_label"], jax.Array)


def test_an_error_in_a_tree_says_where():
    with pytest.raises(fkit.FkitError, match=r"^layers\.1\.weight: torch's \(3,\) float64: JAX holds 64 bits"):
        jax_tree({"layers": [{}, {"weight": torch.zeros(3, dtype=torch.float64)}]})


def test_numpy_and_torch_alone_load_no_jax(run_python):
    code = """
        import sys, torch, fkit
        assert fkit.interop.numpy_array(torch.ones(3)).tolist() == [1, 1, 1]
        assert fkit.interop.torch_tree([fkit.interop.numpy_array(torch.ones(3))])[0].tolist() == [1, 1, 1]
        assert "jax" not in sys.modules
    """
    run_python(code)
    assert "jax" in sys.modules
