"""DataElement: laws of set and drop, what is refused, and that nothing changes."""

import copy
import pickle
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkit.structures import DataElement, InstanceData, LabelData, PixelData
from fkit.tree.error import FkitAttributeError, FkitError, FkitTypeError, FkitValueError, FrozenError

NAMES = ("boxes", "labels", "mask", "name", "w")
names = st.sampled_from(NAMES)
values = st.one_of(
    st.integers(),
    st.text(max_size=3),
    st.just(float("nan")),
    st.lists(st.integers(), max_size=3),
    st.integers(0, 3).map(lambda n: np.arange(n, dtype=np.float32)),
)
fields = st.dictionaries(names, values, max_size=3)
metas = st.dictionaries(st.sampled_from(("img_path", "h", "scale")), values, max_size=3)
elements = st.builds(lambda data, meta: DataElement(metainfo=meta, **data), fields, metas)


class TestLaws:
    @given(elements, names, values)
    def test_what_is_set_is_there(self, element, name, value):
        assert DataElement(x=element.set(**{name: value}).get(name)) == DataElement(x=value)

    @given(elements, names, values, values)
    def test_the_last_set_wins(self, element, name, one, other):
        assert element.set(**{name: one}).set(**{name: other}) == element.set(**{name: other})

    @given(elements, fields, fields)
    def test_sets_of_different_names_commute(self, element, one, other):
        other = {name: value for name, value in other.items() if name not in one}
        assert element.set(**one).set(**other) == element.set(**other).set(**one)

    @given(elements, names, values)
    def test_drop_undoes_set(self, element, name, value):
        without = element.drop(name) if name in element else element
        assert element.set(**{name: value}).drop(name) == without

    @given(elements)
    def test_setting_what_is_there_changes_nothing(self, element):
        assert element.set(**dict(element.items())) == element
        assert element.with_meta(element.metainfo) == element

    @given(elements, fields, metas)
    def test_nothing_changes_the_element(self, element, data, meta):
        before = pickle.dumps(element.to_dict())
        element.set(**data).with_meta(meta).update(DataElement(**data))
        element.new(metainfo=meta, **data)
        for name in element.all_keys():
            element.drop(name), element.pop(name)
        assert pickle.dumps(element.to_dict()) == before

    @given(elements)
    def test_copies_are_equal(self, element):
        assert pickle.loads(pickle.dumps(element)) == element
        assert copy.copy(element) is element
        assert copy.deepcopy(element) == element
        assert type(element)(metainfo=element.metainfo, **dict(element.items())) == element

    @given(elements, elements)
    def test_update_is_set_and_with_meta(self, one, other):
        assert one.update(other) == one.set(**dict(other.items())).with_meta(other.metainfo)

    @given(elements, fields, metas)
    def test_new_replaces_one_or_the_other(self, element, data, meta):
        assert element.new(metainfo=meta) == DataElement(metainfo=meta, **dict(element.items()))
        if data:
            assert element.new(**data) == DataElement(metainfo=element.metainfo, **data)


