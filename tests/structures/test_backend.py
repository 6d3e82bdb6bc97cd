"""Structures on torch and on JAX: exchange, indexing, padding, and as pytrees."""

import numpy as np
import pytest

from fkit.array import room
from fkit.structures import (
    PYTREES,
    DataElement,
    DetDataSample,
    InstanceData,
    LabelData,
    PixelData,
    from_parts,
    tree_parts,
)
from fkit.tree.error import FkitIndexError, FkitValueError

BACKENDS = ("torch", "jax")


def sample() -> DetDataSample:
    return DetDataSample(
        metainfo={"img_shape": (4, 6), "scale": [1.0, 2.0]},
        gt_instances=InstanceData(
            bboxes=np.arange(12, dtype=np.float32).reshape(3, 4),
            labels=np.array([2, 0, 1], np.int32),
            names=["a", "b", "c"],
        ),
        gt_sem_seg=PixelData(sem_seg=np.ones((4, 6), np.uint8)),
        note="x",
    )


@pytest.fixture(params=BACKENDS)
def name(request):
    pytest.importorskip(request.param)
    return request.param


def moved(element, name):
    return element.to_torch() if name == "torch" else element.to_jax()


class TestExchange:
    def test_there_and_back(self, name):
        there = moved(sample(), name)
        assert there != sample() and there.gt_instances.names == ["a", "b", "c"]
        assert there.numpy() == sample()
        assert there.to("cpu").cpu().numpy() == sample()

    def test_from_one_to_the_other(self):
        for package in BACKENDS:
            pytest.importorskip(package)
        assert sample().to_torch().to_jax().to_torch().numpy() == sample()

    def test_numpy_stays_on_the_host(self):
        assert sample().to("cpu") == sample()
        with pytest.raises(FkitValueError, match=r"a numpy array is on the host and cannot go to 'cuda'.*\n.*to_torch"):
            sample().cuda()

    def test_detach(self):
        torch = pytest.importorskip("torch")
        x = DataElement(a=torch.ones(2, requires_grad=True) * 2, b=np.ones(1))
        assert not x.detach().a.requires_grad and x.a.requires_grad


class TestRows:
    def test_indices_of_any_library(self, name):
        there, rows = moved(sample(), name).gt_instances, [2, 0]
        mask = np.array([True, False, True])
        own = moved(DataElement(rows=np.array(rows), mask=mask), name)
        for index in (rows, np.array(rows), own.rows):
            assert there[index].numpy() == sample().gt_instances[rows]
        for index in (mask, mask.tolist(), own.mask):
            assert there[index].numpy() == sample().gt_instances[mask]
        for index in (slice(None, None, -1), slice(1, None), 1, -1):
            assert there[index].numpy() == sample().gt_instances[index]
        assert sample().gt_instances[own.rows] == sample().gt_instances[rows]
        with pytest.raises(FkitIndexError):
            there[3]

    def test_cat_and_padding(self, name):
        there = moved(sample(), name).gt_instances
        both = InstanceData.cat([there, there])
        assert both.numpy() == InstanceData.cat([sample().gt_instances] * 2)
        padded = both.pad(8, fill={"labels": -1})
        assert padded.numpy() == InstanceData.cat([sample().gt_instances] * 2).pad(8, fill={"labels": -1})
        assert type(padded.valid) is type(padded.labels)
        assert padded.unpad() == both

    def test_gradients_pass_through_cat_and_pad(self):
        torch = pytest.importorskip("torch")
        scores = torch.ones(3, requires_grad=True)
        x = InstanceData(scores=scores)
        InstanceData.cat([x[[0, 2]], x]).pad(8).scores.sum().backward()
        assert scores.grad.tolist() == [2.0, 1.0, 2.0]

    def test_labels(self, name):
        label = moved(DataElement(label=np.array([0, 2])), name).label
        onehot = LabelData.label_to_onehot(label, 4)
        assert type(onehot) is type(label) and onehot.tolist() == [1, 0, 1, 0]
        assert LabelData.onehot_to_label(onehot).tolist() == [0, 2]

    def test_repr(self, name):
        assert f"labels: int32 (3,) {name}:cpu [2, 0, 1]" in repr(moved(sample(), name))


