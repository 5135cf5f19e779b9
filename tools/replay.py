"""Repeats the step of a diverged training run, and shows what diverges.

  python -m tools.replay MODEL_DIR/diverged/step-1234.npz
  python -m tools.replay MODEL_DIR                   # the newest batch there
  python -m tools.replay MODEL_DIR --checkpoint_path=MODEL_DIR/model.ckpt-1000

Takes the batch that training saved, the params.yaml of the model_dir and, if no
other is given, its last checkpoint, and prints which values of the batch are
not finite, each loss of the batch and of each of its images alone, and the
variables with the largest gradients. The weights are those of the checkpoint:
to get those of the step itself, resume the training run from it with the same
seed.

Exit codes: 0 everything is finite; 1 something is not; 2 wrong flags or files.
"""

import argparse
import math
import os
import sys
from typing import Optional, Sequence

from configs import base
from tools.common import config_arguments

_NORMS = 10


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
  """Command line to a namespace."""
  parser = argparse.ArgumentParser(
      prog='python -m tools.replay', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('path', help='a saved batch, or the model_dir')
  parser.add_argument('--checkpoint_path',
                      help='weights (default: the last checkpoint of the '
                           'model_dir)')
  return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> int:
  """Prints the step; returns the exit code.

  Args:
    arguments: namespace of `parse_arguments`.

  Raises:
    errors.SetupError, ConfigError: saying what is missing.
  """
  config_arguments.start_tensorflow()
  from configs import factory
  from executor import checkpoints
  from executor import errors
  from executor import replay
  path = replay.find_batch(arguments.path)
  model_dir = os.path.dirname(os.path.dirname(os.path.abspath(path)))
  config, _ = factory.load_config(None, os.path.join(model_dir, 'params.yaml'))
  checkpoint = arguments.checkpoint_path or checkpoints.latest(model_dir)
  if not checkpoint:
    raise errors.SetupError('%s has no checkpoint; give --checkpoint_path.'
                            % model_dir)
  ids, batches = replay.read_batches(path, config)
  print('%s: %d images, with the weights of %s' % (path, len(ids), checkpoint))
  step = replay.Step(config, batches[0], checkpoint)
  is_finite = True
  for batch in batches:
    size = len(batch[0])
    part, ids = ids[:size], ids[size:]
    for fault in replay.faults(batch):
      is_finite = False
      print('  ' + fault)
    is_finite &= _print('the batch', step.run(batch), _NORMS)
    if not config.train.transpose_input:
      for i, name in enumerate(part):
        is_finite &= _print('image %d (%s) alone' % (i, name),
                            step.run(replay.alone(batch, i)), 1)
  return 0 if is_finite else 1


def _print(name, result, number):
  """Prints a Replay; returns whether all of it is finite."""
  print('%s: %s' % (name, ', '.join(
      '%s %.4g' % pair for pair in sorted(result.losses.items()))))
  for variable, norm in result.norms[:number]:
    print('  gradient of %s: norm %.4g' % (variable, norm))
  return all(math.isfinite(v) for v in list(result.losses.values())
             + [norm for _, norm in result.norms])


def main(argv: Optional[Sequence[str]] = None) -> int:
  arguments = parse_arguments(argv)
  from executor import errors
  try:
    return run(arguments)
  except (errors.JobError, base.ConfigError) as e:
    sys.stderr.write('Error: %s\n' % e)
    return 2


if __name__ == '__main__':
  sys.exit(main())
