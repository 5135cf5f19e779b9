"""run.json in model_dir: what a training run was started with.

params.yaml describes how the model is trained; this file records the code, the
packages, the data and the machine.
"""

import hashlib
import os
import platform
import re
import shlex
import subprocess
import time
from typing import Any, Dict, List, Optional, Sequence

import tensorflow.compat.v1 as tf

from configs import base
from dataloader import file_patterns
from modeling import storage
from utils import packages
from utils import processors
from utils import text_files
from utils import version

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# PREFIX-00000-of-00032.tfrecord, next to which PREFIX-index.json may be.
_SHARD = re.compile(r'-\d{5}-of-\d{5}(\.tfrecord)?$')
# Figures of an index that are worth repeating.
_COUNTS = ('num_records', 'num_objects', 'num_images_without_objects',
           'num_objects_by_class')
_OF_EARLIER = ('time', 'command', 'version', 'git', 'seed')


def path(model_dir: str) -> str:
  """The file in a model_dir."""
  return os.path.join(model_dir, 'run.json')


def write(config: base.Config, argv: Sequence[str], devices: str) -> None:
  """Writes the file, which also keeps the main facts about earlier starts.

  Args:
    config: experiment.
    argv: the command line.
    devices: a sentence about the devices.
  """
  before = read(config.model_dir) or {}
  earlier = before.get('earlier', [])
  if before:
    earlier = earlier + [{k: before.get(k) for k in _OF_EARLIER}]
  tf.gfile.MakeDirs(config.model_dir)
  storage.write_json(path(config.model_dir),
                     dict(describe(config, argv, devices), earlier=earlier))


def read(model_dir: str) -> Optional[Dict[str, Any]]:
  """What `write` wrote, or None."""
  return storage.read_json(path(model_dir))


def describe(config: base.Config, argv: Sequence[str],
             devices: str) -> Dict[str, Any]:
  """The content of the file without earlier starts; see `write`."""
  return {
      'time': time.strftime('%Y-%m-%d %H:%M:%S %z'),
      'command': ' '.join(['python'] + [shlex.quote(a) for a in argv]),
      'version': version.VERSION,
      'git': git_state(),
      'seed': config.train.seed,
      'machine': {'host': platform.node(), 'system': platform.platform(),
                  'processors': processors.available(), 'devices': devices},
      'python': platform.python_version(),
      'packages': packages.installed(),
      'data': {'train': data_set(config.train.train_file_pattern),
               'eval': data_set(config.eval.eval_file_pattern)}}


def git_state() -> Optional[Dict[str, Any]]:
  """{'commit', 'is_changed'} of this code; None where there is no git."""
  def git(*arguments):
    return subprocess.run(
        ('git', '-C', _ROOT) + arguments, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, timeout=20, check=True,
        text=True).stdout.strip()
  try:
    return {'commit': git('rev-parse', 'HEAD'), 'is_changed': bool(
        git('status', '--porcelain', '--untracked-files=no'))}
  except (OSError, subprocess.SubprocessError):
    return None


def data_set(pattern: Any) -> Optional[Dict[str, Any]]:
  """Facts about record files that need not be read for them.

  Args:
    pattern: `train.train_file_pattern` or `eval.eval_file_pattern`.

  Returns:
    {'pattern', 'num_files', 'num_bytes', 'sha256' of the names and sizes of the
    files, 'indexes': [{'path', 'sha256', and its counts}]}; None where no file
    matches.
  """
  try:
    paths = file_patterns.expand(pattern, 'the pattern')
  except ValueError:
    return None
  sizes = [tf.gfile.Stat(p).length for p in paths]
  listing = ''.join('%s %d\n' % (os.path.basename(p), size)
                    for p, size in zip(paths, sizes))
  return {'pattern': pattern if isinstance(pattern, str) else list(pattern),
          'num_files': len(paths), 'num_bytes': int(sum(sizes)),
          'sha256': hashlib.sha256(listing.encode('utf-8')).hexdigest(),
          'indexes': _indexes(paths)}


def _indexes(paths: Sequence[str]) -> List[Dict[str, Any]]:
  """The counts of the indexes next to the files, each index once."""
  found = []
  for prefix in dict.fromkeys(_SHARD.sub('', p) for p in paths):
    index_path = prefix + '-index.json'
    if not tf.gfile.Exists(index_path):
      continue
    text = text_files.read(index_path)
    index = text_files.read_json(index_path)
    found.append(dict({
        'path': index_path,
        'sha256': hashlib.sha256(text.encode('utf-8')).hexdigest()
    }, **{key: index[key] for key in _COUNTS if key in index}))
  return found
