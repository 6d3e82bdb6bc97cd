"""The services that OpenMMLab's configs name as writers, with mmengine's names and arguments. Each opens its package when it
begins."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from fkit.config.config import Config
from fkit.edge.board import place_for
from fkit.edge.writer import Writer
from fkit.tree.check import check_fields
from fkit.tree.error import FkitValueError
from fkit.tree.name import open_module, open_name
from fkit.tree.tree import thaw

__all__ = [
    "AimVisBackend", "ClearMLVisBackend", "DVCLiveVisBackend", "MLflowVisBackend", "NeptuneVisBackend",
    "PaviVisBackend", "SegmindVisBackend", "WandbVisBackend",
]  # fmt: skip


def _artifacts(folder: Path, suffixes: Sequence[str]) -> Iterator[Path]:
    """The files of a work folder whose names end so."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name.endswith(tuple(suffixes)))


def _options(init_kwargs: Mapping[str, Any] | None) -> dict[str, Any]:
    return thaw(init_kwargs or {})


@dataclass(frozen=True)
class WandbVisBackend:
    """Weights & Biases.

    Args:
        save_dir: the folder; by default vis_data in the work folder.
        init_kwargs: of wandb.init; the run's name, where they say none, is the experiment's.
        define_metric_cfg: {metric: its summary}, or arguments of wandb.define_metric in a list.
        commit: whether each line of the log is a step of its own.
        log_code_name: the name under which the code of the working folder is saved.
        watch_kwargs: refused: gradients are watched by hooks on a torch module.
    """

    needs: ClassVar[str] = "wandb"
    save_dir: str | None = None
    init_kwargs: Mapping[str, Any] | None = None
    define_metric_cfg: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    commit: bool = True
    log_code_name: str | None = None
    watch_kwargs: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.watch_kwargs:
            raise FkitValueError(
                "WandbVisBackend: watch_kwargs: wandb.watch hangs hooks on a torch module, and a run has functions of "
                "parameters.",
                repair="Leave it out; what a hook reads of the run it can write with WriteTags.",
            )

    def open(self, folder: Path, name: str) -> Writer:
        wandb: Any = open_module("wandb")
        run = wandb.init(**{"dir": str(place_for(self.save_dir, folder)), "name": name, **_options(self.init_kwargs)})
        metrics = self.define_metric_cfg or ()
        if isinstance(metrics, Mapping):
            metrics = [{"name": metric, "summary": how} for metric, how in metrics.items()]
        for options in metrics:
            run.define_metric(**options)
        if self.log_code_name:
            run.log_code(name=self.log_code_name)

        def image(name: str, image: NDArray[Any], step: int) -> None:
            run.log({name: wandb.Image(image), "step": step}, commit=self.commit)

        return Writer(
            lambda tags, step: run.log({**tags, "step": step}, commit=self.commit),
            lambda cfg: run.config.update(thaw(cfg), allow_val_change=True),
            image,
            run.finish,
        )


