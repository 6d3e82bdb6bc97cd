"""Functions of torch as functions of JAX: their values, their gradients, under jit and without, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from jax.scipy.special import logsumexp

import fkit
from fkit.interop import as_jax, as_torch, jax_array, jax_tree

BOUND = {"float32": 1e-6, "float64": 1e-12}


def network(dtype="float32"):
    """A convolutional backbone of torch, and its parameters as JAX's arrays."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding=1),
        torch.nn.BatchNorm2d(4),
        torch.nn.SiLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(144, 6),
    )
    module = module.to(getattr(torch, dtype)).eval()
    with jax.enable_x64(dtype == "float64"):
        return module, jax_tree({name: p.detach() for name, p in module.named_parameters()})


def images(dtype="float32"):
    rng = np.random.default_rng(0)
    labels = np.arange(20) % 3
    return (rng.standard_normal((20, 1, 6, 6)) + labels[:, None, None, None]).astype(dtype), labels.astype(np.int32)


def loss_of(backbone):
    """A JAX head on a backbone: linear scores, cross-entropy."""

    def loss(params, x, labels):
        scores = jnp.tanh(backbone(params["backbone"], x)) @ params["head"]
        return (logsumexp(scores, axis=1) - jnp.take_along_axis(scores, labels[:, None], 1)[:, 0]).mean()

    return loss


@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize("dtype", BOUND)
def test_gradients_of_a_torch_backbone_under_a_jax_head(dtype, jit):
    module, held = network(dtype)
    x, labels = images(dtype)
    start = np.random.default_rng(1).standard_normal((6, 3)).astype(dtype)
    backbone = as_jax(lambda params, x: torch.func.functional_call(module, params, (x,)))
    with jax.enable_x64(dtype == "float64"):
        both = jax.value_and_grad(loss_of(backbone))
        value, grads = (jax.jit(both) if jit else both)(
            {"backbone": held, "head": jnp.array(start)}, jnp.array(x), jnp.array(labels)
        )
        grads = jax.tree.map(np.asarray, grads)
    head = torch.tensor(start, requires_grad=True)
    want = torch.nn.functional.cross_entropy(torch.tanh(module(torch.tensor(x))) @ head, torch.tensor(labels).long())
    want.backward()
    assert abs(float(value) - want.item()) <= BOUND[dtype] and grads["head"].dtype == dtype
    assert np.abs(grads["head"] - head.grad.numpy()).max() <= BOUND[dtype]
    for name, parameter in module.named_parameters():
        assert np.abs(grads["backbone"][name] - parameter.grad.numpy()).max() <= BOUND[dtype], name


def test_a_torch_backbone_under_a_jax_head_trains_in_one_program():
    module, held = network()
    x, labels = images()
    backbone = as_jax(lambda params, x: torch.func.functional_call(module, params, (x,)))
    params = {"backbone": held, "head": jnp.zeros((6, 3))}
    rule, loss = optax.adam(1e-2), loss_of(backbone)
    opt = rule.init(params)

    @jax.jit
    def step(params, opt):
        value, grads = jax.value_and_grad(loss)(params, x, labels)
        changes, opt = rule.update(grads, opt, params)
        return optax.apply_updates(params, changes), opt, value

    before = {name: np.array(p) for name, p in held.items()}
    losses = []
    for _ in range(25):
        params, opt, value = step(params, opt)
        losses.append(float(value))
    assert losses[-1] < 0.6 * losses[0]
    assert all(np.abs(np.asarray(params["backbone"][name]) - old).max() > 0 for name, old in before.items())
    assert all(np.array_equal(p.detach().numpy(), before[name]) for name, p in module.named_parameters())


def test_what_goes_in_shares_jaxs_memory():
    seen = []
    x = jnp.arange(100.0)
    y = as_jax(lambda x: (seen.append(x.data_ptr()), x * 2)[1])(x)
    assert seen == [x.unsafe_buffer_pointer()] and y.tolist() == (x * 2).tolist()


