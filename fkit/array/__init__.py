"""Floor 1: arithmetic written once, for numpy, torch and jax.numpy arrays."""