@dataclass(frozen=True)
class MLflowVisBackend:
    """MLflow.

    Args:
        save_dir: the folder; by default vis_data in the work folder. Where no server is named, mlflow.db and mlartifacts are in
            it: ``mlflow ui --backend-store-uri sqlite:///FOLDER/mlflow.db`` shows them.
        exp_name: the experiment; by default "Default", of a folder "fkit".
        run_name: by default the run's experiment_name.
        tags: of the run.
        params: logged beside the config.
        tracking_uri: of a server or a store.
        artifact_suffix: files of the work folder that are logged when the run ends.
        tracked_config_keys: top-level keys of the config that are logged; by default all.
    """

    needs: ClassVar[str] = "mlflow"
    save_dir: str | None = None
    exp_name: str | None = None
    run_name: str | None = None
    tags: Mapping[str, Any] | None = None
    params: Mapping[str, Any] | None = None
    tracking_uri: str | None = None
    artifact_suffix: tuple[str, ...] = (".json", ".log", ".py", "yaml")
    tracked_config_keys: Mapping[str, Any] | Sequence[str] | None = None

    def __post_init__(self) -> None:
        check_fields(self)

    def open(self, folder: Path, name: str) -> Writer:
        client, experiment = self._experiment(folder)
        run: str = client.create_run(experiment, run_name=self.run_name or name, tags=thaw(self.tags or {})).info.run_id
        metric = open_name("mlflow.entities:Metric")

        def params(values: Mapping[str, Any]) -> None:
            for key, value in values.items():
                client.log_param(run, key, str(thaw(value))[:6000])

        def scalars(tags: Mapping[str, float], step: int) -> None:
            now = int(time.time() * 1000)
            client.log_batch(run, metrics=[metric(tag, float(value), now, step) for tag, value in tags.items()])

        def config(cfg: Config) -> None:
            tracked = self.tracked_config_keys
            params(cfg if tracked is None else {key: cfg[key] for key in tracked if key in cfg})

        def close() -> None:
            for path in _artifacts(folder, self.artifact_suffix):
                client.log_artifact(run, str(path))
            client.set_terminated(run)

        params(self.params or {})
        return Writer(
            scalars, config, lambda name, image, step: client.log_image(run, image, f"{name}_{step}.png"), close
        )

    def _experiment(self, folder: Path) -> tuple[Any, str]:
        """(client, experiment): the one of that name, or a new one. MLflow's own default would write beside the program."""
        client_of, name = (
            open_name("mlflow:MlflowClient"),
            self.exp_name or ("Default" if self.tracking_uri else "fkit"),
        )
        place = None
        if self.tracking_uri:
            client = client_of(self.tracking_uri)
        else:
            place = place_for(self.save_dir, folder).resolve()
            client = client_of(f"sqlite:///{place / 'mlflow.db'}")
        known = client.get_experiment_by_name(name)
        if known is not None:
            return client, known.experiment_id
        return client, client.create_experiment(name, place and (place / "mlartifacts").as_uri())


@dataclass(frozen=True)
class ClearMLVisBackend:
    """ClearML. Without a server, the environment variable ``CLEARML_OFFLINE_MODE=1`` has it keep a run in a file.

    Args:
        save_dir: not used by the service; kept for configs that have it.
        init_kwargs: of Task.init; the task's name, where they say none, is the experiment's.
        artifact_suffix: files of the work folder that are uploaded when the run ends.
    """

    needs: ClassVar[str] = "clearml"
    save_dir: str | None = None
    init_kwargs: Mapping[str, Any] | None = None
    artifact_suffix: tuple[str, ...] = (".py", "pth")

    def open(self, folder: Path, name: str) -> Writer:
        options = {"project_name": "fkit", "task_name": name, **_options(self.init_kwargs)}
        task = open_name("clearml:Task").init(**options)
        logger = task.get_logger()

        def scalars(tags: Mapping[str, float], step: int) -> None:
            for tag, value in tags.items():
                logger.report_scalar(tag, tag, value=value, iteration=step)

        def close() -> None:
            for path in _artifacts(folder, self.artifact_suffix):
                task.upload_artifact(path.name, str(path))
            task.close()

        return Writer(
            scalars,
            lambda cfg: task.connect_configuration(thaw(cfg)),
            lambda name, image, step: logger.report_image(name, name, iteration=step, image=image),
            close,
        )


@dataclass(frozen=True)
class NeptuneVisBackend:
    """Neptune. What goes to the terminal it does not take, unless ``init_kwargs`` say so: log.txt has that.

    Args:
        save_dir: not used by the service; kept for configs that have it.
        init_kwargs: of neptune.init_run; without any it works offline, into .neptune of the folder where the run was begun.
        with_step: whether a value says its step (mmcv 1.x's argument).
    """

    needs: ClassVar[str] = "neptune"
    save_dir: str | None = None
    init_kwargs: Mapping[str, Any] | None = None
    with_step: bool = True

    def open(self, folder: Path, name: str) -> Writer:
        neptune: Any = open_module("neptune")
        options = _options(self.init_kwargs) or {"mode": "offline"}
        silent = {
            "capture_stdout": False,
            "capture_stderr": False,
        }  # beside other writers, two captures call each other
        run = neptune.init_run(**{"name": name, **silent, **options})

        def scalars(tags: Mapping[str, float], step: int) -> None:
            for tag, value in tags.items():
                run[tag].append(value, **({"step": step} if self.with_step else {}))

        def config(cfg: Config) -> None:
            run["config"] = cfg.text("python")

        def image(name: str, image: NDArray[Any], step: int) -> None:
            run[name].append(open_name("neptune.types:File").as_image(image / 255.0), step=step)

        return Writer(scalars, config, image, run.stop)