def test_gradients_of_gradients():
    call = as_jax(lambda x: (torch.sin(x) * x**2).sum())
    x = np.linspace(-1, 1, 5)
    with jax.enable_x64(True):
        plain = jax.grad(lambda x: jax.grad(lambda x: jax.grad(lambda x: (jnp.sin(x) * x**2).sum())(x).sum())(x).sum())
        nested = jax.grad(lambda x: jax.grad(lambda x: jax.grad(call)(x).sum())(x).sum())
        for function in (nested, jax.jit(nested)):
            assert np.abs(np.asarray(function(jnp.array(x))) - np.asarray(plain(jnp.array(x)))).max() < 1e-12


def test_complex_numbers_follow_jaxs_convention():
    z = np.array([1 + 2j, -0.5j, 3.0], np.complex64)
    got = jax.grad(as_jax(lambda z: (z.abs() ** 2 + (z**3).imag).sum()))(z)
    want = jax.grad(lambda z: (jnp.abs(z) ** 2 + (z**3).imag).sum())(z)
    assert np.abs(np.asarray(got - want)).max() < 1e-4


@pytest.mark.parametrize("jit", [True, False])
def test_trees_integers_and_several_outputs(jit):
    def function(tree, *, power, nothing=None):
        a, (b, index) = tree["a"], tree["rest"]
        return {"sum": a.pow(power).sum() + b.sum(), "best": a.argmax(), "rows": (a[index], None)}

    call = as_jax(function)
    tree = {"a": jnp.array([1.0, 3.0, 2.0]), "rest": (jnp.ones(2), jnp.array([2, 0]))}
    run = lambda tree: call(tree, power=2)  # noqa: E731
    answer = (jax.jit(run) if jit else run)(tree)
    assert float(answer["sum"]) == 16 and int(answer["best"]) == 1 and answer["best"].dtype == jnp.int32
    assert answer["rows"][0].tolist() == [2, 1] and answer["rows"][1] is None
    grad = jax.grad(lambda a: (out := run({**tree, "a": a}))["sum"] + out["rows"][0][0] * 10)
    assert (jax.jit(grad) if jit else grad)(tree["a"]).tolist() == [2, 6, 14]


def test_vmap_is_a_call_for_each():
    calls = []
    call = as_jax(lambda w, x: (calls.append(x.shape), torch.tanh(x @ w).sum())[1])
    w, x = jnp.ones((3, 2)), jnp.arange(12.0).reshape(4, 3) / 10
    got = jax.jit(jax.vmap(jax.grad(call), in_axes=(None, 0)))(w, x)
    want = jax.vmap(jax.grad(lambda w, x: jnp.tanh(x @ w).sum()), in_axes=(None, 0))(w, x)
    assert np.abs(np.asarray(got - want)).max() < 1e-6 and set(calls) == {(3,)}


def test_there_and_back():
    """A function of JAX in torch in JAX: each the other's guest."""
    call = as_jax(as_torch(lambda x: jnp.sin(x).sum()))
    assert np.abs(np.asarray(jax.grad(call)(jnp.arange(3.0)) - jnp.cos(jnp.arange(3.0)))).max() < 1e-6


def test_bfloat16_passes_jit():
    x = jnp.ones(3, jnp.bfloat16)
    assert jax.jit(as_jax(lambda x: x * 2))(x).dtype == jnp.bfloat16


def test_a_function_that_does_not_hang_on_its_arguments_has_gradient_0():
    assert jax.grad(as_jax(lambda x: torch.ones(())))(jnp.ones(3)).tolist() == [0, 0, 0]
    assert jax.grad(as_jax(lambda x, y: x.sum()), argnums=1)(jnp.ones(3), jnp.ones(2)).tolist() == [0, 0]


def test_batch_statistics_go_in_and_come_out():
    """A module in training: its buffers are an argument and a result, and have no gradient."""
    torch.manual_seed(0)
    module = torch.nn.BatchNorm1d(3)

    def normalised(params, buffers, x):
        buffers = {name: value.clone() for name, value in buffers.items()}
        return torch.func.functional_call(module, (params, buffers), (x,)), buffers

    call, x = as_jax(normalised), np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)
    params = {"weight": jnp.array([1.0, 2.0, 3.0]), "bias": jnp.zeros(3)}
    buffers = {"running_mean": jnp.zeros(3), "running_var": jnp.ones(3)}

    @jax.jit
    @jax.value_and_grad
    def loss(params, buffers, x):
        y, _ = call(params, buffers, x)
        return (y**3).sum()

    _, grads = loss(params, buffers, x)
    y, after = call(params, buffers, x)
    assert np.abs(np.asarray(after["running_mean"]) - 0.1 * x.mean(0)).max() < 1e-6
    assert np.abs(np.asarray(grads["bias"]) - 3 * (np.asarray(y) ** 2).sum(0)).max() < 1e-3
    assert buffers["running_mean"].tolist() == [0, 0, 0]


