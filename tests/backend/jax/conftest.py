"""These tests hold numbers against numpy's and torch's on the CPU, also where JAX's default device is a GPU."""

import jax
import pytest


@pytest.fixture(scope="module", autouse=True)
def _cpu():
    with jax.default_device(jax.devices("cpu")[0]):
        yield
