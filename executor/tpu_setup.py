"""Checks that a TPU can be used: its name, its cores, and access to files."""

import importlib.util
import re
import socket
from typing import Any, Callable, Optional

import tensorflow.compat.v1 as tf

from configs import base
from executor import errors
from modeling import storage
from ops import compat
from utils import tpu_names

_ANSWER_SECONDS = 300  # for a TPU to list its cores
_CONNECT_SECONDS = 20  # for its machine to accept a connection
_ADDRESS = re.compile(r'^(?:grpc://)?([^:/]+):(\d+)$')
_CLIENT_PACKAGES = ('googleapiclient', 'oauth2client')
TRAINING_MODES = ('train', 'train_and_eval')
# Keys of the files that the machine of a TPU node reads or writes, by mode.
_TRAINING_FILES = ('train.train_file_pattern',
                   'train.pre_parser_dataset.file_pattern',
                   'train.checkpoint.path')
_EVAL_FILES = ('eval.eval_file_pattern',)
_PREDICT_FILES = ('predict.predict_file_pattern',)


def check_name(platform: base.Section) -> str:
  """Checks the name of a TPU without network access.

  Args:
    platform: section `platform`.

  Returns:
    The name or address of the TPU.

  Raises:
    errors.SetupError: saying which flags to give.
  """
  name, source = tpu_names.resolve(platform.tpu)
  if name == tpu_names.LOCAL and not compat.HAS_TPU_VMS:
    raise errors.SetupError(
        '%s=local is a TPU VM, which TensorFlow 1.15 cannot drive: use the '
        'environment of TensorFlow 2.15 (RUNTIME=tf2, with its TPU build), or '
        'name a TPU node.' % source)
  if name and name != tpu_names.LOCAL and not tpu_names.is_address(name):
    missing = [p for p in _CLIENT_PACKAGES
               if importlib.util.find_spec(p) is None]
    if missing:
      raise errors.SetupError(
          'To look up the TPU %s by its name, %s is missing: pip install '
          '"google-api-python-client<2" oauth2client. Its address needs '
          'neither: --tpu=grpc://HOST:8470, of `gcloud compute tpus list`.' % (
              name, ' and '.join(missing)))
  return name


def resolve(platform: base.Section, make_resolver: Callable[..., Any]) -> Any:
  """Calls a cluster resolver, and explains its errors.

  Args:
    platform: section `platform`.
    make_resolver: (tpu, zone=, project=) -> cluster resolver.

  Returns:
    The cluster resolver.

  Raises:
    errors.SetupError: saying which flags to give.
  """
  name = platform.tpu or None
  try:
    return make_resolver(name, zone=platform.tpu_zone,
                         project=platform.gcp_project)
  except Exception as e:  # pylint: disable=broad-except
    # Its clients have errors of their own, in packages that may be missing.
    raise errors.SetupError(
        'There is no TPU %s: %s%s Give its name or grpc:// address with --tpu '
        '(and --tpu_zone, --gcp_project), "local" on a TPU VM, or leave '
        '--use_tpu out.' % (
            tpu_names.resolve(name)[0] or '(--tpu is not given)', _stop(e),
            _where_hint(platform)))


def _stop(error):
  text = str(error).strip() or type(error).__name__
  return text if text.endswith('.') else text + '.'


def _where_hint(platform):
  """A sentence about the zone and the project, where they are not given."""
  missing = [flag for flag, value in (('--tpu_zone', platform.tpu_zone),
                                      ('--gcp_project', platform.gcp_project))
             if not value]
  name = tpu_names.resolve(platform.tpu)[0]
  if (not missing or not name or name == tpu_names.LOCAL
      or tpu_names.is_address(name)):
    return ''
  return (' Without %s, they are read from the metadata server, which only '
          'machines of Google Cloud have.' % ' and '.join(missing))


def count_cores(name: str, cluster: Any,
                count: Optional[Callable[[Any], int]] = None) -> int:
  """Counts the cores of all hosts of a slice, after a line that announces it.

  Args:
    name: str, for the messages.
    cluster: resolver.
    count: (cluster) -> int, instead of asking the TPU.

  Returns:
    int.

  Raises:
    errors.SetupError: when there is no core, or no answer.
  """
  tf.logging.info('Asking the TPU %s for its cores, for %d s at most.',
                  name, _ANSWER_SECONDS)
  try:
    if count is None:
      _check_reachable(name, cluster)
    found = (count or _list_cores)(cluster)
  except errors.SetupError:
    raise
  except Exception as e:  # pylint: disable=broad-except
    # As above: a name is looked up here.
    raise errors.SetupError('The TPU %s does not answer: %s' % (name, _stop(e)))
  if not found:
    raise errors.SetupError(
        'TensorFlow finds no TPU core at %s. On a TPU VM it has to be the TPU '
        'build (docs/tpu.md), and no other process may hold the chips.' % name)
  return found


