"""Lists the variables of a checkpoint: names, shapes, types.

  python -m tools.inspect_checkpoint /runs/my_model          # the newest there
  python -m tools.inspect_checkpoint model.ckpt-1000 --match=fpn

Ends with the number of parameters, with what the names and shapes say about
settings that a configuration has to agree with, and with the rows of the model
zoo that have these variables.
"""

import argparse
import re
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

from ops import tensorflow_later as tf
from utils import training_names

# Slots of optimizers; their last part follows the name of a variable.
_SLOTS = re.compile(r'/(%s)$|^training/num_' % '|'.join(training_names.SLOTS))


class Variable(NamedTuple):
  """A variable of a checkpoint.

  Attributes:
    name: as the checkpoint has it.
    shape: its shape.
    dtype: tf.DType.
  """
  name: str
  shape: List[int]
  dtype: Any


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
  """Command line to a namespace."""
  parser = argparse.ArgumentParser(
      prog='python -m tools.inspect_checkpoint', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('path', help='model_dir, whose newest checkpoint is '
                                   'used, or a checkpoint: the part of its '
                                   "files' names before .index")
  parser.add_argument('--match', metavar='REGEX', default='',
                      help='list only names that match somewhere')
  return parser.parse_args(argv)


def read_variables(path: str) -> Tuple[str, List[Variable]]:
  """The variables of a checkpoint, without loading their values.

  Args:
    path: a folder or the prefix of a checkpoint.

  Returns:
    The prefix, and [Variable] sorted by name.

  Raises:
    ValueError: if there is no checkpoint.
  """
  from modeling import checkpoint_files
  prefix = re.sub(r'\.(index|meta|data-\d+-of-\d+)$', '', path)
  if tf.gfile.IsDirectory(path):
    prefix = checkpoint_files.latest(path)
    if not prefix:
      raise ValueError('%s has no checkpoint: neither a file `checkpoint` that '
                       'names one, nor files *.index.' % path)
  try:
    reader = tf.train.load_checkpoint(prefix)
  except (tf.errors.OpError, ValueError) as e:
    raise ValueError('%s is not a checkpoint: give a folder, or the part '
                     'before .index (%s).' % (path, str(e).split('\n')[0]))
  dtypes = reader.get_variable_to_dtype_map()
  return prefix, [
      Variable(name, list(shape), dtypes[name].name)
      for name, shape in sorted(reader.get_variable_to_shape_map().items())]


def settings(variables: Sequence[Variable]) -> List[str]:
  """What names and shapes say about settings.

  Args:
    variables: [Variable].

  Returns:
    [str], one line for each setting that shows.
  """
  names = [v.name for v in variables if not _SLOTS.search(v.name)]
  shapes = {v.name: v.shape for v in variables}
  lines = []
  for scope in sorted({name.split('/')[0] for name in names}):
    if re.match(r'resnet\d+$|spinenet|efficientnet', scope):
      lines.append('backbone: %s' % scope)
    if scope.startswith('efficientnet') and any(
        name.startswith(scope + '/head/') for name in names):
      lines.append('%s/head: the ImageNet head; no model here has it, and it '
                   'is not loaded' % scope)
  cells = _numbers(names, r'fpn_cells/cell_(\d+)/')
  if cells:
    lines.append('nasfpn.num_repeats: %d' % (max(cells) + 1))
  if any(name.startswith('rpn_head/rpn') for name in names):
    convs = _numbers(names, r'rpn_head/rpn-(\d+)/')
    lines.append('rpn_head.num_convs: %d' % (1 + max(convs or [0])))
  endpoints = _endpoint_width(shapes)
  if endpoints:
    lines.append('spinenet.endpoints_num_filters: %d' % endpoints)
  return lines


def zoo_rows(variables: Sequence[Variable]) -> List[str]:
  """The rows of the model zoo that have these variables.

  Args:
    variables: [Variable].

  Returns:
    [str], a line for each row.
  """
  from tools.zoo import recognition
  from tools.zoo import variable_lists
  found = recognition.recognise({v.name: v.shape for v in variables},
                                variable_lists.read())
  if not recognition.is_exact(found):
    return []
  return ['model zoo: %s, %s (%s)%s' % (
      row.section, row.name, row.config_file,
      ', with %d classes' % found.num_classes if found.num_classes else '')
          for row in found.rows]


def _numbers(names, pattern):
  matches = [re.match(pattern, name) for name in names]
  return [int(match.group(1)) for match in matches if match]


def _endpoint_width(shapes):
  """Channels of SpineNet's five last convolutions, or None."""
  convs = {int(match.group(1)): shape for match, shape in (
      (re.match(r'spinenet/conv2d_(\d+)/kernel$', name), shape)
      for name, shape in shapes.items()) if match}
  return convs[max(convs)][-1] if convs else None


def run(arguments: argparse.Namespace) -> None:
  """Prints the list.

  Args:
    arguments: namespace of `parse_arguments`.

  Raises:
    ValueError: if there is no checkpoint.
  """
  prefix, variables = read_variables(arguments.path)
  print(prefix)
  shown = [v for v in variables if re.search(arguments.match, v.name)]
  width = max([len(v.name) for v in shown] or [0])
  for v in shown:
    print('%-*s  %-8s %s' % (width, v.name, v.dtype, v.shape))
  values = 0
  for v in shown:
    size = 1
    for dimension in v.shape:
      size *= dimension
    if not _SLOTS.search(v.name):
      values += size
  print('%d of %d variables; %.3f M values without those of optimizers' % (
      len(shown), len(variables), values / 1e6))
  for line in settings(variables) + zoo_rows(variables):
    print(line)


def main(argv: Optional[Sequence[str]] = None) -> None:
  arguments = parse_arguments(argv)
  try:
    run(arguments)
  except (ValueError, re.error) as e:
    raise SystemExit('Error: %s' % e)


if __name__ == '__main__':
  main()
