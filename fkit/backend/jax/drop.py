"""Random layers whose draws are the run's own, equal on every backend: dropout and stochastic depth."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.array.random import call_key, keep_elements, keep_samples
from fkit.backbone.brick import dropout_of
from fkit.backend.jax.ops import JaxOps
from fkit.tree.check import expect_number
from fkit.tree.error import FkitValueError

__all__ = ["Draws", "DropPath", "Dropout", "Dropout2d", "RandomLayer", "drop_layer"]

Array = jax.Array


class RandomLayer(nn.Module):
    """A layer that draws the run's own bits: the same on torch and JAX, and on any number of devices.

    The engine supplies the collection ``random`` with this layer's key in a phase of a step; a call draws from
    ``call_key(key, how often the layer was called before in this pass)``, and an element by its sample's place in the
    whole batch: under a jit over many devices arrays are global, so the place is the row. Without the collection the
    bits come from flax's ``dropout`` generator.

    Attributes:
        rate: the share of what becomes 0, in [0, 1); what is kept is scaled by ``1 / (1 - rate)``, in float32 at least.
    """

    rate: float = 0.5
    what: ClassVar[str] = "random"

    def __post_init__(self) -> None:
        expect_number(self.rate, f"a {self.what} rate")
        if not 0 <= self.rate < 1:
            raise FkitValueError(f"a {self.what} rate lies in [0, 1), found {self.rate}.")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        if self.is_initializing():
            self.variable("random", "key", jnp.zeros, (2,), jnp.uint32)
        if not train or self.rate == 0.0 or self.is_initializing():
            return x
        if self.has_variable("random", "key"):
            mask = self.kept(self._call_key(), x.shape)
        else:
            mask = jax.random.bernoulli(self.make_rng("dropout"), 1.0 - self.rate, self.drawn(x.shape))
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        return jnp.where(mask, wide * (1.0 / (1.0 - self.rate)), 0.0).astype(x.dtype)

    def drawn(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the mask for an activation of ``shape``."""
        raise NotImplementedError

    def kept(self, key: Any, shape: tuple[int, ...]) -> Array:
        """The mask for an activation of ``shape`` that the key of a call decides."""
        raise NotImplementedError

    def _call_key(self) -> Any:
        # flax's own counters of random draws, one a layer and pass: its lifted transforms (remat, scan) carry them
        scope: Any = self.scope
        call = scope.rng_counters.get("random", 0)
        scope.rng_counters["random"] = call + 1
        words = self.get_variable("random", "key")
        return call_key(JaxOps(), (words[0], words[1]), call)


class Dropout(RandomLayer):
    """Element-wise dropout (Srivastava et al. 2014); element i of the activation in torch's layout has place i.

    Activations of four axes or more are channels last here, and counted channels first: (N, C, H, W).

    Example:
        >>> Dropout(0.5).apply({}, jnp.ones(3)).tolist()
        [1.0, 1.0, 1.0]
    """

    what: ClassVar[str] = "dropout"

    def drawn(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    def kept(self, key: Any, shape: tuple[int, ...]) -> Array:
        if len(shape) < 4:
            return keep_elements(JaxOps(), key, self.rate, shape)
        first = (shape[0], shape[-1], *shape[1:-1])
        return jnp.moveaxis(keep_elements(JaxOps(), key, self.rate, first), 1, -1)


class Dropout2d(RandomLayer):
    """Dropout of whole channels of maps (N, H, W, C) (Tompson et al. 2015).

    Example:
        >>> Dropout2d(0.5).apply({}, jnp.ones((1, 1, 2, 1)))[0, 0, :, 0].tolist()
        [1.0, 1.0]
    """

    what: ClassVar[str] = "dropout"

    def drawn(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (shape[0], 1, 1, shape[-1])

    def kept(self, key: Any, shape: tuple[int, ...]) -> Array:
        return keep_elements(JaxOps(), key, self.rate, (shape[0], shape[-1])).reshape(self.drawn(shape))


class DropPath(RandomLayer):
    """Stochastic depth (Huang et al. 2016): whole samples of a residual branch become 0.

    Example:
        >>> DropPath(0.5).apply({}, jnp.ones((3, 2)))[0].tolist()
        [1.0, 1.0]
    """

    rate: float = 0.1
    what: ClassVar[str] = "stochastic depth"

    def drawn(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (shape[0], *(1,) * (len(shape) - 1))

    def kept(self, key: Any, shape: tuple[int, ...]) -> Array:
        return keep_samples(JaxOps(), key, self.rate, shape[0]).reshape(self.drawn(shape))


class Draws(RandomLayer):
    """No arithmetic, but a key: what a sampler inside of a model draws by. Outside of training it is (0, 0).

    ``__call__(x, train)`` gives the key of this call, and the place of each sample of ``x`` (N, ...) in the whole batch,
    (N,) words.

    Example:
        >>> key, places = Draws().apply({}, jnp.zeros((2, 3)))
        >>> [int(word) for word in key], places.tolist()
        ([0, 0], [0, 1])
    """

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Any:
        xp = JaxOps()
        places = xp.words(0, (x.shape[0],))
        if self.is_initializing():
            self.variable("random", "key", jnp.zeros, (2,), jnp.uint32)
        if not train or self.is_initializing():
            return (xp.word(0), xp.word(0)), places
        if self.has_variable("random", "key"):
            return self._call_key(), places
        words = jax.random.bits(self.make_rng("dropout"), (2,), jnp.uint32)
        return (words[0], words[1]), places


def drop_layer(cfg: Mapping[str, Any] | None) -> Callable[[str | None], Callable[..., Array]]:
    """The maker of a dropout, as mmcv's ``build_dropout``: the module's name to it. ``type`` is "Dropout" or "DropPath", and
    ``drop_prob`` its rate; None gives its input.

    Raises:
        FkitError: the type is unknown, or an argument.

    Example:
        >>> drop_layer({"type": "DropPath", "drop_prob": 0.2})(None).rate
        0.2
    """
    if not cfg:
        return lambda name: _same
    kind, rate = dropout_of(cfg)
    layer = DropPath if kind == "DropPath" else Dropout
    return lambda name: layer(*rate, name=name)


def _same(x: Array, train: bool = False) -> Array:
    del train
    return x
