"""Schedules of hyperparameters as values: the protocol, mmengine's schedulers, mmcv's policies, chains of them."""
