"""AdamW for 12 epochs: one cycle of the learning rate, by the step."""

optim_wrapper = dict(optimizer=dict(type="AdamW", lr=0.004, weight_decay=1e-4))
param_scheduler = dict(type="OneCycleLR", eta_max=0.004, by_epoch=True, total_steps=12, convert_to_iter_based=True)
train_cfg = dict(by_epoch=True, max_epochs=12, val_interval=3)
val_cfg = dict()
test_cfg = dict()
