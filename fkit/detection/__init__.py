"""Detection over any library of arrays: priors, coders, assigners, samplers, losses, and what heads make of them."""