def test_shapes_that_hang_on_numbers_are_given():
    def chosen(x):
        return x[: int(x.sum())]

    x = jnp.array([1.0, 1.0, 0.0])
    assert as_jax(chosen)(x).tolist() == [1, 1]  # outside of jit nobody asks
    with pytest.raises(fkit.FkitError, match=r"chosen: run on tensors without numbers.*\n.*Give shapes="):
        jax.jit(as_jax(chosen))(x)
    for shapes in (jax.ShapeDtypeStruct((2,), np.float32), lambda x: jax.ShapeDtypeStruct((x.shape[0] - 1,), x.dtype)):
        assert jax.jit(as_jax(chosen, shapes=shapes))(x).tolist() == [1, 1]
    with pytest.raises(Exception, match=r"chosen gives torch's \(2,\) float32, and by its shapes"):
        jax.block_until_ready(jax.jit(as_jax(chosen, shapes=jax.ShapeDtypeStruct((3,), np.float32)))(x))
    with pytest.raises(fkit.FkitError, match=r"shapes: 3 is no jax.ShapeDtypeStruct"):
        jax.jit(as_jax(chosen, shapes=3))(x)


def test_integers_of_64_bits():
    big = as_jax(lambda x: torch.tensor([2**40]))
    with pytest.raises(fkit.FkitError, match="beyond 32 bits"):
        big(jnp.ones(1))
    with pytest.raises(Exception, match="beyond 32 bits"):
        jax.block_until_ready(jax.jit(big)(jnp.ones(1)))
    with jax.enable_x64(True):
        assert big(jnp.ones(1)).tolist() == jax.jit(big)(jnp.ones(1)).tolist() == [2**40]
    for function in (as_jax(lambda x: x.double()), jax.jit(as_jax(lambda x: x.double()))):
        with pytest.raises(fkit.FkitError, match=r"jax\.enable_x64"):
            function(jnp.ones(1))


def writes(x):
    x.add_(1)
    return x


def draws(x):
    return torch.nn.functional.dropout(x, 0.5)


@pytest.mark.parametrize(
    ("function", "words"), [(writes, "writes to one of its arguments"), (draws, "draws random numbers")]
)
def test_what_is_not_pure_is_refused(function, words):
    with pytest.raises(fkit.FkitError, match=f"{function.__name__} {words}"):
        as_jax(function)(jnp.ones(8))
    with pytest.raises(Exception, match=f"{function.__name__} {words}"):
        jax.block_until_ready(jax.jit(as_jax(function))(jnp.ones(8)))


def test_random_numbers_from_an_argument_are_pure():
    def dropout(x, seed):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return torch.nn.functional.dropout(x, 0.5)

    value, grad = jax.value_and_grad(lambda x: as_jax(dropout)(x, 3).sum())(jnp.ones(100))
    assert float(value) == float(grad.sum()) and set(grad.tolist()) == {0.0, 2.0}


def test_wrong_arguments_are_one_clear_error():
    with pytest.raises(fkit.FkitError, match="`function` is a function of tensors"):
        as_jax("x")
    with pytest.raises(fkit.FkitError, match="device='tpu9' is no device"):
        as_jax(lambda x: x, device="tpu9")
    with pytest.raises(fkit.FkitError, match="the function gives 3, no tensor"):
        as_jax(lambda x: 3)(jnp.ones(1))


def test_an_array_of_torch_or_numpy_may_be_given():
    assert as_jax(lambda x, y: x + y)(torch.ones(2), np.ones(2, np.float32)).tolist() == [2, 2]
    assert isinstance(as_jax(lambda x: x)(jax_array(torch.ones(2))), jax.Array)
