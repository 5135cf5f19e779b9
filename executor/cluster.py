"""The hosts of a training run on several of them, as TF_CONFIG names them.

TF_CONFIG is TensorFlow's own variable: every process gets the addresses of all
workers and its place among them. Kubernetes operators and schedulers set it.
"""

import contextlib
import json
import os
from typing import Iterator, Mapping, Optional, Sequence

from executor import errors

_VARIABLE = 'TF_CONFIG'
_EXAMPLE = ('{"cluster": {"worker": ["host0:2222", "host1:2222"]}, '
            '"task": {"type": "worker", "index": 0}}')
_TRAINING_JOBS = ('chief', 'worker')
_EVALUATOR = 'evaluator'
_OTHER_JOBS = {
    'ps': 'there are no parameter servers: every worker holds the whole model '
          'and they average their gradients. Leave "ps" out',
    'master': 'its name is "chief" here',
    _EVALUATOR: 'the evaluator is a process outside the cluster: leave it out '
                'of "cluster"; only its own "task" names it',
}


class Cluster:
  """The workers of a training run and which of them this process is."""

  def __init__(self, workers: Sequence[str], index: Optional[int]) -> None:
    """Keeps the arguments.

    Args:
      workers: [address], the chief first.
      index: int, the place of this process; None for an evaluator.
    """
    self.workers = workers
    self.index = index

  @property
  def num_workers(self) -> int:
    return len(self.workers)

  @property
  def is_chief(self) -> bool:
    """Whether this process writes checkpoints, logs and results."""
    return self.index == 0

  @property
  def is_evaluator(self) -> bool:
    return self.index is None


def read(environment: Optional[Mapping[str, str]] = None) -> Optional[Cluster]:
  """The cluster of this process.

  Args:
    environment: {name: value} instead of os.environ.

  Returns:
    Cluster, or None where one process does everything.

  Raises:
    errors.SetupError: saying what is wrong with TF_CONFIG.
  """
  text = (os.environ if environment is None else environment).get(_VARIABLE)
  if not (text or '').strip():
    return None
  try:
    values = json.loads(text)
  except ValueError as e:
    raise _error('is not JSON (%s)' % e)
  values = _block(values, 'the whole')
  jobs = _jobs(values)
  task_type, index = _task(values)
  workers = [address for job in _TRAINING_JOBS for address in jobs.get(job, [])]
  if task_type == _EVALUATOR:
    return Cluster(workers, None)
  if not workers:
    return None
  if task_type not in jobs:
    raise _error('names no address of this process: its task is %r, "cluster" '
                 'has %s' % (task_type, ', '.join(sorted(jobs))))
  if not 0 <= index < len(jobs[task_type]):
    raise _error('gives this process the index %d of %r, of which "cluster" '
                 'names %d (from 0 on)' % (
                     index, task_type, len(jobs[task_type])))
  if len(workers) == 1:
    return None
  if task_type == 'worker':
    index += len(jobs.get('chief', []))
  return Cluster(workers, index)


def _error(problem):
  return errors.SetupError(
      'The environment variable %s %s. It has to be like %s; or unset it, and '
      'this process works alone.' % (_VARIABLE, problem, _EXAMPLE))


def _block(value, name):
  if not isinstance(value, dict):
    raise _error('is wrong: %s must be a JSON object, not %r' % (name, value))
  return value


def _jobs(values):
  """{job: [address]} of the cluster."""
  jobs = _block(values.get('cluster', {}), '"cluster"')
  for job, addresses in jobs.items():
    if job in _OTHER_JOBS:
      raise _error('has %r in "cluster": %s' % (job, _OTHER_JOBS[job]))
    if job not in _TRAINING_JOBS:
      raise _error('has the unknown job %r in "cluster", which has %s' % (
          job, ' and '.join(_TRAINING_JOBS)))
    if not isinstance(addresses, list) or not addresses or not all(
        isinstance(a, str) and ':' in a for a in addresses):
      raise _error('must list addresses "host:port" for %r, not %r' % (
          job, addresses))
  if len(jobs.get('chief', [''])) != 1:
    raise _error('has %d chiefs; one is needed' % len(jobs['chief']))
  addresses = sorted(a for job in jobs.values() for a in job)
  twice = [a for a, b in zip(addresses, addresses[1:]) if a == b]
  if twice:
    raise _error('names the address %s twice' % twice[0])
  return jobs


def _task(values):
  """(type, index) of this process."""
  task = _block(values.get('task', {}), '"task"')
  task_type, index = task.get('type', 'worker'), task.get('index', 0)
  if task_type not in _TRAINING_JOBS + (_EVALUATOR,):
    raise _error('gives this process the task %r; it can be %s' % (
        task_type, ', '.join(_TRAINING_JOBS + (_EVALUATOR,))))
  try:
    return task_type, int(index)  # Some schedulers write it as text.
  except (TypeError, ValueError):
    raise _error('has the index %r in "task", which is not a number' % (index,))


def check_mode(cluster: Optional[Cluster], mode: str,
               use_tpu: bool = False) -> None:
  """Checks that a process of a cluster can run a mode of main.py.

  Args:
    cluster: Cluster or None.
    mode: that of main.py.
    use_tpu: bool.

  Raises:
    errors.SetupError: saying which process runs what.
  """
  if cluster is None:
    return
  if use_tpu:
    raise errors.SetupError(
        'TF_CONFIG names %d workers, and --use_tpu is given. A TPU Pod is '
        'driven by one process: unset TF_CONFIG.' % cluster.num_workers)
  if cluster.is_evaluator and mode != 'eval':
    raise errors.SetupError(
        'TF_CONFIG makes this process the evaluator, which runs with '
        '--mode=eval, not --mode=%s.' % mode)
  if not cluster.is_evaluator and mode != 'train':
    raise errors.SetupError(
        'TF_CONFIG makes this process worker %d of %d, and --mode=%s works in '
        'one process. Train with --mode=train on all workers, and evaluate '
        'with --mode=eval in a separate process without TF_CONFIG.' % (
            cluster.index, cluster.num_workers, mode))


@contextlib.contextmanager
def hidden() -> Iterator[None]:
  """Hides TF_CONFIG from RunConfig, for work that one process does alone."""
  text = os.environ.pop(_VARIABLE, None)
  try:
    yield
  finally:
    if text is not None:
      os.environ[_VARIABLE] = text
