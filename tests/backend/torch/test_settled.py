"""A convolution and a batch norm at rest as one: the numbers of the two, and no map kept between them."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from fkit.backend.torch.settled import normed

_CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "stride": {"kernel_size": 3, "stride": 2, "padding": 1},
    "dilation": {"kernel_size": (3, 2), "dilation": (2, 1), "padding": (2, 1)},
    "groups": {"kernel_size": 3, "groups": 2},
    "bias": {"bias": True},
    "same": {"kernel_size": 3, "padding": "same"},
}
_STILL = ("x", "conv.weight", "norm.weight", "norm.bias", "conv.weight norm.weight norm.bias")


def layers(**options: Any) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    torch.manual_seed(0)
    options = {"kernel_size": 1, "bias": False, **options}
    conv = nn.Conv2d(4, 6, dtype=torch.float64, **options)
    norm = nn.BatchNorm2d(6, dtype=torch.float64).eval()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.0, 1.0, -2.0, 0.5, 1e-3, 3.0]))
        norm.bias.uniform_(-1, 1)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.1, 2)
    return conv, norm


def picture() -> Tensor:
    return torch.randn(2, 4, 7, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def in_turn(conv: nn.Module, norm: nn.Module, x: Tensor, relu: bool = False) -> Tensor:
    y = norm(conv(x))
    return torch.relu(y) if relu else y


def gradients(run: Any, still: str, relu: bool, **options: Any) -> tuple[Tensor, dict[str, Tensor | None]]:
    conv, norm = layers(**options)
    x = picture().requires_grad_()
    named = {"x": x, "conv.weight": conv.weight, "norm.weight": norm.weight, "norm.bias": norm.bias}
    for name in still.split():
        named[name].requires_grad_(False)
    y = run(conv, norm, x, relu)
    torch.sin(3 * y).sum().backward()
    return y.detach(), {name: one.grad for name, one in named.items()}


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize(("case", "still"), [*((name, "") for name in _CASES), *(("stride", one) for one in _STILL)])
def test_numbers_are_those_of_the_two_in_turn(case: str, still: str, relu: bool) -> None:
    (want, wanted), (got, found) = (gradients(run, still, relu, **_CASES[case]) for run in (in_turn, normed))
    assert torch.equal(got, want)
    for name, one in wanted.items():
        assert (one is None) is (found[name] is None), name
        if one is not None:
            torch.testing.assert_close(found[name], one, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("relu", [False, True])
def test_second_derivatives(relu: bool) -> None:
    conv, norm = layers(kernel_size=3, stride=2)
    parts = [picture()[:1, :, :4, :4].requires_grad_(), conv.weight, norm.weight, norm.bias]
    ones = [torch.randn_like(part) for part in parts]

    def twice(run: Any) -> tuple[Tensor, ...]:
        grads = torch.autograd.grad(run(conv, norm, parts[0], relu).pow(3).sum(), parts, create_graph=True)
        return torch.autograd.grad(sum((a * b).sum() for a, b in zip(grads, ones, strict=True)), parts)

    for got, want in zip(twice(normed), twice(in_turn), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-11, atol=1e-11)


def kept(run: Any, relu: bool) -> int:
    """How many maps of the output's size the backward pass has."""
    conv, norm = layers()
    seen: dict[int, tuple[int, ...]] = {}

    def pack(tensor: Tensor) -> Tensor:
        seen[tensor.data_ptr()] = tuple(tensor.shape)
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        y = run(conv, norm, picture(), relu)
    return sum(shape == y.shape for shape in seen.values())


def test_no_map_between_the_two_is_kept() -> None:
    assert [kept(in_turn, relu) for relu in (False, True)] == [1, 2]
    assert [kept(normed, relu) for relu in (False, True)] == [0, 1]


def test_a_norm_that_learns_its_statistics_does() -> None:
    (conv, norm), (other, twin) = layers(), layers()
    assert torch.equal(normed(conv, norm.train(), picture()), in_turn(other, twin.train(), picture()))
    assert norm.running_mean is not None
    assert twin.running_mean is not None
    assert torch.equal(norm.running_mean, twin.running_mean)
    assert not torch.equal(norm.running_mean, layers()[1].running_mean)  # type: ignore[arg-type]


def test_who_looks_at_a_layer_sees_its_map() -> None:
    conv, norm = layers()
    seen: list[Tensor] = []
    conv.register_forward_hook(lambda layer, inputs, output: seen.append(output))
    y = normed(conv, norm, picture())
    assert torch.equal(norm(seen[0]), y)


def test_half_precision_is_that_of_the_two_in_turn() -> None:
    conv, norm = (layer.float() for layer in layers())
    x = picture().float()
    with torch.autocast("cpu", torch.bfloat16):
        got, want = normed(conv, norm, x), in_turn(conv, norm, x)
    assert got.dtype == torch.bfloat16
    assert torch.equal(got, want)


@pytest.mark.parametrize("twice", [False, True])
def test_functions_of_functions(twice: bool) -> None:
    conv, norm = layers(kernel_size=3)
    x = picture()[:, :, :4, :4]

    def of(run: Any) -> Tensor:
        grad = torch.func.grad(lambda one: run(conv, norm, one[None], True).pow(2).sum())
        return torch.func.jacrev(grad)(x[0]) if twice else torch.func.vmap(grad)(x)

    torch.testing.assert_close(of(normed), of(in_turn), rtol=1e-11, atol=1e-11)