class TestParts:
    def test_arrays_are_leaves_and_the_rest_is_not(self):
        leaves, aux = tree_parts(sample())
        assert aux.names == ("gt_instances", "gt_sem_seg") and leaves[0] == sample().gt_instances
        inner, kind = tree_parts(leaves[0])
        assert kind.names == ("bboxes", "labels") and inner[1].tolist() == [2, 0, 1]
        assert from_parts(aux, leaves) == sample()

    def test_auxiliary_data_is_compared_by_content(self):
        one, other = tree_parts(sample())[1], tree_parts(sample())[1]
        assert one == other and hash(one) == hash(other)
        for changed in (sample().with_meta(scale=[1.0, 3.0]), sample().set(note="y"), sample().drop("note")):
            assert tree_parts(changed)[1] != one
        reordered = DataElement(b=np.ones(1), a="x", metainfo={"m": np.ones(2)})
        ordered = DataElement(a="x", b=np.zeros(3), metainfo={"m": np.ones(2)})
        assert tree_parts(reordered)[1] == tree_parts(ordered)[1]
        assert tree_parts(reordered)[1] != tree_parts(ordered.with_meta(m=np.ones(2, int)))[1]

    def test_leaves_may_be_anything(self):
        _, aux = tree_parts(sample().gt_instances)
        marked = from_parts(aux, [0, None])
        assert tree_parts(marked)[0] == (0, None) and tree_parts(marked)[1] == aux


class TestJax:
    @pytest.fixture
    def jax(self):
        jax = pytest.importorskip("jax")
        room.open("jax")
        return jax

    def test_tree_map(self, jax):
        doubled = jax.tree.map(lambda a: a * 2, sample())
        assert doubled == sample().map_arrays(lambda a: a * 2) and isinstance(doubled, DetDataSample)
        assert len(jax.tree.leaves(sample())) == 3

    def test_jit(self, jax):
        traced = []

        @jax.jit
        def step(x):
            traced.append(1)
            return x.set(gt_instances=x.gt_instances[1:].pad(4)).with_meta(done=True)

        result = step(sample())
        expected = sample().set(gt_instances=sample().gt_instances[1:].pad(4)).with_meta(done=True)
        assert result.numpy() == expected
        step(sample())
        assert len(traced) == 1  # the same content is no new program
        step(sample().with_meta(scale=[9.0]))
        assert len(traced) == 2

    def test_vmap_and_grad(self, jax):
        x = sample().gt_instances
        assert jax.vmap(lambda row: row.bboxes.sum())(x).tolist() == x.bboxes.sum(1).tolist()
        axes = jax.tree.map(lambda _: 0, x)
        assert jax.vmap(lambda row: row.labels, in_axes=(axes,))(x).tolist() == [2, 0, 1]
        x = InstanceData(scores=np.array([1.0, 2.0], np.float32))
        assert jax.grad(lambda x: (x.scores**2).sum())(x).scores.tolist() == [2.0, 4.0]


class TestTorch:
    def test_pytree_functions(self):
        torch = pytest.importorskip("torch")
        pytree = pytest.importorskip("torch.utils._pytree")
        room.open("torch")
        x = sample().to_torch()
        doubled = pytree.tree_map_only(torch.Tensor, lambda a: a * 2, x)
        assert doubled.numpy() == sample().map_arrays(lambda a: a * 2)
        leaves, spec = pytree.tree_flatten(x)
        assert len(leaves) == 3 and pytree.tree_unflatten(leaves, spec) == x

    def test_vmap(self):
        torch = pytest.importorskip("torch")
        room.open("torch")
        x = sample().gt_instances.to_torch().drop("names")
        assert torch.func.vmap(lambda row: row.bboxes.sum())(x).tolist() == sample().gt_instances.bboxes.sum(1).tolist()


def test_a_class_of_ones_own_is_one_registration():
    jax = pytest.importorskip("jax")

    class Mine(InstanceData):
        """Registered as the rooms register the kit's own."""

    jax.tree_util.register_pytree_node(Mine, tree_parts, from_parts)
    assert jax.tree.map(lambda a: a + 1, Mine(a=np.zeros(2))) == Mine(a=np.ones(2))


def test_every_class_is_among_the_pytrees():
    import fkit.structures as structures

    classes = {
        value for value in vars(structures).values() if isinstance(value, type) and issubclass(value, DataElement)
    }
    assert classes == set(PYTREES)
