"""The check of one configuration: lower, compare, compile."""

import os
from typing import Any, Callable, Dict, List, Optional

from configs import base
from configs import io
from ops import compat
from tools.tpu import environments
from tools.tpu import report
from tools.tpu import step_files
from tools.tpu import steps

# Relative differences of a loss. XLA of TF 1.15 adds long sums up one by one.
TOLERANCE = 1e-4 if compat.IS_TF2 else 1e-2
_OLD_XLA_FLAGS = '--xla_backend_optimization_level=0'


def for_tpu(config: base.Config,
            image_size: Optional[int] = None) -> base.Config:
  """The configuration as a TPU job would have it.

  Args:
    config: an experiment of configs.factory.
    image_size: int, height and width instead of the configured ones.

  Returns:
    The experiment.
  """
  changes: Dict[str, Any] = {'use_tpu': True}
  if image_size:
    changes[config.architecture.parser + '.output_size'] = [image_size] * 2
    if config.type == 'segmentation':
      changes['segmentation_parser.resize_eval'] = True
  return base.override(config, io.nest(changes), source='the flags')


class Check:
  """Checks the steps of one configuration."""

  def __init__(self, config: base.Config, folder: str,
               replicas: int = 1) -> None:
    """Takes what all parts need.

    Args:
      config: result of `for_tpu`.
      folder: for files; subfolders are made.
      replicas: int, devices that share a training step.
    """
    self._config = config
    self._folder = folder
    self._replicas = replicas

  def _devices_of(self, job):
    """(replicas, devices of each): only training has several of either."""
    if job != 'train':
      return 1, 1
    return self._replicas, self._config.train.num_cores_per_replica or 1

  def lower(self, job: str, batch_size: int,
            wants_module: bool = False) -> Dict[str, Any]:
    """Builds a step and lowers it.

    Args:
      job: one of steps.JOBS, or 'evaluate'.
      batch_size: int, of a replica.
      wants_module: whether `compile` is to follow.

    Returns:
      dict of tools.tpu.hlo_lowering, with `infeed_bytes` and `folder`.
    """
    step = steps.export(self._config, job, batch_size, self._devices_of(job)[0])
    folder = os.path.join(self._folder, '%s-%d' % (job, batch_size))
    found = environments.lower(
        step, folder, environments.bridge_python(compat.IS_TF2), wants_module)
    return dict(found, folder=folder, job=job,
                infeed_bytes=step_files.infeed_bytes(step))

  def compile(self, found: Dict[str, Any], topology: str, batch_size: int,
              text: bool = False) -> Dict[str, Any]:
    """Compiles what `lower` found, for a TPU.

    Args:
      found: result of `lower`.
      topology: such as 'v3:2x2'.
      batch_size: int, for the result.
      text: whether to keep the text of the program.

    Returns:
      dict of tools.tpu.compiler, with `batch` and, if it compiled, `figures`.
    """
    replicas, partitions = self._devices_of(found['job'])
    result = environments.compile_for(
        found['folder'], topology, environments.compiler_python(), replicas,
        partitions, text)
    result['batch'] = batch_size
    if 'error' not in result:
      result['figures'] = report.figures(result, found['infeed_bytes'])
    return result

  def largest_batch(self, first: Dict[str, Any],
                    show: Callable[[Dict[str, Any]], None],
                    job: str = 'train') -> int:
    """Finds the largest batch of a replica that fits.

    Estimates it from two compilations and confirms it by a third; where that
    one does not fit after all, smaller ones follow.

    Args:
      first: result of `compile`, a batch that fits.
      show: function of a result of `compile`, called for every one.
      job: see `lower`.

    Returns:
      int.

    Raises:
      environments.ToolError: if the compiler refuses for another reason.
    """
    topology, known = first['topology'], [first]

    def attempt(batch_size):
      result = self.compile(
          self.lower(job, batch_size, True), topology, batch_size)
      show(result)
      if 'error' in result and 'RESOURCE_EXHAUSTED' not in result['error']:
        raise environments.ToolError(result['error'])
      known.append(result)
      return 'error' not in result

    size = first['batch']
    if not attempt(2 * size) and not (size > 1 and attempt(size // 2)):
      return size
    fitting = [r for r in known if 'error' not in r]
    refused = [r['batch'] for r in known if 'error' in r]
    estimate = report.largest_batch(
        [r['batch'] for r in fitting],
        [r['figures']['needed_bytes'] for r in fitting],
        first['figures']['available_bytes'])
    best = max(r['batch'] for r in fitting)
    estimate = max(best, min([estimate] + [b - 1 for b in refused]))
    while estimate > best and not attempt(estimate):
      # Close to the limit memory grows faster than the line; 5% down.
      estimate = max(best, estimate - max(1, estimate // 20))
    return estimate

  def compare(self, batch_size: int) -> List[Any]:
    """Runs the training step plain and by XLA on this machine.

    Args:
      batch_size: int.

    Returns:
      [comparison.Line].
    """
    if not compat.IS_TF2:
      # It takes half an hour to optimize what runs once.
      os.environ.setdefault('XLA_FLAGS', _OLD_XLA_FLAGS)
    from tools.tpu import comparison
    return comparison.compare(steps.one_device(self._config), batch_size)
