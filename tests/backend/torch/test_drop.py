"""Random layers: masks of the run's own bits, by key, call and place; their scale; recomputation."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import fkit
from fkit.array.ops import Host, Numpy
from fkit.array.random import call_key, fold, keep_elements, keep_samples, key, tag
from fkit.array.room import open as open_room
from fkit.backend.torch.drop import Draws, Dropout, DropPath, RandomLayer
from fkit.training.optimizer import Optimizer
from fkit.training.spec import Phase, Spec
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError

WORDS = key(3, "x")


def seated(layer: RandomLayer, rank: int = 0) -> RandomLayer:
    layer.words, layer.calls, layer.rank = WORDS, 0, rank
    return layer


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
def test_a_mask_is_numpy_s_at_every_call(rate: float) -> None:
    layer, x = seated(Dropout(rate)), torch.rand(3, 4, 5, dtype=torch.float64) + 1
    for call in range(3):
        kept = keep_elements(Numpy(), call_key(Host(), WORDS, call), rate, (3, 4, 5))
        np.testing.assert_allclose(layer(x).numpy(), np.where(kept, x.numpy() / (1 - rate), 0), rtol=1e-14)


def test_the_key_may_be_a_tensor() -> None:
    layer = Dropout(0.5)
    layer.key = torch.from_numpy(np.array(WORDS, np.uint32).view(np.int32))
    x = torch.ones(40, 5)
    assert torch.equal(torch.stack([layer(x), layer(x)]), torch.stack([seated(layer)(x), layer(x)]))


@pytest.mark.parametrize("make", [Dropout, DropPath])
def test_parts_of_a_batch_draw_what_the_whole_draws(make: Any) -> None:
    x = torch.rand(64, 3, 40, 30)  # beyond what is made in one block
    whole = seated(make(0.25))(x)
    parts = [seated(make(0.25), rank)(x[16 * rank : 16 * rank + 16]) for rank in range(4)]
    assert torch.equal(torch.cat(parts), whole)
    assert not torch.equal(whole[:16] == 0, whole[16:32] == 0)


def test_a_mask_made_in_blocks_is_numpy_s_too() -> None:
    shape = (3, 40, 30, 20)
    kept = seated(Dropout(0.25), 5)(torch.ones(shape)) != 0
    assert (kept.numpy() == keep_elements(Numpy(), call_key(Host(), WORDS, 0), 0.25, shape, 15)).all()


def test_stochastic_depth_drops_samples() -> None:
    x = torch.rand(50, 3, 2) + 1
    kept = keep_samples(Numpy(), call_key(Host(), WORDS, 0), 0.4, 50)
    np.testing.assert_allclose(seated(DropPath(0.4))(x), np.where(kept[:, None, None], x / 0.6, 0), rtol=1e-6)
    layer = DropPath(0.4)
    layer.masks = "backend"
    y = layer(x)
    gone = (y == 0).flatten(1)
    assert (gone.all(1) == gone.any(1)).all() and 5 < gone.any(1).sum() < 40
    torch.testing.assert_close(y[~gone.any(1)], x[~gone.any(1)] / 0.6)


@pytest.mark.parametrize("make", [Dropout, DropPath])
def test_the_scale_is_not_rounded_in_half_precision(make: Any) -> None:
    """1 / 0.9 in bfloat16 is off by 0.2 %: multiplying by it moves an element in eight to its neighbour or beyond."""
    x = torch.linspace(0.5, 4, 999).repeat(4, 1).bfloat16().requires_grad_()
    y = seated(make(0.1))(x)
    (grad,) = torch.autograd.grad(y.sum(), x)
    exact = (x.double() * (1 / 0.9)).bfloat16()
    assert torch.equal(y[y != 0], exact[y != 0])
    assert torch.equal(grad[grad != 0], torch.full_like(grad, 1 / 0.9)[grad != 0])
    assert y.dtype == torch.bfloat16


def test_layers_rest_in_evaluation_and_at_rate_zero() -> None:
    x = torch.rand(7, 2)
    for make in (Dropout, DropPath):
        assert make(0.5).eval()(x) is x and make(0.0)(x) is x
        assert not make(0.5).state_dict()
        with pytest.raises(FkitValueError, match=r"rate lies in \[0, 1\), found 1"):
            make(1)
        with pytest.raises(FkitTypeError, match="rate = 'half' is text"):
            make("half")


def test_the_layout_of_images_does_not_count() -> None:
    x = torch.rand(4, 3, 5, 6)
    plain, last = (seated(Dropout(0.5))(image) for image in (x, x.to(memory_format=torch.channels_last)))
    assert torch.equal(plain, last) and last.is_contiguous(memory_format=torch.channels_last)


class Twice(nn.Module):
    """One layer called twice; a second, inside a block that the backward pass may compute again."""

    def __init__(self, again: bool = False, shared: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(6))
        self.drop = Dropout(0.5)
        self.inner = self.drop if shared else nn.Sequential(DropPath(0.3), Dropout(0.5))
        self.again = again

    def forward(self, inputs: Tensor, samples: Any = None, mode: str = "tensor") -> Any:
        one, two = self.drop(inputs), self.drop(inputs)
        x = (one + two) * self.weight

        def block(x: Tensor) -> Tensor:
            return self.inner(x * self.weight).sin() * self.weight

        x = checkpoint(block, x, use_reentrant=False) if self.again else block(x)
        masks = {"one": (one != 0).float(), "two": (two != 0).float()}
        places = 2.0 ** torch.arange(inputs.numel()).view(inputs.shape)
        return {"loss": x.sum(), **{name: (mask.double() * places).sum() for name, mask in masks.items()}}


def program(model: Any, **changes: Any) -> Any:
    optimizers = changes.pop("optimizers", {"main": Optimizer.of("SGD", {"lr": 0.1})})
    return open_room("torch").program(Spec(lambda _: model(), optimizers, device="cpu", dtype="float64", **changes))


BATCH = fkit.Batch(np.ones((4, 6)))


def drawn(words: tuple[int, int], path: str, call: int) -> float:
    kept = keep_elements(Numpy(), call_key(Host(), fold(Host(), words, tag(path)), call), 0.5, (4, 6))
    return float((kept.ravel() * 2.0 ** np.arange(24)).sum())


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.filterwarnings("ignore")  # torch's compiler warns of torch's own code
def test_a_step_s_calls_and_phases_draw_for_themselves(compile: bool) -> None:
    phases = (Phase(name="left"), Phase(name="right"))
    made = program(Twice, phases=phases, compile=compile)
    state = made.init(7)
    for step in range(2):
        state, logs = made.train_step(state, BATCH, made.hyperparams())
        for number, phase in enumerate(phases):
            words = fold(Host(), fold(Host(), key(7, "train"), step), number)
            for call, name in enumerate(("one", "two")):
                assert float(logs[f"{phase.name}/{name}"]) == drawn(words, "drop", call)


def test_a_recomputed_block_draws_what_it_drew() -> None:
    ends = []
    for again in (False, True):
        made = program(lambda again=again: Twice(again))
        state = made.init(1)
        for _ in range(3):
            state, _ = made.train_step(state, BATCH, made.hyperparams())
        ends.append(made.collect(state)["params/weight"])
    assert ends[0].tobytes() == ends[1].tobytes()


def test_a_layer_of_many_calls_cannot_be_recomputed() -> None:
    made = program(lambda: Twice(again=True, shared=True))
    with pytest.raises(FkitError, match=r"a Dropout that a step calls 3 times is computed again in the backward pass"):
        made.train_step(made.init(0), BATCH, made.hyperparams())


def test_a_sampler_draws_by_the_key_of_its_call_and_the_places_of_its_images() -> None:
    layer, x = Draws(), torch.zeros(2, 3)
    layer.words, layer.calls, layer.rank = WORDS, 0, 2
    for call in range(2):
        of, places = layer(x)
        assert of == call_key(Host(), WORDS, call)
        assert places.tolist() == [4, 5]
    assert layer.eval()(x)[0] == (0, 0)
