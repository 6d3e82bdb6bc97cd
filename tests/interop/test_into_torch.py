"""Functions of JAX as functions of torch: their values, their gradients, and how often they are compiled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax.scipy.special import logsumexp

import fkit
from fkit.interop import as_torch

BOUND = {torch.float32: 1e-6, torch.float64: 1e-12}


def head(params, x, labels, mode="loss"):
    """A small network, as JAX writes it."""
    hidden = jnp.tanh(x @ params["w1"] + params["b1"])
    scores = hidden @ params["w2"]
    if mode == "scores":
        return {"scores": scores, "best": scores.argmax(1)}
    chosen = jnp.take_along_axis(scores, labels[:, None], axis=1)[:, 0]
    return {"loss": (logsumexp(scores, axis=1) - chosen).mean(), "scores": (scores, scores.argmax(1))}


def head_in_torch(params, x, labels):
    hidden = torch.tanh(x @ params["w1"] + params["b1"])
    return torch.nn.functional.cross_entropy(hidden @ params["w2"], labels)


def inputs(dtype):
    generator = torch.Generator().manual_seed(0)
    shapes = {"w1": (8, 16), "b1": (16,), "w2": (16, 5)}
    params = {name: torch.randn(shape, generator=generator, dtype=dtype) * 0.3 for name, shape in shapes.items()}
    x = torch.randn(32, 8, generator=generator, dtype=dtype)
    return {name: p.requires_grad_() for name, p in params.items()}, x.requires_grad_(), torch.arange(32) % 5


@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize("dtype", BOUND)
def test_values_and_gradients_are_torchs(dtype, jit):
    params, x, labels = inputs(dtype)
    answer = as_torch(head, jit=jit)(params, x, labels)
    want = head_in_torch(params, x, labels)
    assert answer["loss"].dtype == dtype and answer["scores"][1].dtype in (torch.int32, torch.int64)
    assert not answer["scores"][1].requires_grad
    assert abs(answer["loss"] - want).item() < BOUND[dtype]
    leaves = [*params.values(), x]
    got, wanted = torch.autograd.grad(answer["loss"], leaves), torch.autograd.grad(want, leaves)
    for one, other in zip(got, wanted, strict=True):
        assert one.dtype == dtype and (one - other).abs().max() <= BOUND[dtype]


def test_the_second_call_compiles_nothing():
    traced = []

    def counted(params, x, labels, mode):
        traced.append(mode)
        return head(params, x, labels, mode)

    params, x, labels = inputs(torch.float32)
    call = as_torch(counted)
    for _ in range(3):
        call(params, x, labels, "loss")["loss"].backward()
    assert traced == ["loss"]
    with torch.no_grad():
        for _ in range(3):
            call(params, x, labels, "scores")
    assert traced == ["loss", "scores"]
    call(params, x[:16], labels[:16], "loss")["loss"].backward()
    assert traced == ["loss", "scores", "loss"]


def test_equal_constants_of_different_types_are_different():
    call = as_torch(lambda x, power: x**power if type(power) is int else x * 100)
    x = torch.full((2,), 3.0)
    assert [call(x, power)[0].item() for power in (1, 1.0, True, 1)] == [3, 300, 300, 3]


def test_one_network_trains_in_torch_though_half_of_it_is_jax():
    torch.manual_seed(0)
    backbone = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU())
    params, _, _ = inputs(torch.float32)
    optimizer = torch.optim.Adam([*backbone.parameters(), *params.values()], lr=0.01)
    x, labels, call, losses = torch.randn(64, 4), torch.arange(64) % 5, as_torch(head), []
    x[:, 0] = labels
    for _ in range(150):
        loss = call(params, backbone(x), labels)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_gradients_of_gradients():
    x = torch.linspace(-1, 1, 5, dtype=torch.float64, requires_grad=True)
    call = as_torch(lambda x: (jnp.sin(x) * x**2).sum())
    assert torch.autograd.gradcheck(call, (x,)) and torch.autograd.gradgradcheck(call, (x,))
    (first,) = torch.autograd.grad(call(x), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x, create_graph=True)
    (third,) = torch.autograd.grad(second.sum(), x)
    want = torch.func.vmap(torch.func.grad(torch.func.grad(torch.func.grad(lambda x: torch.sin(x) * x**2))))(x.detach())
    assert (third - want).abs().max() < 1e-12


def test_complex_numbers_follow_torchs_convention():
    z = torch.tensor([1 + 2j, -0.5j, 3.0], dtype=torch.complex128, requires_grad=True)
    (got,) = torch.autograd.grad(as_torch(lambda z: (jnp.abs(z) ** 2 + (z**3).imag).sum())(z), z)
    (want,) = torch.autograd.grad((z.abs() ** 2 + (z**3).imag).sum(), z)
    assert (got - want).abs().max() < 1e-12


def test_torchs_own_transforms():
    call = as_torch(lambda w, x: jnp.tanh(x @ w).sum())
    w, x = torch.randn(3, 2, dtype=torch.float64), torch.randn(5, 4, 3, dtype=torch.float64)
    want = torch.func.vmap(torch.func.grad(lambda w, x: torch.tanh(x @ w).sum()), in_dims=(None, 0))(w, x)
    got = torch.func.vmap(torch.func.grad(call), in_dims=(None, 0))(w, x)
    assert got.shape == (5, 3, 2) and (got - want).abs().max() < 1e-12
    assert (torch.func.grad(call)(w, x[0]) - want[0]).abs().max() < 1e-12
    values = torch.func.vmap(call, in_dims=(None, 1))(w, x)
    assert (values - torch.stack([torch.tanh(x[:, i] @ w).sum() for i in range(4)])).abs().max() < 1e-12


def test_what_goes_in_is_not_copied():
    seen = []

    def watched(x):
        seen.append(x.unsafe_buffer_pointer())
        return x + 1

    x = torch.ones(100)
    as_torch(watched, jit=False)(x)
    assert seen == [x.data_ptr()]


def test_a_constant_of_the_function_cannot_be_spoiled():
    constant = jnp.ones(3)
    for jit in (True, False):
        as_torch(lambda x: (x + 1, constant), jit=jit)(torch.ones(1))[1].fill_(7)
        assert constant.tolist() == [1, 1, 1]


def test_outputs_share_no_memory_that_torch_could_spoil():
    x = torch.ones(3, requires_grad=True)
    same, double, again = as_torch(lambda x: (x, x * 2, x))(x)
    assert len({x.data_ptr(), same.data_ptr(), double.data_ptr(), again.data_ptr()}) == 4
    (same.sum() + double.sum() + 3 * again.sum()).backward()
    assert x.grad.tolist() == [6, 6, 6]


def test_what_the_gradient_reads_is_guarded():
    """JAX's half may keep an output's or an input's memory: writing to it is torch's own error, no wrong gradient."""
    for jit in (True, False):
        x = torch.ones(3, requires_grad=True)
        y = as_torch(jnp.exp, jit=jit)(x)
        y.data_ptr()
        try:
            y.mul_(0)
            (got,) = torch.autograd.grad(y.sum(), x)
        except RuntimeError as error:
            assert "modified by an inplace operation" in str(error)
        else:
            assert got.tolist() == [0, 0, 0]
    z = torch.ones(3, requires_grad=True) * 1
    w = as_torch(lambda z: z**3)(z)
    z.mul_(5)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        w.sum().backward()


def test_only_what_needs_a_gradient_has_one():
    a, b = torch.ones(3, requires_grad=True), torch.ones(3)
    y, unused = as_torch(lambda a, b, c: (a * b * c, b * 2))(a, b, torch.tensor([1, 2, 3]))
    y.sum().backward()
    assert a.grad.tolist() == [1, 2, 3] and b.grad is None and unused.requires_grad is True
    with torch.no_grad():
        assert not as_torch(lambda a: a)(a).requires_grad


def test_integers_of_64_bits_pass_or_are_refused():
    call = as_torch(lambda i: i + 1)
    assert call(torch.tensor([5, -7])).tolist() == [6, -6] and call(torch.tensor([5])).dtype == torch.int32
    assert call(torch.zeros(0, dtype=torch.int64)).tolist() == []
    with pytest.raises(fkit.FkitError, match=r"beyond 32 bits.*\n.*enable_x64"):
        call(torch.tensor([2**40]))
    with jax.enable_x64(True):
        assert call(torch.tensor([2**40])).tolist() == [2**40 + 1]
    assert as_torch(lambda i, x: i + 1)(torch.tensor([2**40]), torch.zeros(1).double()).tolist() == [2**40 + 1]


def test_trees_of_all_kinds():
    def swap(sample, pair, *, scale, nothing=None):
        assert nothing is None
        return {"a": [pair[1] * scale, None], "b": (pair[0],), "boxes": sample.boxes + 1}

    sample = fkit.structures.DataElement(boxes=torch.zeros(2, 4), name="x")
    answer = as_torch(swap)(sample, [np.ones(3, np.float32), torch.full((3,), 2.0)], scale=3)
    assert answer["a"][0].tolist() == [6, 6, 6] and answer["a"][1] is None and isinstance(answer["b"], tuple)
    assert answer["boxes"].shape == (2, 4) and as_torch(dict)() == {}


def test_views_are_copied_and_have_gradients():
    x = torch.randn(4, 6, requires_grad=True)
    y = as_torch(lambda a, b, c: (a * 2).sum() + b.sum() + c.sum())(x[:, ::2], x.T, x[1:])
    y.backward()
    want = torch.ones(4, 6)
    want[:, ::2] += 2
    want[1:] += 1
    assert torch.equal(x.grad, want)


def test_wrong_arguments_are_one_clear_error():
    with pytest.raises(fkit.FkitError, match="`function` is a function of JAX arrays"):
        as_torch(3)
    with pytest.raises(fkit.FkitError, match="neither an array nor a constant"):
        as_torch(lambda x, y: x)(torch.ones(1), {1, 2})


def test_an_error_of_the_function_is_its_own():
    def broken(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        as_torch(broken)(torch.ones(1, requires_grad=True))
