"""init_cfg=Pretrained on both backends: a part begins with the weights of a file, after all rules; and load_from."""

import numpy as np
import pytest
import torch

import fkit
from fkit.fileio.weights import read_content
from fkit.training.inventory import Entry, Inventory
from fkit.training.load import LoadFrom, load_from
from fkit.training.pretrained import Pretrained, pretrained, taken
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError

BACKENDS = ("torch", "jax")
CONV = {"conv1.weight": torch.full((4, 1, 3, 3), 0.5), "bn1.weight": torch.full((4,), 2.0), "bn1.bias": torch.zeros(4),
        "bn1.running_mean": torch.full((4,), 0.25), "bn1.running_var": torch.ones(4), "bn1.num_batches_tracked": torch.tensor(7)}  # fmt: skip


def config(backbone=None, model=None, **more):
    return fkit.Config(
        dict(
            model=dict(
                type="ImageClassifier",
                backbone=dict(type="ConvNet", in_channels=1, channels=(4,), dropout=0.0, init_cfg=backbone),
                neck=dict(type="GlobalAveragePooling"),
                head=dict(type="LinearClsHead", num_classes=3, in_channels=4),
                init_cfg=model,
            ),
            optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
            **more,
        )
    )


def program(cfg, backend):
    return fkit.program(cfg, backend=backend, example=np.zeros((2, 1, 6, 6), np.float32))


@pytest.fixture
def files(tmp_path):
    torch.save(CONV, tmp_path / "backbone.pth")
    whole = {f"module.backbone.{name}": value for name, value in CONV.items()}
    whole |= {"module.head.fc.weight": torch.full((3, 4), 3.0), "module.head.fc.bias": torch.full((5,), 3.0)}
    torch.save({"state_dict": whole, "meta": {}}, tmp_path / "whole.pth")
    torch.save({name.removeprefix("module."): value for name, value in whole.items()}, tmp_path / "plain.pth")
    return tmp_path


