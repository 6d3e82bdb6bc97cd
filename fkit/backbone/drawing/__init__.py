"""Networks drawn once for both backends: what is called in what order, as functions of a `fkit.backbone.drawing.net.Net`."""
