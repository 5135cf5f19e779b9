"""What the commands that convert a checkpoint for other programs share."""

import argparse
import functools
import glob
import sys
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from configs import base
from configs import precisions
from ops import tensorflow_later as tf
from tools.common import bool_flags
from tools.common import config_arguments
from tools.common import reasons
from tools.zoo import small_models

# Appended to the text of --help.
_RULES = """
The configuration is the params.yaml of --model_dir, or the one beside
--checkpoint_path; --model, --config_file and --params_override change it, or
stand in for it. With --params_override=postprocess.apply_nms=false the file
ends before the non-maximum suppression. The input is one prepared image or
more, float32 [batch, height, width, 3]; model.json beside the file says how it
is prepared. docs/export.md has all about it, and what converts.

The last thing is a check: the same images through checkpoint and export, which
runs in a process of its own, by the program that it is for. The greatest
difference of each output is printed.

Exit codes: 0 done; 1 the export differs, or cannot be written (--export_dir is
as before then); 2 wrong flags.
"""


class FlagError(ValueError):
  """A flag, or two flags together, that cannot be meant."""


def parser(name: str, description: str,
           batch_size: Optional[int] = 1) -> argparse.ArgumentParser:
  """The flags of such a command.

  Args:
    name: name of the command.
    description: text of --help, to which what they share is added.
    batch_size: int, the default; -1: any.

  Returns:
    argparse.ArgumentParser.
  """
  made = argparse.ArgumentParser(
      prog='python -m tools.' + name, description=description + _RULES,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  config_arguments.add(made)
  add = made.add_argument
  add('--model_dir', help='folder of the training run: params.yaml and the '
                          'newest checkpoint; or the name of a model that '
                          'comes with the code')
  add('--checkpoint_path', help='this checkpoint instead of the newest one')
  add('--export_dir', required=True,
      help='folder to write; it appears when it is complete and checked')
  add('--batch_size', type=int, default=batch_size,
      help='images per call; -1: any number, where that is possible (default: '
           '%(default)s)')
  add('--input_image_size', metavar='HEIGHT,WIDTH',
      help='that images are resized to (default: the size in the '
           'configuration)')
  add('--label_map', help='names of the classes, lines id:name (default: '
      'eval.label_map)')
  add('--check_images', metavar='PATTERN',
      help='image files for the check (default: drawn ones)')
  bool_flags.add(made, 'override_export_dir', False,
                 'replace --export_dir if it exists')
  return made


def image_files(flag: str, pattern: Optional[str]) -> Optional[List[bytes]]:
  """[bytes] of the files of a pattern; None without a pattern.

  Args:
    flag: its name, for messages.
    pattern: pattern of files, or None.

  Raises:
    FlagError: if no file matches.
  """
  if not pattern:
    return None
  names = sorted(glob.glob(pattern))
  if not names:
    raise FlagError('--%s: no file matches %s.' % (flag, pattern))
  contents = []
  for name in names:
    with open(name, 'rb') as f:
      contents.append(f.read())
  return contents


def image_size(text: str) -> Optional[Tuple[int, int]]:
  """(height, width) of 'HEIGHT,WIDTH'; None of None.

  Raises:
    FlagError: for another text.
  """
  if not text:
    return None
  try:
    height, width = [int(part) for part in text.split(',')]
  except ValueError:
    raise FlagError('--input_image_size is HEIGHT,WIDTH, such as 640,640, not '
                    '%r.' % text)
  return height, width


def write(values: argparse.Namespace, function: Callable[..., Dict[str, Any]],
          **options: Any) -> Dict[str, Any]:
  """Finds the checkpoint and exports it.

  Args:
    values: namespace of `parser`.
    function: the `write` of a module of serving.targets.
    **options: arguments of that function.

  Returns:
    The description, {name: value}.

  Raises:
    ValueError: saying what is wrong.
  """
  images = image_files('check_images', values.check_images)
  size = image_size(values.input_image_size)
  source = source_of(values)
  described = function(
      source.config, source.checkpoint, values.export_dir,
      batch_size=None if values.batch_size == -1 else values.batch_size,
      image_size=size, override=values.override_export_dir,
      label_map=values.label_map, images=images, **options)
  print('%s is exported to %s.' % (source.checkpoint, values.export_dir))
  return described


def source_of(values: argparse.Namespace,
              precision: str = precisions.FLOAT32) -> Any:
  """What is exported; prints the notes about it.

  Args:
    values: namespace with the flags of a checkpoint and its configuration.
    precision: number format of the network, one of precisions.OF_INFERENCE.

  Returns:
    serving.sources.Checkpoint.

  Raises:
    ValueError: saying what is wrong.
  """
  from serving import sources
  source = sources.find_checkpoint(
      values.model_dir and small_models.resolve(values.model_dir),
      values.checkpoint_path, values.model, values.config_file,
      values.params_override, precision)
  for note in source.notes:
    print('Note: %s' % note)
  return source


def main(run: Callable[[argparse.Namespace], Any],
         values: argparse.Namespace) -> int:
  """Runs a command and reports what goes wrong.

  Args:
    run: function of the namespace.
    values: namespace.

  Returns:
    The exit code.
  """
  config_arguments.start_tensorflow()
  try:
    run(values)
  except (FlagError, base.ConfigError) as e:
    print('Error: %s' % e, file=sys.stderr)
    return 2
  except (OSError, ValueError, tf.errors.OpError) as e:
    print('Error: %s' % reasons.of(e), file=sys.stderr)
    return 1
  return 0


def plain_command(name: str, description: str, argv: Optional[Sequence[str]],
                  batch_size: Optional[int] = -1) -> int:
  """A command whose target leaves no further choice.

  Args:
    name: one of serving.targets.kinds.TARGETS.
    description: text of --help.
    argv: [str]; None: those of the command line.
    batch_size: int, the default; -1: any.

  Returns:
    The exit code.
  """
  def run(values):
    from serving.targets import kinds
    write(values, functools.partial(kinds.write, name))
  return main(run, parser('export_' + name, description,
                          batch_size).parse_args(argv))
