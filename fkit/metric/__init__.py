"""Floor 8: what is measured on held-out data: monoids over predictions and targets, and the evaluator of several."""