def begun(cfg, backend):
    one = program(cfg, backend)
    return one.collect(one.init(3))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_part_begins_with_a_file(files, backend):
    cfg = dict(type="Pretrained", checkpoint=str(files / "backbone.pth"))
    fresh, arrays = begun(config(), backend), begun(config(cfg), backend)
    for name, value in CONV.items():
        kind = "params" if name.endswith(("weight", "bias")) else "buffers"
        assert np.array_equal(arrays[f"{kind}/backbone.{name}"], value.numpy())
    assert np.array_equal(arrays["params/head.fc.weight"], fresh["params/head.fc.weight"])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_prefix_takes_a_part_of_the_file(files, backend):
    cfg = dict(type="Pretrained", checkpoint=str(files / "plain.pth"), prefix="backbone")
    assert np.array_equal(begun(config(cfg), backend)["params/backbone.bn1.weight"], CONV["bn1.weight"].numpy())


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_goes_over_the_rules_and_the_outer_over_the_inner(files, backend):
    normal = dict(type="Constant", layer=["Conv2d", "Linear"], val=9.0)
    inner = [dict(type="Pretrained", checkpoint=str(files / "backbone.pth")), normal]
    arrays = begun(config(inner, normal), backend)
    assert np.all(arrays["params/backbone.conv1.weight"] == 0.5)
    torch.save({"backbone.conv1.weight": torch.full((4, 1, 3, 3), 4.0)}, files / "outer.pth")
    arrays = begun(config(inner, dict(type="Pretrained", checkpoint=str(files / "outer.pth"))), backend)
    assert np.all(arrays["params/backbone.conv1.weight"] == 4.0) and np.all(arrays["params/backbone.bn1.weight"] == 2.0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_older_argument_pretrained(files, backend):
    cfg = config().merge({"model.pretrained": str(files / "plain.pth")})
    assert np.all(begun(cfg, backend)["params/backbone.conv1.weight"] == 0.5)
    with pytest.raises(FkitValueError, match="both given"):
        begun(cfg.merge({"model.init_cfg": dict(type="Normal", layer="Linear", _delete_=True)}), backend)
    net = fkit.build(
        fkit.Config(dict(type="ResNet", depth=18, base_channels=4, pretrained="x.pth")),
        fkit.registry(),
        "models",
        backend=backend,
    )
    assert getattr(net, "init_rules", net.init_cfg) == {"type": "Pretrained", "checkpoint": "x.pth"}


def test_a_scheme_of_the_runs_own_registry(files):
    reg = fkit.registry().register("checkpoint_schemes", lambda name: files / f"{name}.pth", name="mine")
    cfg = config(dict(type="Pretrained", checkpoint="mine://backbone"))
    one = fkit.program(cfg, reg)
    assert np.all(one.collect(one.init(0))["params/backbone.conv1.weight"] == 0.5)


def test_what_does_not_fit_is_told(files):
    inventory = program(config(dict(type="Pretrained", checkpoint=str(files / "whole.pth"))), "torch").inventory
    with pytest.raises(FkitValueError, match=r"init_cfg of backbone: none of the weights in .*whole\.pth fits"):
        taken(pretrained(inventory)[0], inventory)
    fit = taken(Pretrained("", str(files / "whole.pth")), inventory)
    assert fit.report() == "of another shape (1): head.fc.bias: model (3,), file (5,)"


@pytest.mark.parametrize(
    ("cfg", "kind", "says"),
    [
        (dict(type="Pretrained"), FkitTypeError, "needs 'checkpoint'"),
        (dict(type="Pretrained", checkpoint="a.pth", layer="Conv2d"), FkitTypeError, "takes no argument 'layer'"),
        (dict(type="Pretrained", checkpoint="a.pth", map_location="cuda"), FkitValueError, "read on the host"),
        (dict(type="PretrainedInit", checkpoint="a.pth"), FkitError, "a.pth: is not there"),
        (dict(type="Normal", override=dict(name="conv1", type="Pretrained")), FkitValueError, "an override cannot be"),
    ],
)
def test_wrong_ones(cfg, kind, says):
    with pytest.raises(kind, match=says):
        begun(config(cfg), "torch")


def test_order_is_mmengines():
    entries = (Entry("a.b.w", (1,), "float32", ""),)
    rules = tuple((path, dict(type="Pretrained", checkpoint=path or "whole")) for path in ("", "a", "a.b"))
    assert [part.checkpoint for part in pretrained(Inventory(entries, rules))] == ["a.b", "a", "whole"]


class TestLoadFrom:
    @pytest.mark.parametrize("backend", BACKENDS)
    def test_weights_alone(self, files, backend):
        one = program(config(), backend)
        state = one.init(0)
        loaded = load_from(one, state, str(files / "whole.pth"))
        arrays = one.collect(loaded.state)
        assert np.all(arrays["params/head.fc.weight"] == 3.0) and np.all(
            arrays["buffers/backbone.bn1.running_mean"] == 0.25
        )
        assert loaded.fit.report() == "of another shape (1): head.fc.bias: model (3,), file (5,)"
        assert int(arrays["iteration"]) == 0

    def test_a_part_of_another_model(self, files):
        one = program(config(), "torch")
        rules = ((r"^", "backbone."),)
        fit = load_from(one, one.init(0), LoadFrom(str(files / "backbone.pth"), revise_keys=rules)).fit
        assert fit.missing == ("head.fc.weight", "head.fc.bias") and not fit.unexpected
        with pytest.raises(FkitValueError, match=r"the weights do not fit the model.\n  missing \(2\): head.fc.weight"):
            load_from(one, one.init(0), LoadFrom(str(files / "backbone.pth"), revise_keys=rules, strict=True))
        with pytest.raises(FkitValueError, match=r"none of its weights fits the model.*\n(.*\n)*.*prefix="):
            load_from(one, one.init(0), str(files / "backbone.pth"))

    def test_counters_of_norms_may_be_missing(self, files):
        torch.save({f"backbone.{n}": v for n, v in CONV.items() if "num_batches" not in n}
                   | {"head.fc.weight": torch.zeros(3, 4), "head.fc.bias": torch.zeros(3)}, files / "old.pth")  # fmt: skip
        one = program(config(), "torch")
        assert load_from(one, one.init(0), LoadFrom(str(files / "old.pth"), strict=True)).fit.report() == ""

    def test_many_names_are_told_by_their_part(self):
        from fkit.training.weight import fit

        entries = tuple(Entry(f"backbone.layer{i}.weight", (1,), "float32", "") for i in range(30))
        report = fit(Inventory((*entries, Entry("head.w", (1,), "float32", ""))), {}, strict=False, bare=True).report()
        assert report.startswith("missing (31): backbone.* (30), head.*: backbone.layer0.weight, ")

    def test_the_key_of_a_config(self):
        from fkit.recipe.settings import read

        assert read(fkit.Config(dict(load_from="a.pth"))).load_from == LoadFrom("a.pth")
        said = dict(path="a.pth", prefix="x", strict=True, revise_keys=[("^a", "b")], weights="own")
        assert read(fkit.Config(dict(load_from=said))).load_from == LoadFrom("a.pth", "x", (("^a", "b"),), True, "own")
        for odd in (
            3,
            dict(prefix="a"),
            dict(path="a", stict=True),
            dict(path="a", weights="raw"),
            dict(path="a", revise_keys=["a"]),
        ):
            with pytest.raises(FkitError):
                read(fkit.Config(dict(load_from=odd)))


def test_the_content_is_read_without_torch(files):
    assert read_content(files / "whole.pth").kind == "pth"
