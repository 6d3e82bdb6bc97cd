"""Floor 7: datasets, transforms, samplers, batches. numpy only."""
