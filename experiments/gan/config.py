"""A GAN on the digits that ship with the kit: two optimizers in one model.

Command: fkit train config.py
Time: about 15 s on one core of a CPU.
Score: nearest 0.199 to 0.213, the distance of a made digit to a real one (3 seeds; grey noise lies at 0.33).
"""

custom_imports = dict(imports=["gan"])
seed = 0

model = dict(type="GAN", noise=16, hidden=128)

pipeline = [dict(type="ToUnit"), dict(type="Noise", size=16), dict(type="PackInputs", algorithm_keys=["noise"])]
train_dataloader = dict(
    batch_size=64, shuffle=True, drop_last=True, dataset=dict(type="Digits", split="train", pipeline=pipeline)
)
val_dataloader = dict(batch_size=120, dataset=dict(type="Digits", split="test", pipeline=pipeline))
val_evaluator = dict(type="Nearest")

# two phases of a step, in this order: each trains the parameters below its own name, follows the loss that the model
# gives in its mode, and logs under its name. Beside them: params, a pattern for the parameters; loss; every, a period
optim_wrapper = dict(
    discriminator=dict(optimizer=dict(type="Adam", lr=5e-4, betas=(0.5, 0.999)), mode="discriminator"),
    generator=dict(
        optimizer=dict(type="Adam", lr=2e-3, betas=(0.5, 0.999)), mode="generator", clip_grad=dict(max_norm=5.0)
    ),
)
# a schedule of one of them names it
param_scheduler = dict(type="LinearParamScheduler", param_name="generator.lr", start_factor=1.0, end_factor=0.1)

train_cfg = dict(by_epoch=True, max_epochs=80, val_interval=20)
val_cfg = dict()
default_hooks = dict(checkpoint=dict(rule="less"))
