"""Writers: what gets a run's scalars, config and pictures beside its work folder."""

import importlib.util
import json
import struct
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

import fkit
from fkit.edge.perform import Edge
from fkit.edge.writer import Writer
from fkit.run.effect import WriteConfig, WriteImage, WriteTags, WriteText
from fkit.tree.error import FkitImportError, FkitTypeError
from tests.run.small import config, registry

IMAGE = np.linspace(0, 1, 6 * 4 * 3).reshape(6, 4, 3)


def edge_of(folder, *writers, reg=None, **changes):
    cfg = config(visualizer=dict(type="Visualizer", vis_backends=list(writers)), **changes)
    return Edge(folder, fkit.plan(cfg, reg or registry()), {})


def tell(edge, *effects):
    for effect in effects:
        edge.perform(effect, None)
    edge.close()


def test_local_files_are_mmengines(tmp_path):
    edge = edge_of(tmp_path / "a", dict(type="LocalVisBackend"))
    tell(edge, WriteConfig(), WriteTags(3, "train", {"loss": 0.5, "lr": 0.1}), WriteImage("val/7", IMAGE, 3))
    data = tmp_path / "a" / "vis_data"
    assert json.loads((data / "scalars.json").read_text()) == {"loss": 0.5, "lr": 0.1, "step": 3}
    assert fkit.load_config(data / "config.py") == edge.plan.config
    assert (data / "vis_image/val/7_3.png").read_bytes() == (tmp_path / "a/vis/val/7_3.png").read_bytes()
    picture = cv2.imread(str(tmp_path / "a/vis/val/7_3.png"))[..., ::-1]
    assert np.array_equal(picture, np.rint(IMAGE * 255).astype(np.uint8))


def test_a_place_of_its_own_and_of_the_visualizer(tmp_path):
    local = dict(type="LocalVisBackend", scalar_save_file="my.json")
    there = dict(type="LocalVisBackend", save_dir=str(tmp_path / "there"))
    cfg = config(visualizer=dict(type="Visualizer", save_dir=str(tmp_path / "all"), vis_backends=[local, there]))
    tell(Edge(tmp_path / "a", fkit.plan(cfg, registry()), {}), WriteTags(1, "train", {"loss": 1.0}))
    assert (tmp_path / "all/my.json").exists() and (tmp_path / "there/scalars.json").exists()
    assert fkit.plan(config(vis_backends=[local]), registry()).writers[0][0] == "vis_backends[0]"


def rows_of(folder):
    """The records of TensorBoard's files: a length, its checksum, so many bytes, theirs."""
    for path in sorted(folder.glob("events.out.*")):
        data = path.read_bytes()
        while data:
            [length] = struct.unpack("<Q", data[:8])
            yield data[12 : 12 + length]
            data = data[16 + length :]


def test_tensorboard_reads_what_was_written(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.compat.proto.event_pb2 import Event

    tags = WriteTags(3, "train", {"loss": 0.5, "accuracy/top1": 0.25})
    tell(edge_of(tmp_path, dict(type="TensorboardVisBackend")), WriteConfig(), tags, WriteImage("digit", IMAGE, 4))
    events = [Event.FromString(row) for row in rows_of(tmp_path / "vis_data")]
    values = {(event.step, value.tag): value for event in events for value in event.summary.value}
    assert [values[3, tag].simple_value for tag in tags.tags] == [0.5, 0.25]
    assert values[4, "digit"].image.height == 6
    assert "optim_wrapper" in values[0, "config"].tensor.string_val[0].decode()


def test_wandb_keeps_a_run_offline(tmp_path):
    pytest.importorskip("wandb")
    backend = dict(type="WandbVisBackend", init_kwargs=dict(mode="offline"), define_metric_cfg=dict(loss="min"))
    tell(edge_of(tmp_path, backend), WriteConfig(), WriteTags(3, "train", {"loss": 0.5}), WriteImage("d", IMAGE, 4))
    assert list(tmp_path.rglob("run-*.wandb")) and not (tmp_path / "log.txt").exists()  # which would say what failed


def test_mlflow_keeps_a_run_in_a_folder(tmp_path, here):
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    backend = dict(type="MLflowVisBackend", tracking_uri=uri, exp_name="e", tags=dict(a="b"))
    tell(edge_of(tmp_path / "a", backend), WriteConfig(), WriteTags(3, "train", {"loss": 0.5}))
    [run] = mlflow.MlflowClient(uri).search_runs([mlflow.MlflowClient(uri).get_experiment_by_name("e").experiment_id])
    assert run.data.metrics == {"loss": 0.5} and run.data.tags["a"] == "b"


@pytest.mark.parametrize("kind", ["Wandb", "MLflow", "ClearML", "Neptune", "DVCLive", "Aim", "Segmind", "Pavi"])
def test_a_package_that_is_not_there_is_told_with_the_command(kind, tmp_path):
    if importlib.util.find_spec(kind.lower()) is not None:
        pytest.skip(f"{kind} is installed")
    with pytest.raises(FkitImportError, match=rf"(?s)visualizer.vis_backends\[0\].*pip install {kind.lower()}"):
        edge_of(tmp_path / "a", dict(type=f"{kind}VisBackend"))
    assert not (tmp_path / "a").exists()


@dataclass(frozen=True)
class Sheet:
    """A user's own: a line for each tag; it fails at a step of its own."""

    path: str
    fails: int = -1

    def open(self, folder, name):
        def scalars(tags, step):
            if step == self.fails:
                raise OSError(28, "No space left on device")
            with open(self.path, "a") as file:
                file.write(f"{name} {step} {sorted(tags)}\n")

        return Writer(scalars=scalars)


def test_a_writer_of_ones_own_is_one_registration_and_may_fail(tmp_path):
    reg = registry().register("vis_backends", Sheet)
    path = str(tmp_path / "sheet.txt")
    sheet = dict(type="Sheet", path=path, fails=2)
    edge = edge_of(tmp_path / "a", sheet, reg=reg, experiment_name="mine")
    tell(edge, WriteConfig(), *[WriteTags(step, "train", {"loss": 1.0}) for step in (1, 2, 3)])
    assert (tmp_path / "sheet.txt").read_text() == "mine 1 ['loss']\n"
    line = (tmp_path / "a/log.txt").read_text().splitlines()[-1]
    assert "WARNING the writer visualizer.vis_backends[0] (Sheet) failed: OSError" in line
    assert line.endswith("No space left on device; the run goes on without it.")


def test_what_is_no_writer_is_refused_when_the_plan_is_made(tmp_path):
    @dataclass(frozen=True)
    class Mute:
        pass

    with pytest.raises(FkitTypeError, match=r"(?s)Mute is no writer: it has no open\(folder, name\).*Writer\(scalars="):
        edge_of(tmp_path, dict(type="Mute"), reg=registry().register("vis_backends", Mute))


def test_the_level_and_the_name_of_a_run(tmp_path):
    edge = edge_of(tmp_path / "a", log_level="WARNING", experiment_name="mine")
    tell(edge, WriteConfig(), WriteText("all is well"), WriteText("look", "WARNING"))
    assert "all is well" not in (log := (tmp_path / "a/log.txt").read_text()) and "WARNING look" in log
    assert json.loads((tmp_path / "a/run.json").read_text())["experiment_name"] == "mine"
