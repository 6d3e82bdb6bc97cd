"""What enters a structure is frozen, and the caller's own values stay the caller's."""

import copy
import pickle
from collections import deque, namedtuple
from types import MappingProxyType

import numpy as np
import pytest
from frozendict import frozendict
from hypothesis import given
from hypothesis import strategies as st

from fkit.structures import Batch, DataElement, InstanceData, PixelData, from_parts, tree_parts
from fkit.structures.freeze import freeze, thaw
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError, FrozenError

Point = namedtuple("Point", "x y")
leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=2)
trees = st.recursive(
    leaves,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=2), below, max_size=3),
    max_leaves=8,
)


def scribble(value):
    """Change every list and dict of a tree."""
    if isinstance(value, list):
        for item in value:
            scribble(item)
        value.append("scribbled")
    elif isinstance(value, dict):
        for item in value.values():
            scribble(item)
        value["scribbled"] = True


class TestLists:
    @given(trees)
    def test_what_the_caller_changes_changes_no_element(self, tree):
        as_it_was = copy.deepcopy(tree)
        x = DataElement(metainfo={"m": tree}, a=tree)
        scribble(tree)
        assert x.to_dict() == {"m": as_it_was, "a": as_it_was}
        scribble(x.to_dict())
        assert x.to_dict() == {"m": as_it_was, "a": as_it_was}

    @given(trees)
    def test_thaw_undoes_freeze(self, tree):
        assert thaw(freeze(tree)) == tree and freeze(freeze(tree)) == freeze(tree)

    def test_nothing_in_an_element_changes(self):
        x = InstanceData(metainfo={"sizes": [1, {"a": [2]}]}, names=["a", "b"], polygons=[[np.zeros(4)], []])
        for change in (
            lambda: x.names.append("c"),
            lambda: x.sizes.append(3),
            lambda: x.sizes[1].update(b=1),
            lambda: x.sizes[1]["a"].append(1),
            lambda: x.polygons[0].append(1),
            lambda: x.polygons[0][0].fill(1),
            lambda: x[:1].names.append("c"),
            lambda: x[[1]].names.append("c"),
            lambda: InstanceData.cat([x, x]).names.append("c"),
            lambda: x.pad(4).names.append("c"),
        ):
            with pytest.raises((TypeError, AttributeError, ValueError)):
                change()
        for change in (
            lambda names: names.append("c"),
            lambda names: names.sort(),
            lambda names: names.__setitem__(0, "c"),
            lambda names: names.__delitem__(0),
            lambda names: names.__iadd__(["c"]),
            lambda names: names.__init__(["c"]),
        ):
            with pytest.raises(FrozenError, match=r"list of a field is frozen.*\n  list\(field\) is a fresh one"):
                change(x.names)
        assert x.names == ["a", "b"] and x.sizes == [1, {"a": [2]}] and isinstance(x.names, list)

    def test_other_containers(self):
        x = DataElement(s={1}, b=bytearray(b"a"), d=deque([1]), t=Point([1], 2), m=MappingProxyType({}), n=(1,))
        assert x.s == frozenset({1}) and type(x.s) is frozenset
        assert x.b == b"a" and type(x.b) is bytes and x.d == [1] and x.n == (1,)
        assert type(x.t) is Point and x.t.x == [1] and type(x.t.x) is not list

    def test_a_frozen_value_is_shared(self):
        meta = frozendict(a=frozendict(b=(1, "x")))
        assert freeze(meta) is meta
        names = DataElement(names=["a"]).names
        assert DataElement(names=names).names is names and copy.copy(names) is names
        assert names.copy() == ["a"] and type(names.copy()) is list
        for again in (pickle.loads(pickle.dumps(names)), copy.deepcopy(names)):
            assert again == names and type(again) is type(names)


class TestArrays:
    def test_a_read_only_view_of_the_callers_memory(self):
        boxes = np.zeros((2, 4))
        x = InstanceData(boxes=boxes)
        assert boxes.flags.writeable and not x.boxes.flags.writeable and np.shares_memory(x.boxes, boxes)
        with pytest.raises(ValueError, match="read-only"):
            x.boxes[0] = 1
        boxes[0] = 1  # the caller's own
        assert InstanceData(boxes=x.boxes).boxes is x.boxes

    def test_meta_is_a_copy(self):
        mean = np.zeros(3)
        x = DataElement(metainfo={"img_norm_cfg": {"mean": mean}})
        mean[0] = 1
        assert x.img_norm_cfg["mean"].tolist() == [0, 0, 0] and not x.img_norm_cfg["mean"].flags.writeable

    def test_every_way_to_an_element(self):
        x = InstanceData(a=np.arange(4), p=np.zeros((4, 2)))
        leaves, aux = tree_parts(x)
        for other in (
            x[[0, 2]],
            x[1:],
            x[np.array([True, False, True, False])],
            InstanceData.cat([x, x]),
            x.pad(6),
            x.map_arrays(lambda a: a + 1),
            from_parts(aux, [leaf + 1 for leaf in leaves]),
            pickle.loads(pickle.dumps(x)),
            copy.deepcopy(x),
            x.new(a=np.arange(2)),
        ):
            assert [name for name, value in other.items() if value.flags.writeable] == []
        assert not PixelData(seg=np.zeros((2, 3)))[0, 1:].seg.flags.writeable

    def test_to_torch_gives_memory_of_its_own(self):
        pytest.importorskip("torch")
        x = DataElement(a=np.zeros(2))
        x.to_torch().a[0] = 1.0
        assert x.a.tolist() == [0, 0]


