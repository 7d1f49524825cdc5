"""Loggers beyond CSV: TensorBoard, Weights & Biases, MLflow, each grouping a study's members.

An option of `configs/logger/` is a function of `save_dir` that returns a Lightning logger.
`save_dir` is a member's folder, or `<study>/analysis` for a study's analysis, and names
the study and the run. Each logger needs the extra of its name.
"""

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock
from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from omegaconf import DictConfig

from chromatic_descent.config import instantiate
from chromatic_descent.errors import UserError
from chromatic_descent.study import Study


def tensorboard(save_dir: Path) -> Logger:
    """Events in `tensorboard/` of the folder; `tensorboard --logdir multirun/<study>` shows all."""
    _need("tensorboard")
    return TensorBoardLogger(save_dir, name="tensorboard", version="", default_hp_metric=False)


def wandb(
    save_dir: Path,
    *,
    project: str = "chromatic_descent",
    entity: str | None = None,
    offline: bool = False,
) -> Logger:
    """A run in the study's group; offline, in `wandb/` of the folder, for `wandb sync`."""
    _need("wandb")
    save_dir.mkdir(parents=True, exist_ok=True)  # otherwise W&B uses the system's temporary folder
    return _OwnRun(
        name=save_dir.name,
        group=save_dir.parent.name,
        project=project,
        entity=entity,
        save_dir=save_dir,
        mode="offline" if offline else None,
        reinit="create_new",  # members trained together have a run each, at the same time
    )


def mlflow(save_dir: Path, *, tracking_uri: str | None = None) -> Logger:
    """A run in the experiment named after the study.

    The store is `mlflow.db` beside the studies unless `tracking_uri` names another; files go to
    `artifacts/mlflow/` of the study.
    """
    _need("mlflow")
    study = save_dir.parent.resolve()
    study.mkdir(parents=True, exist_ok=True)
    uri = tracking_uri or f"sqlite:///{study.parent / 'mlflow.db'}"
    logger = MLFlowLogger(
        experiment_name=study.name,
        run_name=save_dir.name,
        tracking_uri=uri,
        artifact_location=(study / "artifacts" / "mlflow").as_uri(),
    )
    with FileLock(study.parent / ".mlflow.lock"):  # two processes may create it at the same time
        _ = logger.experiment
    return logger


def log_analysis(
    study: Study, numbers: Mapping[str, Any], figures: Sequence[Path], loggers: DictConfig
) -> None:
    """Log the numbers and figures of a study's analysis as a run beside its members'.

    Of `numbers`, the content of `analysis.json`, those outside its tables are logged. Figures in
    formats other than PNG go to MLflow only. `loggers` is an option of `configs/logger/`.
    """
    metrics = dict(_scalars(numbers))
    for make in instantiate(loggers).values():
        logger: Logger = make(save_dir=study.path / "analysis")
        logger.log_metrics(metrics)
        for figure in figures:
            _log_figure(logger, figure)
        logger.save()
        logger.finalize("success")


class _OwnRun(WandbLogger):
    """A W&B run for each logger; Lightning's own logger shares one among all members of a sweep."""

    @property
    def experiment(self) -> Any:
        """W&B's run."""
        import wandb

        if self._experiment is None:
            try:
                self._experiment = wandb.init(**self._wandb_init)
            except wandb.errors.Error as error:
                raise UserError(
                    f"logger=wandb: {error} Log in with `wandb login`, or keep the runs on this "
                    "machine with logger.wandb.offline=true."
                ) from error
        return self._experiment

    def finalize(self, status: str) -> None:
        """End the run."""
        super().finalize(status)
        if self._experiment is not None:
            self._experiment.finish(exit_code=0 if status == "success" else 1)
            self._experiment = None


def _log_figure(logger: Logger, path: Path) -> None:
    if isinstance(logger, MLFlowLogger):
        logger.experiment.log_artifact(logger.run_id, str(path), "figures")
    elif path.suffix != ".png":
        return
    elif isinstance(logger, TensorBoardLogger):
        from matplotlib.image import imread

        logger.experiment.add_image(path.stem, imread(path), dataformats="HWC")
    elif isinstance(logger, WandbLogger):
        logger.log_image(path.stem, [str(path)])


def _scalars(node: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every number outside tables, by its path: `maps/hellinger/top_2_share`."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key not in ("config", "schema_version"):
                yield from _scalars(value, f"{path}/{key}" if path else str(key))
    elif isinstance(node, (int, float)) and not isinstance(node, bool):
        yield path, float(node)


def _need(extra: str) -> None:
    if importlib.util.find_spec(extra) is None:
        raise UserError(
            f"logger={extra} needs {extra}: pip install 'chromatic-descent[{extra}]', or use "
            "logger=csv."
        )
