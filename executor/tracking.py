"""Training curves for Weights & Biases and MLflow, imported only when used."""

import contextlib
import importlib
import os
from typing import Any, Callable, Dict, Iterator, Mapping
import uuid

import tensorflow.compat.v1 as tf

from configs import base
from executor import errors
from modeling import storage

_FILE = 'tracking.json'  # in model_dir: {tracker: its id of the run}


class WeightsAndBiases:
  """A run of the package wandb; WANDB_MODE=offline keeps it on this machine."""

  def __init__(self, config: base.Config) -> None:
    """Starts the run of model_dir, or resumes it."""
    identity = _known_identity(config.model_dir, 'wandb') or uuid.uuid4().hex
    self._run = _module('wandb').init(
        project=config.train.tracking_project, dir=config.model_dir,
        name=_name(config), config=base.flatten_mapping(base.to_dict(config)),
        id=identity, resume='allow')
    _keep_identity(config.model_dir, 'wandb', identity)

  def log(self, step: int, values: Mapping[str, float]) -> None:
    """Logs the values of a step.

    Args:
      step: int.
      values: {name: float}.
    """
    self._run.log(dict(values), step=step)

  def finish(self) -> None:
    """Ends this start of the run."""
    self._run.finish()


class MLflow:
  """A run of the package mlflow; MLFLOW_TRACKING_URI says where it goes."""

  def __init__(self, config: base.Config) -> None:
    """Starts the run of model_dir, or resumes it."""
    self._mlflow = _module('mlflow')
    self._mlflow.set_experiment(config.train.tracking_project)
    identity = _known_identity(config.model_dir, 'mlflow')
    run = self._mlflow.start_run(
        run_id=identity, run_name=None if identity else _name(config))
    if not identity:
      self._mlflow.log_dict(base.to_dict(config), 'params.json')
    _keep_identity(config.model_dir, 'mlflow', run.info.run_id)

  def log(self, step: int, values: Mapping[str, float]) -> None:
    """Logs the values of a step.

    Args:
      step: int.
      values: {name: float}.
    """
    self._mlflow.log_metrics(dict(values), step=step)

  def finish(self) -> None:
    """Ends this start of the run."""
    self._mlflow.end_run()


TRACKERS: Dict[str, Callable[[base.Config], Any]] = {
    'wandb': WeightsAndBiases, 'mlflow': MLflow}


class TrackingHook(tf.train.SessionRunHook):
  """Passes on the lines of train_metrics.jsonl; errors do not end training."""

  def __init__(self, config: base.Config) -> None:
    """Keeps the experiment, whose `train.tracking` is set."""
    self._config = config
    self._tracker: Any = None

  def begin(self) -> None:
    with _survived():
      self._tracker = TRACKERS[self._config.train.tracking](self._config)

  def log(self, record: Mapping[str, float]) -> None:
    """Passes on {'step', name: value}."""
    if self._tracker is not None:
      values = {name: value for name, value in record.items()
                if name not in ('step', 'time')}
      with _survived():
        self._tracker.log(int(record['step']), values)

  def end(self, session: tf.Session) -> None:
    del session
    if self._tracker is not None:
      with _survived():
        self._tracker.finish()


def check(config: base.Config) -> None:
  """Raises errors.SetupError if the package of `train.tracking` is missing."""
  if config.train.tracking:
    _module(config.train.tracking)


@contextlib.contextmanager
def _survived() -> Iterator[None]:
  """A service that cannot be reached costs its curves, not the training run."""
  try:
    yield
  except Exception as e:  # pylint: disable=broad-except
    tf.logging.warning('train.tracking: %s: %s. Training continues.',
                       type(e).__name__, str(e)[:300].rstrip('.'))


def _module(name):
  try:
    return importlib.import_module(name)
  except ImportError as e:
    raise errors.SetupError(
        'train.tracking is %s, but its package cannot be imported (%s). '
        'Install it (`pip install %s`), or set the key to null.' % (
            name, e, name))


def _name(config):
  """The last two folders of model_dir, which may be called just `model`."""
  return '/'.join(os.path.abspath(config.model_dir).split(os.sep)[-2:])


def _identities(model_dir):
  return storage.read_json(os.path.join(model_dir, _FILE)) or {}


def _known_identity(model_dir, tracker):
  """How the tracker calls the run of this folder; None before its first."""
  return _identities(model_dir).get(tracker)


def _keep_identity(model_dir, tracker, identity):
  tf.gfile.MakeDirs(model_dir)
  storage.write_json(os.path.join(model_dir, _FILE),
                     dict(_identities(model_dir), **{tracker: identity}))
