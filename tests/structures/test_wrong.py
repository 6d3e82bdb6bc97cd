"""What is wrong is one clear error, on any library: indices, joins, fills, arguments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkit.structures import (
    ClsDataSample,
    DataElement,
    InstanceData,
    LabelData,
    PixelData,
    bucket,
    from_parts,
    tree_parts,
)
from fkit.tree.error import FkitError, FkitIndexError, FkitKeyError, FkitTypeError, FkitValueError

LIBRARIES = ("numpy", "torch", "jax")


@pytest.fixture(params=LIBRARIES)
def library(request):
    pytest.importorskip(request.param)
    return request.param


def moved(element, library):
    return {"numpy": element.numpy, "torch": element.to_torch, "jax": element.to_jax}[library]()


def rows(library):
    return moved(InstanceData(labels=np.arange(3), boxes=np.zeros((3, 4), np.float32)), library)


def index(values, library):
    return moved(DataElement(at=np.array(values)), library).at


class TestIndices:
    @pytest.mark.parametrize("of", LIBRARIES)
    @pytest.mark.parametrize("at", [[5], [0, 3], [-4], 7, -4])
    def test_out_of_range(self, library, of, at):
        pytest.importorskip(of)
        wrong = at if isinstance(at, int) else max(at, key=abs)
        with pytest.raises(FkitIndexError, match=f"index {wrong} is out of range: there are 3 rows"):
            rows(library)[index(at, of)]
        with pytest.raises(FkitIndexError, match=f"index {wrong} is out of range"):
            rows(library)[at]

    @pytest.mark.parametrize("of", LIBRARIES)
    def test_in_range(self, library, of):
        pytest.importorskip(of)
        assert rows(library)[index([2, -3], of)].labels.tolist() == [2, 0]
        assert rows(library)[index(-1, of)].labels.tolist() == [2]
        backward = np.array([0, 1, 2])[::-1]
        assert rows(library)[backward].labels.tolist() == [2, 1, 0]
        backward.flags.writeable = False
        assert rows(library)[backward].labels.tolist() == [2, 1, 0]
        assert rows(library)[np.array([True, True, False])[::-1]].labels.tolist() == [1, 2]

    @pytest.mark.parametrize("wrong", [slice(0.5, None), slice(None, "x"), slice(None, None, [1]), slice(True, None)])
    def test_slices_of_other_things(self, library, wrong):
        with pytest.raises(FkitTypeError, match="a slice is of ints, not of"):
            rows(library)[wrong]
        with pytest.raises(FkitTypeError, match="a slice is of ints, not of"):
            moved(PixelData(a=np.zeros((2, 3))), library)[0, wrong]

    def test_a_step_of_zero(self, library):
        with pytest.raises(FkitValueError, match="the step of a slice cannot be 0"):
            rows(library)[::0]
        with pytest.raises(FkitValueError, match="the step of a slice cannot be 0"):
            moved(PixelData(a=np.zeros((2, 3))), library)[::0, 0]

    def test_numbers_of_70_bits(self):
        with pytest.raises(FkitIndexError, match=f"index {2**70} is out of range"):
            rows("numpy")[[2**70]]

    @pytest.mark.parametrize(
        ("at", "expected"),
        [
            ((-1, slice(None, None, -1)), [[5, 4, 3]]),
            ((slice(None, None, -1), 0), [[3], [0]]),
            ((slice(None, None, -1), slice(None, None, -2)), [[5, 3], [2, 0]]),
            ((slice(0, 1), slice(1, None)), [[1, 2]]),
            ((np.int64(1), np.array(2)), [[5]]),
        ],
    )
    def test_pixels(self, library, at, expected):
        x = moved(PixelData(a=np.arange(6, dtype=np.int32).reshape(2, 3)), library)
        assert x[at].a.tolist() == [expected]

    @pytest.mark.parametrize("wrong", [np.array([0, 1]), np.array(0.5), None, "x", [0], np.array([True])])
    def test_pixels_refused(self, library, wrong):
        with pytest.raises(FkitTypeError, match="a row is an int or a slice"):
            moved(PixelData(a=np.zeros((2, 3))), library)[wrong, 0]


class TestTraced:
    def test_jax_leaves_what_is_traced(self):
        jax = pytest.importorskip("jax")
        x = rows("jax")
        picked = jax.jit(lambda x, at: x[at])(x, np.array([2, 0]))
        assert picked.labels.tolist() == [2, 0]
        assert jax.jit(lambda x, at: x[at])(x, 1).boxes.shape == (1, 4)
        with pytest.raises(FkitIndexError, match="index 3 is out of range"):
            jax.jit(lambda x: x[3])(x)
        with pytest.raises(FkitTypeError, match="rows of a list, a tuple or a str cannot be picked"):
            jax.jit(lambda x, at: x[at])(x.set(names=["a", "b", "c"]), np.array([2]))
        with pytest.raises(FkitTypeError, match="a row is an int or a slice"):
            jax.jit(lambda x, at: x[at, 0])(PixelData(a=np.zeros((2, 3))), 1)
        with pytest.raises(FkitTypeError, match="`label` has no numbers yet"):
            jax.jit(lambda a: LabelData.label_to_onehot(a, 3))(np.array([1]))

    def test_torch_leaves_what_is_mapped(self):
        torch = pytest.importorskip("torch")
        x = rows("torch")
        found = torch.func.vmap(lambda at: x[at.reshape(1)].labels)(torch.tensor([2, 0]))
        assert found.tolist() == [[2], [0]]
        assert "labels: int64 (3,)" in repr(x.map_arrays(lambda a: a.to("meta")))


class TestCat:
    def test_any_iterable(self, library):
        x = rows(library)
        assert InstanceData.cat(x[at] for at in range(3)) == x

    @pytest.mark.parametrize("wrong", [None, 3, "x", InstanceData(a=[1])])
    def test_refused(self, wrong):
        with pytest.raises(FkitTypeError, match="`cat` wants a sequence of InstanceData"):
            InstanceData.cat(wrong)

    def test_unlike_shapes_name_the_field(self, library):
        x = rows(library)
        other = moved(InstanceData(labels=np.arange(2), boxes=np.zeros((2, 5), np.float32)), library)
        with pytest.raises(
            FkitValueError, match=r"the field 'boxes' cannot be joined: .* \(4,\) .* of \(5,\) in another"
        ):
            InstanceData.cat([x, other])
        with pytest.raises(FkitValueError, match="the field 'boxes' cannot be joined"):
            InstanceData.cat([InstanceData(inner=x), InstanceData(inner=other)])

    def test_unlike_kinds_name_the_field(self):
        pytest.importorskip("torch")
        for one, other in (([1], "x"), ([1], (1,)), (np.zeros(1), [1]), (np.zeros(1), rows("torch").labels)):
            with pytest.raises(FkitTypeError, match=r"the field 'a' cannot be joined: it is an? .* in one element"):
                InstanceData.cat([InstanceData(a=one), InstanceData(a=other)])
        with pytest.raises(FkitError, match="the field 'a' cannot be joined: "):
            InstanceData.cat([InstanceData(a=np.zeros(1, "M8[s]")), InstanceData(a=np.zeros(1))])


class TestFills:
    @pytest.mark.parametrize(
        ("dtype", "fill"),
        [
            ("uint8", -1),
            ("uint8", 256),
            ("int32", 0.5),
            ("int64", float("nan")),
            ("bool", -1),
            ("int8", 1j),
            ("uint8", 10**400),
        ],
    )
    def test_numbers_that_a_dtype_lacks(self, library, dtype, fill):
        if library == "jax" and dtype == "int64":
            dtype = "int32"
        x = moved(InstanceData(mask=np.zeros(2, dtype)), library)
        with pytest.raises(FkitValueError, match=rf"the field 'mask' \({dtype}\) has no number .*\n.*'mask': 0"):
            x.pad(4, fill=fill)
        assert x.pad(4).mask.tolist() == [0] * 4

    @pytest.mark.parametrize("fill", [None, "x", [], [1]])
    def test_other_things(self, library, fill):
        with pytest.raises(FkitTypeError, match="filled with a number, not with"):
            rows(library).pad(4, fill=fill)

    def test_numbers_of_any_library(self, library):
        for fill in (-1, -1.0, np.float32(-1), np.array(-1)):
            assert rows(library).pad(4, fill=fill).labels.tolist() == [0, 1, 2, -1]

    def test_a_misspelt_field(self):
        x = rows("numpy").set(inner=InstanceData(ids=np.arange(3)))
        with pytest.raises(FkitKeyError, match=r"`fill` names 'lables'.*\n  Did you mean 'labels'"):
            x.pad(4, fill={"lables": -1})
        padded = x.pad(4, fill={"labels": -1, "ids": -2})
        assert padded.labels[3] == -1 and padded.inner.ids[3] == -2 and not padded.boxes[3].any()

    def test_what_no_float_holds(self, library):
        x = moved(InstanceData(a=np.zeros(1, np.float32)), library)
        with pytest.raises(FkitError, match=r"the field 'a' \(float32\) cannot be filled with 1000.*"):
            x.pad(2, fill=10**400)
        with pytest.raises(FkitValueError, match=r"the field 'a' \(float32\) has no number 1j"):
            x.pad(2, fill=1j)
        assert InstanceData(a=np.zeros(1, complex)).pad(2, fill=1j).a[1] == 1j

    @pytest.mark.parametrize("size", [None, "x", [None], 2.5, [2.5], True])
    def test_sizes(self, size):
        with pytest.raises(FkitTypeError, match="a size is"):
            rows("numpy").pad(size)
        with pytest.raises(FkitError):
            rows("numpy").pad([])
        assert len(rows("numpy").pad(np.int32(4))) == len(rows("numpy").pad(n for n in (2, 4))) == 4


ODD = (None, 3, "x", [], 0.5, {"a": []}, np.zeros(2))


class TestArguments:
    """Each public function and class, with arguments of no sense."""

    @pytest.mark.parametrize("value", ODD, ids=repr)
    def test_of_functions(self, value):
        x = InstanceData(a=[1, 2])
        for call in (
            lambda: x.update(value),
            lambda: x.map_arrays(value),
            lambda: tree_parts(value),
            lambda: from_parts(value, []),
            lambda: InstanceData.cat(value),
            lambda: LabelData.onehot_to_label(value),
            lambda: LabelData.label_to_onehot(value, 2),
            lambda: bucket(5, value),
            lambda: x[value] if value not in (3,) else x["b"],
        ):
            if isinstance(value, np.ndarray) or value == []:
                continue
            with pytest.raises(FkitError):
                call()

    @pytest.mark.parametrize("value", [3, "x", [], [("a", 1)]], ids=repr)
    def test_metainfo(self, value):
        for call in (
            lambda: DataElement(metainfo=value),
            lambda: DataElement().with_meta(value),
            lambda: DataElement().new(metainfo=value),
        ):
            with pytest.raises(FkitTypeError, match="`metainfo` is a mapping of names to values, not"):
                call()
        with pytest.raises(FkitTypeError, match="A field's name is a str, not 3"):
            DataElement(metainfo={3: 1})

    @pytest.mark.parametrize("value", [None, 3, [], {}], ids=repr)
    def test_names(self, value):
        x = DataElement(a=1)
        with pytest.raises(FkitTypeError, match="A field's name is a str"):
            x.get(value)
        with pytest.raises(FkitError):
            x.drop(value)
        with pytest.raises(FkitError):
            x.pop(value)
        assert value not in x

    @pytest.mark.parametrize("value", [None, 3, [], 0.5, "x", "cuda:77"], ids=repr)
    def test_devices(self, library, value):
        with pytest.raises(FkitError):
            rows(library).to(value)

    def test_a_device_of_torch(self):
        torch = pytest.importorskip("torch")
        assert rows("torch").to(torch.device("cpu")) == rows("torch")

    @pytest.mark.parametrize("value", [None, "x", 0.5, ["x"], [0.5], {}, np.zeros(2), True], ids=repr)
    def test_labels(self, value):
        x = ClsDataSample()
        for call in (x.set_gt_label, x.set_pred_label):
            with pytest.raises(FkitTypeError):
                call(value)

    @pytest.mark.parametrize("value", [None, 3, "x", ["x"], {}], ids=repr)
    def test_scores(self, value):
        for call in (ClsDataSample().set_gt_score, ClsDataSample().set_pred_score):
            with pytest.raises(FkitTypeError, match="scores are an array"):
                call(value)

    def test_right_labels(self):
        x = ClsDataSample(gt_label=None).set_gt_label([1, 2]).set_gt_score([0.5, 1]).set_pred_label(np.array(3))
        assert x.gt_label.label.tolist() == [1, 2] and x.gt_label.score.tolist() == [0.5, 1]
        assert x.pred_label.label.tolist() == [3]

    @pytest.mark.parametrize("value", [None, "x", 0.5, [], -1, True], ids=repr)
    def test_classes(self, value):
        with pytest.raises(FkitError):
            LabelData.label_to_onehot(np.array([0]), value)

    def test_from_parts(self):
        _, aux = tree_parts(DataElement(a=np.zeros(1)))
        for leaves in (None, 3, [], [1, 2]):
            with pytest.raises(FkitError):
                from_parts(aux, leaves)

    @pytest.mark.parametrize("value", [{"a": 1}, frozenset((1,)), 3, None], ids=repr)
    def test_fields_without_rows(self, value):
        with pytest.raises(FkitTypeError, match=r"'a' is a .*, which has no length or cannot be indexed"):
            InstanceData(a=value)


@pytest.mark.parametrize("dtype", ["U2", "M8[s]", "O", [("x", "f4")]], ids=str)
def test_arrays_that_a_library_lacks(dtype):
    x = DataElement(a=np.zeros(2, dtype))
    for library in LIBRARIES[1:]:
        pytest.importorskip(library)
        with pytest.raises(FkitTypeError, match=rf"is none that {library} has: .*\n.*as a list or a tuple"):
            moved(x, library)
    with pytest.raises(FkitTypeError, match="`onehot` holds numbers, not"):
        LabelData.onehot_to_label(x.a)


def test_sparse_tensors_have_no_numbers_here():
    torch = pytest.importorskip("torch")
    x = DataElement(a=torch.zeros(2).to_sparse())
    for call in (x.numpy, x.to_jax, lambda: x == x):
        with pytest.raises(FkitTypeError, match="an array of torch has no numbers that numpy could hold"):
            call()
    with pytest.raises(FkitTypeError, match=r"'a' is a sparse tensor, whose rows cannot be picked.*\n.*to_dense"):
        InstanceData(a=x.a)


def test_values_that_hold_themselves_or_cannot_be_copied():
    loop: list = []
    loop.append(loop)
    for call in (lambda: DataElement(a=loop), lambda: DataElement(metainfo={"a": loop})):
        with pytest.raises(FkitValueError, match="nested too deeply, or holds itself"):
            call()
    stream = (n for n in range(1))
    with pytest.raises(FkitTypeError, match=r"a meta field is a copy, and <generator .* cannot be copied"):
        DataElement(metainfo={"a": stream})
    assert DataElement(a=stream).a is stream
    assert DataElement(metainfo={"a": memoryview(b"x")}).a == b"x"


def test_bfloat16_is_no_float32():
    jnp = pytest.importorskip("jax.numpy")
    assert DataElement(a=jnp.ones(2, jnp.bfloat16)) != DataElement(a=jnp.ones(2, jnp.float32))


def test_a_class_of_ones_own_takes_part_in_map_arrays():
    class Boxes:
        def __init__(self, corners):
            self.corners = corners

        def map_arrays(self, function):
            return Boxes(function(self.corners))

    x = DataElement(boxes=Boxes(np.zeros(2))).map_arrays(lambda a: a + 1)
    assert x.boxes.corners.tolist() == [1, 1]


class TestAnyIndex:
    """Whatever is asked of rows, all libraries give the same rows, or the same class of error."""

    @staticmethod
    def outcome(x, index):
        try:
            rows = x[index]
        except FkitError as error:
            return type(error)
        return rows.numpy()

    @given(st.data(), st.integers(0, 4))
    def test_is_the_same_to_all(self, data, n):
        pytest.importorskip("torch"), pytest.importorskip("jax")
        ints = st.integers(-n - 2, n + 2)
        parts = st.none() | ints
        odd = st.sampled_from(
            [None, 0.5, True, (0,), {}, b"a", object(), "nothing", [None], [[0]], np.zeros((2, 2), int)]
        )
        index = data.draw(
            ints
            | st.builds(slice, parts, parts, st.sampled_from([None, 0, 1, 2, -1, -2]))
            | st.lists(ints, max_size=4)
            | st.lists(st.booleans(), min_size=n, max_size=n + 1)
            | odd
        )
        if isinstance(index, list) and index and isinstance(index[0], (bool, int)):
            index = data.draw(st.sampled_from([index, np.array(index)]))
            of = data.draw(st.sampled_from(LIBRARIES))
            index = moved(DataElement(at=index), of).at
        x = InstanceData(
            a=np.arange(n, dtype=np.int32), b=[str(i) for i in range(n)], c=InstanceData(d=np.zeros(n, np.float32))
        )
        results = [self.outcome(moved(x, library), index) for library in LIBRARIES]
        assert results[0] == results[1] == results[2]
