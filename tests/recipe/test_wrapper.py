"""Several optimizers by their keys: what each phase trains, follows and is called with; what is refused."""

from typing import Any

import pytest

import fkit
from fkit.recipe.settings import read
from fkit.recipe.wrapper import wrappers_of

SGD = {"type": "SGD", "lr": 0.1}


def _wrappers(**node: Any) -> Any:
    return read(fkit.Config({"optim_wrapper": node})).wrappers


def test_one_optimizer_is_called_main_and_trains_all() -> None:
    (pair,) = _wrappers(optimizer=SGD).items()
    name, one = pair
    assert (name, one.params, one.loss, one.mode, one.every) == ("main", "", None, "loss", 1)
    assert wrappers_of(read(fkit.Config({})).tree) == {}


def test_each_of_several_trains_what_lies_below_its_name() -> None:
    several = _wrappers(
        constructor="MultiOptimWrapperConstructor",
        critic=dict(optimizer=SGD, every=5, accumulative_counts=2),
        maker=dict(type="OptimWrapper", optimizer=SGD, params="decoder|head", mode="make", loss="loss_make"),
    )
    assert list(several) == ["critic", "maker"]
    assert several["critic"][-4:] == (r"^critic\.", None, "loss", 5) and several["critic"].accumulative_counts == 2
    assert several["maker"][-4:] == ("decoder|head", "loss_make", "make", 1)


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ({"a": {"optimizer": SGD}, "constructor": "MyConstructor"}, "constructor = 'MyConstructor' beside several"),
        ({"a": {"optimizer": SGD}, "b": {"optimizer": SGD, "evry": 2}}, "optim_wrapper.b.evry is unknown"),
        ({"a": {"optimizer": SGD}, "b": {"type": "OptimWrapper"}}, "optim_wrapper.b.optimizer is missing"),
        ({"a": {"optimizer": SGD, "every": 0}}, "optim_wrapper.a.every = 0 is not a whole number of at least 1"),
        ({"a": {"optimizer": SGD, "params": "("}}, r"optim_wrapper.a.params = '\(' is no regular expression"),
        ({"a": {"optimizer": SGD, "use_fsdp": True}}, "optim_wrapper.a.use_fsdp = True is AmpOptimWrapper's"),
        ({"a": {"optimizer": SGD}, "clip_grad": {"max_norm": 1.0}}, "clip_grad = .* stands beside several optimizers"),
        ({"a": {"optimizer": SGD}, "b": 3}, "optim_wrapper.b = 3 is not a mapping"),
        ({"type": "OptimWrapper"}, "optim_wrapper.optimizer is missing"),
    ],
)
def test_what_several_cannot_be_is_refused(node: dict[str, Any], words: str) -> None:
    with pytest.raises(fkit.FkitError, match=words):
        _wrappers(**node)


def test_a_model_computes_in_one_type() -> None:
    from fkit.recipe.wrapper import train_dtype

    settings = read(
        fkit.Config({"optim_wrapper": {"a": {"optimizer": SGD}, "b": {"type": "AmpOptimWrapper", "optimizer": SGD}}})
    )
    with pytest.raises(fkit.FkitError, match=r"optim_wrapper\.b\.type = 'AmpOptimWrapper', and another"):
        train_dtype(settings.tree, settings.wrappers)
