"""Classification datasets: folders and lists, ImageNet's layout, and the forms of public sets, a small file of each."""

import gzip
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

import fkit
from fkit.data.dataset import classification_sets as sets
from fkit.data.dataset.classification import BaseClsDataset, CustomDataset, ImageNet, ImageNet21k, MultiLabelDataset
from fkit.data.dataset.wrapper import ClassBalancedDataset
from fkit.tree.error import FkitError


def filled(folder, *names, text="x"):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return str(folder)


def test_folders_of_classes(tmp_path: Path):
    root = filled(tmp_path, "dog/b.PNG", "dog/deep/a.jpg", "cat/z.jpeg", "cat/notes.txt")
    dataset = CustomDataset(data_root=root)
    assert [(Path(one["img_path"]).relative_to(root).as_posix(), one["gt_label"]) for one in dataset] == [
        ("cat/z.jpeg", 0), ("dog/b.PNG", 1), ("dog/deep/a.jpg", 1),
    ]  # fmt: skip
    assert dataset.metainfo["classes"] == ("cat", "dog") and dataset.get_cat_ids(1) == (1,)
    assert CustomDataset(data_root=root, classes=["Katze", "Hund"]).metainfo["classes"] == ("Katze", "Hund")
    assert [set(one) for one in CustomDataset(data_root=root, with_label=False)] == [{"img_path", "sample_idx"}] * 3
    with pytest.raises(FkitError, match="has 2 folders, and there are 3 classes"):
        CustomDataset(data_root=root, classes=["a", "b", "c"])
    with pytest.raises(FkitError, match="holds no images"):
        CustomDataset(data_root=root, extensions=[".tif"])
    with pytest.raises(FileNotFoundError, match="is not there"):
        CustomDataset(data_root=root, data_prefix="train")
    with pytest.raises(FkitError, match="says where the images are"):
        CustomDataset()


def test_a_list_of_names_and_labels(tmp_path: Path):
    (tmp_path / "train.txt").write_text("a b.png 1\nsub/c.png 0\n")
    (tmp_path / "names.txt").write_text("no\nyes\n")
    dataset = CustomDataset(str(tmp_path / "train.txt"), data_prefix="images", classes=str(tmp_path / "names.txt"))
    assert [(one["img_path"], one["gt_label"]) for one in dataset] == [("images/a b.png", 1), ("images/sub/c.png", 0)]
    assert list(dataset.metainfo["classes"]) == ["no", "yes"]
    (tmp_path / "train.txt").write_text("a.png 1\nb.png 2\nc.png x\nd.png\n")
    for line, said in ((2, r"line 2: a label that is none of the classes \(2 of 2 classes\)"),):
        with pytest.raises(FkitError, match=said):
            CustomDataset(str(tmp_path / "train.txt"), classes=["no", "yes"])
    (tmp_path / "a.png").write_text("x")
    with pytest.warns(
        UserWarning, match="left out: 1 x a label that is no whole number .*none of the classes .*no name and label"
    ):
        dataset = CustomDataset("train.txt", None, str(tmp_path), classes=["no", "yes"], on_error="skip")
    assert len(dataset) == 1 and sum(dataset.skipped.values()) == 3


def test_imagenet(tmp_path: Path):
    root = filled(tmp_path, "val/ILSVRC2012_val_1.JPEG", "meta/val.txt", text="ILSVRC2012_val_1.JPEG 65\n")
    dataset = fkit.build({"type": "ImageNet", "data_root": root, "split": "val"}, fkit.registry(), "datasets")
    assert dataset[0]["img_path"] == str(tmp_path / "val/ILSVRC2012_val_1.JPEG") and dataset[0]["gt_label"] == 65
    assert dataset.metainfo["classes"][65] == "sea snake" and len(dataset.metainfo["classes"]) == 1000
    old = ImageNet(data_root=root, ann_file="meta/val.txt", data_prefix="val")
    assert old[0] == dataset[0]
    filled(tmp_path, "test/x.JPEG")
    assert "gt_label" not in ImageNet(data_root=root, split="test")[0]
    with pytest.raises(FkitError, match="ImageNet: split = 'vla' is unknown"):
        ImageNet(data_root=root, split="vla")
    filled(tmp_path, "train/n1/a.jpg", "train/n2/b.jpg")
    assert ImageNet21k(data_root=root, split="train").metainfo["classes"] == ("n1", "n2")
    with pytest.raises(FkitError, match="multi_label is not offered"):
        ImageNet21k(data_root=root, multi_label=True)


def test_several_labels_and_categories_in_place_of_classes(tmp_path: Path):
    text = '{"metainfo": {"categories": [{"id": 1, "category_name": "b"}, {"id": 0, "category_name": "a"}]}, "data_list": [{"img_path": "x.png", "gt_label": [1, 0]}]}'
    file = tmp_path / "a.json"
    file.write_text(text)
    dataset = MultiLabelDataset(str(file), data_prefix="images")
    assert dataset.get_cat_ids(0) == (1, 0) and dataset.metainfo["classes"] == ("a", "b")
    assert BaseClsDataset(str(file), data_prefix="images")[0]["img_path"] == "images/x.png"


def cifar(path, count, labels, key="labels"):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.random.default_rng(len(path.name)).integers(0, 256, (count, 3072), dtype=np.uint8)
    path.write_bytes(pickle.dumps({"data": data, key: labels}, protocol=2))
    return data


