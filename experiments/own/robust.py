"""The same labels, learned by a loss that distrusts them."""

_base_ = "config.py"

model = dict(q=0.7)