def _check_reachable(name, cluster):
  """Connects to all hosts; TensorFlow would wait for a dead one for minutes."""
  addresses = [cluster.master() or '']
  spec = cluster.cluster_spec()
  if spec:
    for job in spec.jobs:
      addresses += spec.job_tasks(job)
  for address in dict.fromkeys(addresses):
    found = _ADDRESS.match(address)
    if not found:
      continue
    host, port = found.group(1), int(found.group(2))
    try:
      socket.create_connection((host, port), _CONNECT_SECONDS).close()
    except OSError as e:
      raise errors.SetupError(
          'No server answers at %s:%d, where the TPU %s should be (%s). Is it '
          'running (`gcloud compute tpus list`, state READY), and is this '
          'machine in its network?' % (host, port, name, e))


def _list_cores(cluster):
  hosts = cluster.cluster_spec()
  options = tf.ConfigProto(
      operation_timeout_in_ms=_ANSWER_SECONDS * 1000,
      cluster_def=hosts.as_cluster_def() if hosts else None)
  with tf.Graph().as_default(), tf.Session(cluster.master(),
                                           config=options) as session:
    return sum(d.device_type == 'TPU' for d in session.list_devices())


def reset_node(name: str, cluster: Any) -> None:
  """Ends the sessions of earlier jobs on the server of a TPU node.

  A job that was killed leaves its session there, with variables and queues in
  the memory of the TPU. All sessions end, so only training jobs, which need the
  TPU for themselves, may call this.

  Args:
    name: str, for the messages.
    cluster: resolver.

  Raises:
    errors.SetupError: if they cannot be ended.
  """
  address = cluster.master()
  if not tpu_names.is_node(name) or not address:
    return
  tf.logging.info('Ending the sessions that earlier jobs left at %s.', address)
  try:
    tf.Session.reset(address, config=tf.ConfigProto(
        operation_timeout_in_ms=_ANSWER_SECONDS * 1000))
  except tf.errors.OpError as e:
    raise errors.SetupError('The sessions of the TPU %s cannot be reset: %s' % (
        name, _stop(e)))


def say_about_preemption(name: str) -> None:
  """Warns that the preemption of a node given by its address is not noticed."""
  if name and tpu_names.is_node(name) and tpu_names.is_address(name):
    tf.logging.info(
        'The TPU is given by its address, so its preemption is not noticed: a '
        'job may then wait forever. With --tpu=NAME it is (docs/tpu.md).')


def check_partition(config: base.Config) -> None:
  """Checks that spatial partitioning says how the images are divided.

  Args:
    config: experiment.

  Raises:
    errors.SetupError: with the key.
  """
  dims = config.train.input_partition_dims
  if dims is not None and (
      len(dims) not in (1, 2) or dims[0] in (None, 'None')):
    raise errors.SetupError(
        'train.input_partition_dims is %r. It has one or two entries, for the '
        'images and the labels, and the first is not null: labels are divided '
        'like their images.' % [list(d) if isinstance(d, tuple) else d
                               for d in dims])


def check_places(config: base.Config, mode: str,
                 with_eval: bool = False) -> None:
  """Checks that the machine of a TPU node can reach its files.

  Args:
    config: experiment.
    mode: that of main.py.
    with_eval: whether mode train ends with an evaluation.

  Raises:
    errors.SetupError: naming the keys with local paths.
  """
  if not config.use_tpu or not tpu_names.is_node(config.platform.tpu):
    return
  keys = ['model_dir']
  keys += _TRAINING_FILES if mode in TRAINING_MODES else ()
  keys += _EVAL_FILES if mode in ('eval', 'train_and_eval') or with_eval else ()
  if mode == 'predict':
    keys += (_PREDICT_FILES if config.predict.predict_file_pattern
             else _EVAL_FILES)
  local = [(key, path) for key in keys for path in _paths(config, key)
           if not storage.is_remote(path)]
  if local:
    raise errors.SetupError(
        'The TPU %s is a node: its own machine reads the records and writes '
        'the checkpoints, and it does not see the files of this one. Put these '
        'into a bucket (gs://...):\n%s' % (
            tpu_names.resolve(config.platform.tpu)[0], '\n'.join(
                '  %s: %s' % item for item in local)))


def _paths(config, key):
  """[path] of a key, which may be a pattern, a list of them or unset."""
  value = base.lookup(config, key) or ()
  values = value.split(',') if isinstance(value, str) else value
  return [v.strip() for v in values if v.strip()]