def test_cifar(tmp_path: Path):
    folder = tmp_path / "cifar-10-batches-py"
    datas = [cifar(folder / f"data_batch_{number}", 2, [number, 0]) for number in range(1, 6)]
    cifar(folder / "test_batch", 1, [9])
    dataset = sets.CIFAR10(data_root=str(tmp_path))
    assert len(dataset) == 10 and [one["gt_label"] for one in dataset] == [1, 0, 2, 0, 3, 0, 4, 0, 5, 0]
    assert (dataset[4]["img"] == datas[2][0].reshape(3, 32, 32).transpose(1, 2, 0)).all() and dataset[4][
        "img_max"
    ] == 255
    test = sets.CIFAR10(data_root=str(tmp_path), split="test")
    assert len(test) == 1 and test.get_cat_ids(0) == (9,) and test.metainfo["classes"][9] == "truck"
    cifar(tmp_path / "cifar-100-python/train", 1, [99], "fine_labels")
    assert sets.CIFAR100(data_root=str(tmp_path))[0]["gt_label"] == 99
    with pytest.raises(FileNotFoundError, match=r"cifar-100-python/test is not there.\n  Get the data set from https"):
        sets.CIFAR100(data_root=str(tmp_path), split="test")
    (folder / "test_batch").write_bytes(pickle.dumps(Path))
    with pytest.raises(FkitError, match=r"test_batch: it names pathlib"):
        sets.CIFAR10(data_root=str(tmp_path), split="test")
    with pytest.raises(FkitError, match="data_root says where its files are"):
        sets.CIFAR10()


def idx(array):
    return struct.pack(f">BBBB{array.ndim}i", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize("kind", [sets.MNIST, sets.FashionMNIST])
@pytest.mark.parametrize("packed", [False, True])
def test_mnist(kind, packed, tmp_path: Path):
    images, labels = (
        np.arange(3 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(3, 28, 28),
        np.array([5, 0, 9], np.uint8),
    )
    for part, array in (("images-idx3", images), ("labels-idx1", labels)):
        data, name = idx(array), f"train-{part}-ubyte"
        (tmp_path / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(data) if packed else data)
    dataset = kind(data_root=str(tmp_path))
    assert [one["gt_label"] for one in dataset] == [5, 0, 9] and (dataset[2]["img"][..., 0] == images[2]).all()
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(images)[:-1])
    with pytest.raises(FkitError, match="it is cut off"):
        kind(data_root=str(tmp_path), split="test")


def test_cub(tmp_path: Path):
    filled(tmp_path, "images.txt", text="1 001.A/x.jpg\n2 002.B/y.jpg\n3 001.A/z.jpg\n")
    filled(tmp_path, "image_class_labels.txt", text="1 1\n2 2\n3 1\n")
    filled(tmp_path, "train_test_split.txt", text="1 0\n2 1\n3 1\n")
    train, test = (sets.CUB(data_root=str(tmp_path), split=split) for split in ("train", "test"))
    assert [(Path(one["img_path"]).name, one["gt_label"]) for one in train] == [("y.jpg", 1), ("z.jpg", 0)]
    assert [one["img_path"] for one in test] == [str(tmp_path / "images/001.A/x.jpg")] and len(
        test.metainfo["classes"]
    ) == 200
    filled(tmp_path, "train_test_split.txt", text="1 0\n")
    with pytest.raises(FkitError, match="do not list the same images"):
        sets.CUB(data_root=str(tmp_path))


def test_voc(tmp_path: Path):
    filled(tmp_path, "ImageSets/Main/trainval.txt", text="000001\n")
    row = "<object><name>{}</name><difficult>{}</difficult></object>"
    rows = row.format("dog", 0) + row.format("cat", 1) + row.format("dog", 0) + row.format("ufo", 0)
    filled(tmp_path, "Annotations/000001.xml", text=f"<annotation>{rows}</annotation>")
    dataset = sets.VOC(data_root=str(tmp_path))
    names = dataset.metainfo["classes"]
    assert dataset[0]["gt_label"] == [names.index("dog")] and dataset[0]["gt_label_difficult"] == [names.index("cat")]
    assert dataset[0]["img_path"] == str(tmp_path / "JPEGImages/000001.jpg") and dataset.get_cat_ids(0) == (
        names.index("dog"),
    )


def test_in_shop(tmp_path: Path):
    rows = [
        "a.jpg i7 train",
        "b.jpg i7 train",
        "c.jpg i9 train",
        "q.jpg i3 query",
        "g.jpg i4 gallery",
        "h.jpg i3 gallery",
    ]
    filled(
        tmp_path, "Eval/list_eval_partition.txt", text="\n".join(["6", "image_name item_id evaluation_status", *rows])
    )
    train, query, gallery = (
        sets.InShop(data_root=str(tmp_path), split=split) for split in ("train", "query", "gallery")
    )
    assert [one["gt_label"] for one in train] == [0, 0, 1] and query[0]["gt_label"] == [1]
    assert [one["img_path"] for one in gallery] == [str(tmp_path / "Img" / name) for name in ("g.jpg", "h.jpg")]


def test_balanced(tmp_path: Path):
    root = filled(tmp_path, "a/1.png", *(f"b/{number}.png" for number in range(7)))
    assert len(ClassBalancedDataset(CustomDataset(data_root=root), 0.5)) == 9


def test_a_folder_without_images_is_said(tmp_path: Path):
    root = filled(tmp_path, "dog/1.png", "cat/notes.txt", "eel/notes.txt")
    with pytest.warns(UserWarning, match=r"CustomDataset: no image of \['cat', 'eel'\] is in"):
        dataset = CustomDataset(data_prefix=root)
    assert dataset[0]["gt_label"] == 1  # an empty class keeps its number