class TestFields:
    def test_data_and_meta_are_disjoint(self):
        x = DataElement(metainfo={"h": 1}, a=2)
        with pytest.raises(FkitAttributeError, match="Cannot set 'h' to be a data field: it is already a meta field"):
            x.set(h=2)
        with pytest.raises(AttributeError, match="Cannot set 'a' to be a meta field: it is already a data field"):
            x.with_meta(a=1)
        with pytest.raises(FkitAttributeError, match="'a' to be a data field"):
            DataElement(metainfo={"a": 1}, a=2)
        assert x.drop("h").set(h=2).h == 2

    def test_frozen(self):
        x = DataElement(metainfo={"h": 1}, a=2)
        with pytest.raises(FrozenError, match=r"cannot set 'a'.*\n.*element\.set\(a=\.\.\.\)"):
            x.a = 3
        with pytest.raises(FrozenError, match=r"cannot set 'h'.*\n.*element\.with_meta\(h=\.\.\.\)"):
            x.h = 3
        with pytest.raises(FrozenError, match=r"cannot delete 'a'.*\n.*element\.drop\('a'\)"):
            del x.a
        with pytest.raises(TypeError):
            x.metainfo["h"] = 2

    def test_meta_is_copied(self):
        sizes = [1, 2]
        x = DataElement(metainfo={"sizes": sizes})
        sizes.append(3)
        assert x.sizes == [1, 2]

    def test_missing(self):
        x = DataElement(boxes=1)
        assert not hasattr(x, "boxs")
        assert x.get("boxs") is None and x.get("boxs", 3) == 3
        with pytest.raises(FkitAttributeError, match=r"'boxs' is no field.*\n.*Did you mean 'boxes'\? Fields: boxes"):
            _ = x.boxs
        with pytest.raises(KeyError, match="'boxs' is no field"):
            x.drop("boxs")
        with pytest.raises(KeyError):
            x.pop("boxs")
        assert x.pop("boxs", 7) == (x, 7)
        with pytest.raises(AttributeError, match=r"In place of mmengine's set_metainfo: with_meta"):
            x.set_metainfo({"h": 1})

    @pytest.mark.parametrize("name", ["set", "keys", "to", "metainfo", "_data"])
    def test_names_of_the_class_are_taken(self, name):
        with pytest.raises(FkitAttributeError, match=f"'{name}' is a method or property"):
            DataElement(**{name: 1}) if name != "metainfo" else DataElement().set(metainfo=1)

    def test_asking(self):
        x = DataElement(metainfo={"h": 1}, a=2, b=DataElement(c=3))
        assert x.keys() == ("a", "b") and x.values()[0] == 2 and x.metainfo_values() == (1,)
        assert x.all_items()[:2] == (("h", 1), ("a", 2)) and x.all_values()[0] == 1
        assert x.metainfo_items() == (("h", 1),)
        assert x.to_dict() == {"h": 1, "a": 2, "b": {"c": 3}}
        assert "h" in x and "c" not in x

    def test_equality(self):
        assert DataElement(a=1, b=2) == DataElement(b=2, a=1)
        assert DataElement(a=np.array([np.nan])) == DataElement(a=np.array([np.nan]))
        assert DataElement(a=np.zeros(1)) != DataElement(a=np.zeros(1, np.float32))
        assert DataElement(a=1) != DataElement(metainfo={"a": 1})
        assert DataElement(a=1) != DataElement(a=True) and DataElement(a=1) != DataElement(a=1.0)
        assert DataElement(a=[1]) != InstanceData(a=[1])
        assert DataElement() != {}

    def test_repr(self):
        x = DataElement(metainfo={"h": 4}, box=np.zeros((2, 4)), n=DataElement(a=np.arange(2)), e=DataElement())
        assert repr(x).splitlines() == [
            "<DataElement(",
            "  META INFORMATION",
            "    h: 4",
            "  DATA FIELDS",
            "    box: float64 (2, 4)",
            "    n: <DataElement(",
            "      DATA FIELDS",
            "        a: int64 (2,) [0, 1]",
            "    )>",
            "    e: <DataElement()>",
            ")>",
        ]


class Typed(DataElement):
    gt: InstanceData
    score: float | int
    label: "LabelData | None"
    any_of: list[int]


class TestTypedFields:
    def test_right(self):
        x = Typed(gt=InstanceData(a=[1]), score=1.5)
        assert x.set(score=2).score == 2 and x.set(gt=None).gt is None and x.set(label=LabelData()).label == LabelData()

    def test_wrong(self):
        with pytest.raises(FkitTypeError, match=r"Typed\.gt is a InstanceData, not a list"):
            Typed(gt=[1])
        with pytest.raises(FkitTypeError, match=r"Typed\.score is a float or int, not a str"):
            Typed().set(score="x")
        with pytest.raises(FkitTypeError, match=r"Typed\.label is a LabelData, not a InstanceData"):
            Typed().set(label=InstanceData())

    def test_declared_and_not_set(self):
        with pytest.raises(FkitAttributeError, match="'gt' is not set of this Typed"):
            _ = Typed().gt
        assert not hasattr(Typed(), "gt")

    def test_of_the_class_kept(self):
        assert type(Typed(score=1).set(score=2).drop("score").new(metainfo={"h": 1})) is Typed


