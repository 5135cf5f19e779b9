"""Shards of an earlier conversion, which patterns would match with new ones."""

import json
import os
from typing import List, Sequence

from dataloader import file_patterns
from ops import tensorflow_later as tf
from tools.datasets import annotation_checks


def find(prefix: str, extension: str = '.tfrecord',
         overwrite: bool = False) -> List[str]:
  """Shards under a prefix, all written by a converter of ours before.

  Args:
    prefix: path prefix of the shards, and of their index.
    extension: the extension of the shards.
    overwrite: whether shards that no index lists may be replaced.

  Returns:
    [path].

  Raises:
    ConversionError: naming a shard that no index lists.
  """
  pattern = (file_patterns.escape(prefix) + '-' + 5 * '[0-9]' + '-of-'
             + 5 * '[0-9]' + extension)
  existing = file_patterns.glob(pattern)
  listed = _listed(prefix + '-index.json')
  strange = [p for p in existing if os.path.basename(p) not in listed]
  if strange and not overwrite:
    raise annotation_checks.ConversionError(
        '%s and %d more files are already there, and %s-index.json does not '
        'list them. Remove them, choose another prefix, or use --overwrite.'
        % (strange[0], len(strange) - 1, prefix))
  return existing


def remove(old_shards: Sequence[str], shards: Sequence[str]) -> None:
  """Removes those of the old shards that were not written again."""
  for path in sorted(set(old_shards) - set(shards)):
    tf.gfile.Remove(path)
    print('Removed %s of an earlier conversion.' % path)


def _listed(path):
  """Names of the shards in an index; none when there is no such file."""
  if not tf.gfile.Exists(path):
    return set()
  with tf.gfile.Open(path) as f:
    try:
      return {shard['file'] for shard in json.load(f)['shards']}
    except (ValueError, KeyError, TypeError):
      return set()  # It is not of this program, so neither are the shards.