@dataclass(frozen=True)
class DVCLiveVisBackend:
    """DVCLive.

    Args:
        save_dir: the folder; by default vis_data in the work folder.
        artifact_suffix: files of the work folder that are logged when the run ends.
        init_kwargs: of dvclive.Live.
        model_file: a model's file that is logged when the run ends (mmcv 1.x's argument).
    """

    needs: ClassVar[str] = "dvclive"
    save_dir: str | None = None
    artifact_suffix: tuple[str, ...] = (".json", ".py")
    init_kwargs: Mapping[str, Any] | None = None
    model_file: str | None = None

    def open(self, folder: Path, name: str) -> Writer:
        place = place_for(self.save_dir, folder)
        options = {"dir": str(place), "dvcyaml": str(place / "dvc.yaml"), **_options(self.init_kwargs)}
        live = open_name("dvclive:Live")(**options)

        def scalars(tags: Mapping[str, float], step: int) -> None:
            live.step = step
            for tag, value in tags.items():
                live.log_metric(tag, value)
            live.make_summary()

        def image(name: str, image: NDArray[Any], step: int) -> None:
            live.log_image(f"{name}_{step}.png", image)

        def close() -> None:
            files = [*_artifacts(folder, self.artifact_suffix), *([Path(self.model_file)] if self.model_file else [])]
            for path in files:
                live.log_artifact(str(path))
            live.end()

        return Writer(scalars, lambda cfg: live.log_params(thaw(cfg)), image, close)


@dataclass(frozen=True)
class AimVisBackend:
    """Aim.

    Args:
        save_dir: the repository's folder; by default vis_data in the work folder.
        init_kwargs: of aim.Run.
    """

    needs: ClassVar[str] = "aim"
    save_dir: str | None = None
    init_kwargs: Mapping[str, Any] | None = None

    def open(self, folder: Path, name: str) -> Writer:
        options = {"repo": str(place_for(self.save_dir, folder)), "experiment": name, **_options(self.init_kwargs)}
        run = open_name("aim:Run")(**options)

        def scalars(tags: Mapping[str, float], step: int) -> None:
            for tag, value in tags.items():
                run.track(value, name=tag, step=step)

        def config(cfg: Config) -> None:
            run["hparams"] = thaw(cfg)

        def image(name: str, image: NDArray[Any], step: int) -> None:
            run.track(open_name("aim:Image")(image), name=name, step=step)

        return Writer(scalars, config, image, run.close)


@dataclass(frozen=True)
class SegmindVisBackend:
    """Segmind's tracking: mmcv 1.x's SegmindLoggerHook."""

    needs: ClassVar[str] = "segmind"

    def open(self, folder: Path, name: str) -> Writer:
        log_metrics = open_name("segmind.tracking.fluent:log_metrics")
        return Writer(lambda tags, step: log_metrics(metrics=dict(tags), step=step, epoch=step))


@dataclass(frozen=True)
class PaviVisBackend:
    """PAVI, of SenseTime's own: mmcv 1.x's PaviLoggerHook.

    Args:
        init_kwargs: of pavi.SummaryWriter; its name, where they say none, is the experiment's.
    """

    needs: ClassVar[str] = "pavi"
    init_kwargs: Mapping[str, Any] | None = None

    def open(self, folder: Path, name: str) -> Writer:
        writer = open_name("pavi:SummaryWriter")(**{"name": name, "model": name, **_options(self.init_kwargs)})
        return Writer(
            lambda tags, step: writer.add_scalars("train", dict(tags), step),
            Writer().config,
            lambda name, image, step: writer.add_image(name, image.transpose(2, 0, 1), step),
            getattr(writer, "close", Writer().close),
        )
