"""The classifier's parts: modes, shapes, losses, errors."""

from typing import Any

import numpy as np
import pytest
import torch
from frozendict import frozendict

import fkit
from fkit.structures.batch import Samples
from fkit.tree.error import FkitError, FkitValueError
from fkit.zoo.torch.classifier import GlobalAveragePooling

CONVNET = {"type": "ConvNet", "channels": (4, 8), "dropout": 0.5}
HEAD = {"type": "LinearClsHead", "num_classes": 5, "in_channels": 8}


def made(cfg: dict[str, Any]) -> Any:
    return fkit.build(cfg, fkit.registry(), "models", backend="torch")


def classifier(**changes: Any) -> Any:
    return made(
        {
            "type": "ImageClassifier",
            "backbone": CONVNET,
            "neck": {"type": "GlobalAveragePooling"},
            "head": HEAD,
            **changes,
        }
    )


def labels(*found: int) -> Samples:
    return Samples(frozendict(gt_label=torch.tensor(found, dtype=torch.int32)))


def test_modes() -> None:
    model = classifier(head={**HEAD, "cal_acc": True, "topk": (1, 3)}).eval()
    x = torch.randn(4, 1, 8, 8)
    logits = model(x)
    assert logits.shape == (4, 5)
    losses = model(x, labels(0, 1, 2, 3), mode="loss")
    want = -logits.log_softmax(1)[torch.arange(4), torch.arange(4)].mean()
    assert losses["loss"].item() == pytest.approx(want.item(), rel=1e-6)
    ranks = (-logits).argsort(1)
    top3 = 100 * np.mean([i in ranks[i, :3] for i in range(4)])
    assert losses["accuracy_top-3"].item() == pytest.approx(top3)
    assert losses["accuracy_top-1"].item() == pytest.approx(100 * np.mean([i == ranks[i, 0] for i in range(4)]))
    found = model(x, mode="predict")
    assert found["pred_label"].tolist() == logits.argmax(1).tolist()
    assert torch.allclose(found["pred_score"].sum(1), torch.ones(4))


def test_loss_weight_and_reduction() -> None:
    x, y = torch.randn(3, 1, 8, 8), labels(0, 1, 2)
    model = classifier().eval()
    twice = classifier(
        head={**HEAD, "loss": {"type": "CrossEntropyLoss", "loss_weight": 2.0, "reduction": "sum"}}
    ).eval()
    twice.load_state_dict(model.state_dict())
    assert twice(x, y, mode="loss")["loss"].item() == pytest.approx(
        6 * model(x, y, mode="loss")["loss"].item(), rel=1e-5
    )


def test_without_neck_and_head_there_are_features() -> None:
    maps = classifier(neck=None, head=None, backbone={**CONVNET, "out_indices": (0, 1)})(torch.randn(2, 1, 8, 8))
    assert [tuple(x.shape) for x in maps] == [(2, 4, 4, 4), (2, 8, 2, 2)]
    assert tuple(classifier(head=None)(torch.randn(2, 1, 8, 8))[0].shape) == (2, 8)
    assert GlobalAveragePooling(1)(torch.ones(2, 3, 4)).shape == (2, 3)


def test_names_and_the_flattened_order_of_an_mlp() -> None:
    model = made({"type": "MLP", "in_channels": 12, "hidden": (7, 6)})
    assert list(model.state_dict()) == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]
    x = torch.randn(2, 3, 2, 2)
    assert torch.equal(model(x)[0], model(x.reshape(2, 12))[0])
    net = classifier(backbone={**CONVNET, "norm_cfg": {"type": "GN", "num_groups": 2}})
    assert [name for name, _ in net.named_parameters()] == [
        "backbone.conv1.weight", "backbone.gn1.weight", "backbone.gn1.bias",
        "backbone.conv2.weight", "backbone.gn2.weight", "backbone.gn2.bias", "head.fc.weight", "head.fc.bias",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: classifier(train_cfg={"augments": []}), "train_cfg: probs = .. for 0 augmentations"),
        (lambda: classifier(data_preprocessor={"mean": 0}), "Leave data_preprocessor out"),
        (lambda: classifier()(torch.zeros(1, 1, 8, 8), mode="los"), "Did you mean 'loss'"),
        (lambda: classifier(head=None)(torch.zeros(1, 1, 8, 8), mode="loss"), "without a head has no loss"),
        (lambda: classifier()(torch.zeros(1, 1, 8, 8), mode="loss"), r"no targets\['gt_label'\]"),
        (lambda: classifier(head={**HEAD, "num_classes": 0}), "num_classes=0"),
        (
            lambda: classifier(head={**HEAD, "loss": {"type": "CrossEntropyLoss", "reduction": "none"}}),
            "Allowed: mean, sum",
        ),
        (lambda: made({"type": "GlobalAveragePooling", "dim": 4}), "dim=4"),
        (lambda: classifier(backbone={**CONVNET, "out_indices": (2,)}), "there are 2 stages"),
        (lambda: classifier(backbone={**CONVNET, "chanels": (2,)}), "Did you mean 'channels'"),
    ],
)
def test_errors(call: Any, text: str) -> None:
    with pytest.raises(FkitError, match=text):
        call()


def test_an_error_in_a_part_names_its_place() -> None:
    with pytest.raises(FkitValueError, match=r"backbone"):
        classifier(backbone={**CONVNET, "out_indices": (2,)})
