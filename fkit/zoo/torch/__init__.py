"""Models as torch modules; their flax twins are in `fkit.zoo.flax`, under the same names."""
