"""Lists, verifies, compares and averages checkpoints.

  python -m tools.inspect_checkpoint /runs/my_model          # the newest there
  python -m tools.inspect_checkpoint model.ckpt-1000 --match=fpn
  python -m tools.inspect_checkpoint model.ckpt-1000 --verify
  python -m tools.inspect_checkpoint model.ckpt-1000 --compare=model.ckpt-2000
  python -m tools.inspect_checkpoint model.ckpt-1000 --config_file=my.yaml
  python -m tools.inspect_checkpoint model.ckpt-3000 \\
      --average_with model.ckpt-2000 model.ckpt-1000 --output=/runs/mean.ckpt

Without further flags it lists names, shapes and types, the number of
parameters, settings of the configuration that follow from names and shapes, and
the rows of the model zoo that have these variables.

Exit codes: 0 done, complete, or equal; 1 damaged, different, or another model;
2 wrong flags.
"""

import argparse
import re
import sys
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

from configs import base
from ops import tensorflow_later as tf
from tools.common import config_arguments
from utils import training_names

# Slots of optimizers; their last part follows the name of a variable.
_SLOTS = re.compile(r'/(%s)$|^training/num_' % '|'.join(training_names.SLOTS))


class Variable(NamedTuple):
  """A variable of a checkpoint.

  Attributes:
    name: its name in the checkpoint.
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
  parser.add_argument('--verify', action='store_true',
                      help='read every value: files there and of the right '
                           'length, checksums, finite numbers')
  parser.add_argument('--compare', metavar='PATH', help='a second checkpoint')
  parser.add_argument('--average_with', metavar='PATH', nargs='+',
                      help='further checkpoints, for the mean of all; moving '
                           'averages count where there are some, and the step '
                           'is that of the first')
  parser.add_argument('--output', metavar='PREFIX',
                      help='new checkpoint of --average_with')
  config_arguments.add(parser)
  arguments = parser.parse_args(argv)
  if bool(arguments.average_with) != bool(arguments.output):
    parser.error('--average_with and --output belong together')
  return arguments


def find(path: str) -> str:
  """The prefix of the checkpoint that a path means.

  Args:
    path: a folder, a prefix, or one of the files of a checkpoint.

  Raises:
    ValueError: if it is a folder without a checkpoint.
  """
  from modeling import checkpoint_files
  if not tf.gfile.IsDirectory(path):
    return re.sub(r'\.(index|meta|data-\d+-of-\d+)$', '', path)
  prefix = checkpoint_files.latest(path)
  if not prefix:
    raise ValueError('%s has no checkpoint: neither a file `checkpoint` that '
                     'names one, nor files *.index.' % path)
  return prefix


def read_variables(path: str) -> Tuple[str, List[Variable]]:
  """The variables of a checkpoint, without loading their values.

  Args:
    path: a folder or the prefix of a checkpoint.

  Returns:
    The prefix, and [Variable] sorted by name.

  Raises:
    ValueError: if there is no checkpoint.
  """
  prefix = find(path)
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


def verify(arguments: argparse.Namespace) -> int:
  """Reads all of a checkpoint; returns the exit code."""
  from modeling import whole_checkpoint
  prefix = find(arguments.path)
  whole_checkpoint.verify(prefix)
  print('%s is complete: every value can be read, agrees with its checksum and '
        'is finite.' % prefix)
  return 0


def compare(arguments: argparse.Namespace) -> int:
  """Prints what two checkpoints have otherwise; returns the exit code."""
  from modeling import checkpoint_arithmetic
  paths = [read_variables(p)[0] for p in (arguments.path, arguments.compare)]
  found = [d for d in checkpoint_arithmetic.differences(*paths)
           if re.search(arguments.match, d.name)]
  for difference in found:
    print('%s: %s' % (difference.name, difference.what))
  print('%d variables differ between %s and %s.' % (
      len(found), paths[0], paths[1]))
  return 1 if found else 0


def compare_with_config(arguments: argparse.Namespace) -> int:
  """Prints what a checkpoint lacks for a configuration; the exit code."""
  config = config_arguments.load(arguments)
  prefix, variables = read_variables(arguments.path)
  config_arguments.start_tensorflow()
  from modeling import statistics
  wanted = {v['name']: list(v['shape'])
            for v in statistics.model_statistics(config).variables}
  there = {v.name: v.shape for v in variables}
  lines = ['%s: %s in the checkpoint, %s in the model' % (
      name, there.get(name, 'not'), shape)
           for name, shape in sorted(wanted.items())
           if there.get(name) != shape]
  # What the model does not read does no harm.
  rest = [name for name in sorted(there) if name not in wanted
          and not training_names.is_bookkeeping(name)]
  for line in lines + ['%s: only in the checkpoint, not read' % name
                       for name in rest]:
    print(line)
  print('%d of the %d variables of the model are in %s.' % (
      len(wanted) - len(lines), len(wanted), prefix))
  return 1 if lines else 0


def average(arguments: argparse.Namespace) -> int:
  """Writes the mean of several checkpoints; returns the exit code."""
  from modeling import checkpoint_arithmetic
  paths = [find(p) for p in [arguments.path] + arguments.average_with]
  checkpoint_arithmetic.write(checkpoint_arithmetic.mean(paths),
                              arguments.output)
  print('%s is the mean of %d checkpoints.' % (arguments.output, len(paths)))
  return 0


def list_variables(arguments: argparse.Namespace) -> int:
  """Prints the list; returns the exit code."""
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
  return 0


def run(arguments: argparse.Namespace) -> int:
  """Does what the flags say.

  Args:
    arguments: namespace of `parse_arguments`.

  Returns:
    The exit code.

  Raises:
    ValueError: if there is no checkpoint, or a damaged one.
  """
  if arguments.average_with:
    return average(arguments)
  if arguments.compare:
    return compare(arguments)
  if arguments.config_file or arguments.params_override or arguments.model:
    return compare_with_config(arguments)
  return verify(arguments) if arguments.verify else list_variables(arguments)


def main(argv: Optional[Sequence[str]] = None) -> int:
  arguments = parse_arguments(argv)
  try:
    return run(arguments)
  except (ValueError, re.error, base.ConfigError) as e:
    raise SystemExit('Error: %s' % e)


if __name__ == '__main__':
  sys.exit(main())
