"""Models as flax.linen modules, channels last inside; their torch twins are in `fkit.zoo.torch`, under the same names."""