class TestPixels:
    def test_two_axes_become_three(self):
        x = PixelData(seg=np.zeros((4, 6)), logits=np.zeros((3, 4, 6)))
        assert x.seg.shape == (1, 4, 6) and x.shape == (4, 6) and PixelData().shape is None

    def test_refused(self):
        with pytest.raises(FkitValueError, match=r"differ in height or width: a \(4, 6\), b \(4, 5\)"):
            PixelData(a=np.zeros((4, 6)), b=np.zeros((4, 5)))
        with pytest.raises(FkitValueError, match=r"is \(C, H, W\) or \(H, W\), not \(4,\)"):
            PixelData(a=np.zeros(4))
        with pytest.raises(FkitTypeError, match="not a list"):
            PixelData(a=[1])
        with pytest.raises(FkitTypeError, match=r"indexed by \[rows, columns\], not by 3"):
            PixelData(a=np.zeros((4, 6)))[3]
        with pytest.raises(IndexError, match="column 6 is out of range: there are 6"):
            PixelData(a=np.zeros((4, 6)))[0, 6]
        with pytest.raises(FkitTypeError, match=r"a row is an int or a slice, not 0\.5"):
            PixelData(a=np.zeros((4, 6)))[0.5, 0]

    @given(st.data())
    def test_indexing_is_numpys_with_axes_kept(self, data):
        height, width = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))
        x = PixelData(metainfo={"h": 1}, a=np.arange(height * width).reshape(1, height, width))
        row = data.draw(st.integers(-height, height - 1) | st.slices(height))
        column = data.draw(st.integers(-width, width - 1) | st.slices(width))
        expected = x.a[0][np.arange(height)[row].reshape(-1)][:, np.arange(width)[column].reshape(-1)]
        assert np.array_equal(x[row, column].a[0], expected) and x[row, column].metainfo == x.metainfo


class TestLabels:
    @given(st.integers(1, 8).flatmap(lambda k: st.tuples(st.just(k), st.sets(st.integers(0, k - 1)))))
    def test_round_trip(self, case):
        classes, chosen = case
        label = np.array(sorted(chosen), np.int64)
        onehot = LabelData.label_to_onehot(label, classes)
        assert onehot.shape == (classes,) and onehot.sum() == len(chosen)
        assert np.array_equal(LabelData.onehot_to_label(onehot), label)

    def test_refused(self):
        with pytest.raises(FkitValueError, match="the label 4 is outside of the 4 classes 0 to 3"):
            LabelData.label_to_onehot(np.array([4]), 4)
        with pytest.raises(FkitValueError, match="the label -1"):
            LabelData.label_to_onehot(np.array([-1]), 4)
        with pytest.raises(FkitTypeError, match="holds ints, not float64"):
            LabelData.label_to_onehot(np.array([0.5]), 4)
        with pytest.raises(FkitValueError, match="holds 0 and 1 only"):
            LabelData.onehot_to_label(np.array([0, 2]))
        with pytest.raises(FkitValueError, match="one axis"):
            LabelData.onehot_to_label(np.zeros((1, 2)))
        with pytest.raises(FkitTypeError, match="`label` is an array, not a list"):
            LabelData.label_to_onehot([1], 2)


def test_errors_are_of_one_family():
    for call in (lambda: DataElement(a=1).b, lambda: DataElement().drop("x"), lambda: InstanceData(a=3)):
        with pytest.raises(FkitError):
            call()


def test_meta_takes_any_mapping():
    assert DataElement(metainfo=MappingProxyType({"h": 1})).h == 1
