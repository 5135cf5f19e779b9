"""Chooses among rows of the model zoo that have the same variables.

They differ in what a checkpoint's names and shapes do not tell: the activation,
the size of images, how long training took. What came with the checkpoint does:
the configuration beside it, its graph, its step, its name.
"""

import os
import re
from typing import Any, List, NamedTuple, Optional, Sequence

import tensorflow.compat.v1 as tf

from configs import base
from configs import io
from tools.zoo import rows as zoo_rows
from tools.zoo import variable_lists

# Keys that make another function of the same variables, or other images of it.
_MEANING = re.compile(
    r'batch_norm_activation\.activation$|\w+_parser\.output_size$')
_MAX_GRAPH = 2**29  # bytes of a .meta file that is read


class Evidence(NamedTuple):
  """What came with a checkpoint.

  Attributes:
    prefix: its prefix.
    step: None if it is not known.
    name: name of the archive or folder.
    config_files: paths of YAML files.
  """
  prefix: str
  step: Optional[int]
  name: str
  config_files: List[str]


class Choice(NamedTuple):
  """A row of the zoo, chosen.

  Attributes:
    row: that one.
    reason: why that one.
    others: [(zoo_rows.Row, {key: (value of the row, value of the other)})] that
      remain possible and mean something else.
  """
  row: zoo_rows.Row
  reason: str
  others: Any


def choose(rows: Sequence[zoo_rows.Row], evidence: Evidence) -> Choice:
  """Chooses the row that a checkpoint most probably is.

  Args:
    rows: [zoo_rows.Row] of the same variables.
    evidence: Evidence.

  Returns:
    Choice.
  """
  configs = {row: base.flatten(variable_lists.config_of(row)) for row in rows}
  left, reasons = list(rows), []
  for find in (_by_config_file, _by_graph, _by_step, _by_name):
    if len(left) > 1:
      kept, reason = find(left, configs, evidence)
      if kept and len(kept) < len(left):
        left = kept
        reasons.append(reason)
  # Upstream's own file before one that follows its table.
  row = min(left, key=lambda r: r.config_file.startswith('zoo/'))
  others = [(other, _differences(configs[row], configs[other]))
            for other in left if other is not row]
  if len(rows) == 1:
    reasons = ['names and shapes are those of this row alone']
  elif len(left) > 1:
    reasons.append('the first of %d rows with these variables' % len(left))
  return Choice(row, '; '.join(reasons), [
      (other, changes) for other, changes in others if changes])


def _differences(here, there):
  return {key: (here[key], there[key]) for key in sorted(here)
          if _MEANING.search(key) and here[key] != there.get(key)}


def _by_config_file(rows, configs, evidence):
  """Rows that agree with a YAML file next to the checkpoint."""
  for path in evidence.config_files:
    try:
      given = base.flatten_mapping(io.read_yaml(path)[0])
    except base.ConfigError:
      continue
    keys = [key for key in _telling_keys(rows, configs) if key in given]
    kept = [row for row in rows if all(
        _plain(configs[row][key]) == _plain(given[key]) for key in keys)]
    if kept and keys:
      return kept, 'by its %s' % os.path.basename(path)
  return [], ''


def _plain(value):
  """A value as both a configuration and a file have it."""
  return list(value) if isinstance(value, (list, tuple)) else value


def _telling_keys(rows, configs):
  """Keys of meaning in which some of the rows differ."""
  return [key for key, value in configs[rows[0]].items()
          if _MEANING.search(key)
          and any(configs[row].get(key) != value for row in rows)]


def _by_graph(rows, configs, evidence):
  """Rows that have the activation of the graph in the .meta file."""
  key = 'batch_norm_activation.activation'
  if len({configs[row][key] for row in rows}) < 2:
    return [], ''
  activation = activation_of(evidence.prefix + '.meta', 'spinenet/')
  return ([row for row in rows if configs[row][key] == activation],
          'the graph in its .meta file has %s' % activation)


def activation_of(path: str, scope: str) -> Optional[str]:
  """The activation within a scope of a stored graph.

  Args:
    path: path of a .meta file; it need not exist.
    scope: beginning of the names of operations; one without gates.

  Returns:
    'swish', 'relu', or None where that does not show.
  """
  try:
    if os.path.getsize(path) > _MAX_GRAPH:
      return None
    with open(path, 'rb') as f:
      graph = tf.MetaGraphDef.FromString(f.read()).graph_def
  except Exception:  # pylint: disable=broad-except
    # No such file, or not a graph: protobuf's errors depend on its version.
    return None
  kinds = {node.op.lower() for node in graph.node
           if node.name.startswith(scope)}
  if any('swish' in kind or kind == 'sigmoid' for kind in kinds):
    return 'swish'
  return 'relu' if 'relu' in kinds else None


def _by_step(rows, configs, evidence):
  """Rows that end at the step of the checkpoint."""
  kept = [row for row in rows
          if configs[row]['train.total_steps'] == evidence.step]
  return kept, ('its step, %s, is the last step of that training run'
                % evidence.step)


def _by_name(rows, configs, evidence):
  """Rows of which the name of the archive has most of the words."""
  del configs
  words = _words(evidence.name)
  scores = {row: len(words & _words_of(row)) for row in rows}
  best = max(scores.values())
  return ([row for row in rows if scores[row] == best],
          'its name is %r' % evidence.name)


def _words_of(row):
  """The words that the archive of a row may be called by."""
  words = _words(os.path.basename(row.config_file)) - {'yaml'}
  # So upstream calls the archives of its longest training.
  return words | {'best'} if 'swish' in row.name else words


def _words(name):
  """The parts of a name, 'spinenet-49' as 'spinenet49'."""
  return set(re.findall(r'[a-z0-9]+', re.sub(
      r'([a-z])-(\d)', r'\1\2', name.lower())))
