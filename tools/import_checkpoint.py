"""Makes a model_dir from a published checkpoint.

  python -m tools.import_checkpoint spinenet-49.tar.gz --output=/models/s49
  python -m tools.import_checkpoint FOLDER --output=/models/mine \\
      --config_file=my.yaml                # of a configuration of your own

Recognises from the names and shapes of its variables which row of the model zoo
a checkpoint is, reads every value once, and writes params.yaml and the
checkpoint under today's names. Evaluation, inference, export and a warm start
take the folder as it is. Without --output it only reports what the checkpoint
is.

Archives are tar (gz, bz2, xz) and zip. Nothing in them is trusted: see
docs/MODEL_ZOO.md, which also lists what is known about archives that were
published broken.
"""

import argparse
import contextlib
import os
import signal
import sys
import tempfile
from typing import Optional, Sequence

from ops import tensorflow_later as tf
from tools.common import config_arguments
from tools.common import numbers
from tools.common import reasons
from utils import files


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
  """Command line to a namespace."""
  parser = argparse.ArgumentParser(
      prog='python -m tools.import_checkpoint', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('source', metavar='ARCHIVE_OR_FOLDER',
                      help='archive, folder, or the prefix of a checkpoint')
  parser.add_argument('--output', metavar='MODEL_DIR', help='new folder')
  parser.add_argument('--checkpoint', metavar='PATH',
                      help='which one, where there are several: the end of its '
                           'prefix')
  parser.add_argument('--row', metavar='FILE',
                      help='file of the row of the model zoo, where names and '
                           'shapes fit several')
  parser.add_argument(
      '--config_file', help='YAML file of the model, instead of a row of the '
      'model zoo; its variables have to be those of the checkpoint')
  parser.add_argument('--params_override',
                      help='YAML text, a.b=c pairs, or a file, over the '
                           'configuration')
  parser.add_argument(
      '--use_moving_average', action='store_true',
      help='use the moving averages of the weights as the weights, if the '
           'checkpoint has them')
  parser.add_argument('--max_unpacked_gib', type=numbers.positive, default=16.,
                      help='refuse archives that unpack to more GiB '
                      '(default: %(default)s)')
  return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> None:
  """Imports, and prints what it does.

  Args:
    arguments: namespace of `parse_arguments`.

  Raises:
    OSError, ValueError: saying what is wrong, and what to do.
  """
  _check_paths(arguments)
  config_arguments.start_tensorflow()
  from tools.zoo import checkpoint_import
  with contextlib.ExitStack() as stack:
    folder, name, wanted = _opened(arguments, stack)
    checkpoint_import.run(folder, name, wanted, arguments)


def _check_paths(arguments):
  """Fails now, not after minutes of reading."""
  for path in (arguments.source, arguments.output or ''):
    if files.is_remote(path):
      raise ValueError('%s is not on this machine: copy it, for example with '
                       '`gsutil cp -r`.' % path)
  if arguments.output:
    check_output(arguments.output)
  if arguments.row and arguments.config_file:
    raise ValueError('Give --row or --config_file, not both.')


def check_output(output: str) -> None:
  """Raises ValueError unless a folder is new or empty."""
  if os.path.exists(output) and (
      not os.path.isdir(output) or os.listdir(output)):
    raise ValueError('--output=%s exists and is not an empty folder; give a '
                     'new one.' % output)


def _opened(arguments, stack):
  """The folder of the checkpoint, a telling name, and which one it is."""
  from tools.zoo import archives
  path = arguments.source
  name = os.path.basename(os.path.abspath(path))
  if os.path.isdir(path):
    return path, name, arguments.checkpoint
  if os.path.exists(path) and archives.is_archive(path):
    # Beside the output: the temporary folder may be too small for it.
    beside = os.path.dirname(os.path.abspath(arguments.output or path))
    if arguments.output:
      os.makedirs(beside, exist_ok=True)
    folder = stack.enter_context(tempfile.TemporaryDirectory(
        prefix='.unpacked-',
        dir=beside if os.access(beside, os.W_OK) else None))
    print('Unpacking %s' % path, flush=True)
    archives.unpack(path, folder, arguments.max_unpacked_gib * 2**30)
    return folder, name, arguments.checkpoint
  return _of_prefix(path)


def _of_prefix(path):
  """The same for one of the files of a checkpoint, or its prefix."""
  prefix = path.split('.data-')[0]
  for end in ('.index', '.meta'):
    prefix = prefix[:-len(end)] if prefix.endswith(end) else prefix
  if not os.path.exists(prefix + '.index'):
    raise ValueError(
        '%s is neither a folder, nor an archive (tar, tar.gz, tar.bz2, tar.xz, '
        'zip), nor a checkpoint%s.' % (path, '' if os.path.exists(path) else
                                       ': there is no such file'))
  folder = os.path.dirname(os.path.abspath(prefix))
  return folder, os.path.basename(folder), os.path.basename(prefix)


def main(argv: Optional[Sequence[str]] = None) -> None:
  arguments = parse_arguments(argv)
  # What is unpacked is removed on the way out.
  signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
  try:
    run(arguments)
  except (OSError, ValueError, tf.errors.OpError) as e:
    sys.exit('Error: %s' % reasons.of(e))


if __name__ == '__main__':
  main()