class TestReading:
    def test_fields_are_attributes_of_the_instance(self):
        class Slow(DataElement):
            def __getattr__(self, name):
                raise AssertionError(f"{name} was not found the fast way")

        x = Slow(metainfo={"h": 1}, a=2)
        assert (x.a, x.h, x.set(a=3).a, x.with_meta(h=4).h) == (2, 1, 3, 4)

    def test_vars_is_a_copy(self):
        x = DataElement(metainfo={"h": 1}, a=2)
        vars(x)["a"] = 3
        assert x.a == 2 and vars(x) == {"a": 2, "h": 1} and {"a", "h", "set"} <= set(dir(x))

    def test_backing_fields_of_properties_are_no_keys(self):
        class Boxed(DataElement):
            @property
            def boxes(self):
                return self._boxes

        x = Boxed(_boxes=[1], n=2)
        assert x.boxes == [1] and x.keys() == ("n",) and x.items() == (("n", 2),) and x.values() == (2,)
        assert x.all_keys() == ("n",) and "_boxes" in x

    @pytest.mark.parametrize(
        ("name", "instead"),
        [
            ("set_metainfo", r"with_meta\(name=value\)"),
            ("set_field", r"set\(name=value\)"),
            ("set_data", r"set\(name=value\)"),
            ("to_tensor", r"to_torch\(\)"),
            ("clone", "the element itself"),
            ("npu", r"to\('npu'\)"),
        ],
    )
    def test_mmengines_names_say_what_to_write(self, name, instead):
        with pytest.raises(AttributeError, match=f"In place of mmengine's {name}: {instead}"):
            getattr(InstanceData(a=[1]), name)

    def test_assigning_says_what_to_write(self):
        x = PixelData(data=np.zeros((2, 3)))
        with pytest.raises(FkitError, match=r"PixelData is frozen: cannot set 'data'.*\n.*element\.set\(data=\.\.\.\)"):
            x.data = np.ones((2, 3))

    def test_unhashable(self):
        with pytest.raises(TypeError, match="unhashable"):
            hash(DataElement(a=1))


class TestDeclared:
    def test_a_default_is_refused(self):
        with pytest.raises(FkitTypeError, match=r"Mine\.gt has a default.*\n.*Mine\(gt=\.\.\.\)"):

            class Mine(DataElement):
                gt: list = None

    def test_an_annotation_that_is_not_there(self):
        with pytest.raises(FkitTypeError, match="Mine: the annotation of a field names 'Nowhere'"):

            class Mine(DataElement):
                gt: "Nowhere"  # noqa: F821


class TestBatch:
    def test_mappings_are_frozen(self):
        targets, valid, meta = {"gt_label": np.zeros(2), "inner": {"a": 1}}, {"gt_label": np.ones(2, bool)}, [{"i": 0}]
        batch = Batch({"img": np.zeros((2, 3))}, targets, valid, meta)
        targets["more"] = valid["more"] = 1
        targets["inner"]["a"] = 2
        meta.append({})
        assert list(batch.targets) == ["gt_label", "inner"] and batch.targets["inner"]["a"] == 1
        assert list(batch.valid) == ["gt_label"] and batch.meta == ({"i": 0},)
        for mapping in (batch.inputs, batch.targets, batch.valid, batch.meta[0], batch.targets["inner"]):
            with pytest.raises(TypeError):
                mapping["x"] = 1
        assert Batch(0, batch.targets).targets is batch.targets

    def test_length(self):
        assert len(Batch(np.zeros((2, 3)))) == len(Batch({"a": {"b": np.zeros((2, 3))}})) == 2
        with pytest.raises(FkitValueError, match="the batch has no inputs"):
            len(Batch({}))
        for inputs in (None, 3, "x", [np.zeros(2)], np.zeros(())):
            with pytest.raises(FkitTypeError, match="no first axis to count"):
                len(Batch(inputs))

    @pytest.mark.parametrize("value", ["x", [], (1,), np.zeros(2)])
    def test_refused(self, value):
        for name in ("targets", "valid"):
            with pytest.raises(FkitTypeError, match=f"`{name}` of a batch is a mapping"):
                Batch(0, **{name: value})
        with pytest.raises(FkitTypeError, match="`meta` of a batch"):
            Batch(0, meta="x")
        with pytest.raises(FkitTypeError, match="one mapping a sample, not 3"):
            Batch(0, meta=[3])

    def test_equal_by_content(self):
        def make(n=0.0):
            return Batch(np.full((2, 1), n), {"a": np.array([np.nan])}, meta=({"i": [1]},))

        assert make() == make() == pickle.loads(pickle.dumps(make())) == copy.deepcopy(make())
        assert make() != make(1.0) and make() != 3
        with pytest.raises(TypeError, match="unhashable"):
            hash(make())

    def test_as_a_pytree_it_holds_anything(self):
        jax = pytest.importorskip("jax")
        from fkit.array import room

        room.open("jax")
        batch = Batch(np.zeros((2, 1)), {"a": np.ones(2)})
        assert jax.tree.map(lambda a: a + 1, batch) == Batch(np.ones((2, 1)), {"a": np.full(2, 2.0)})
        _, kind = jax.tree.flatten(batch, is_leaf=lambda node: isinstance(node, frozendict))
        assert jax.tree.unflatten(kind, [1, [2], "x"]).targets == [2]
        axes = Batch(0, 0)
        assert jax.vmap(lambda one: one.targets["a"] * 2, in_axes=(axes,))(batch).tolist() == [2, 2]
