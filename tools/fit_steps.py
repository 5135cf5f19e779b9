"""Sets how many steps fit into some minutes on this machine.

  python -m tools.fit_steps --config_file=mine.yaml --minutes=15

trains a few steps with the configuration, in a temporary folder, and writes
into the file the number of steps that the minutes allow, with one evaluation
after them: train.total_steps, and with it train.learning_rate.warmup_steps and
train.log_every_steps. The rest of the file stays as it is. --steps=N sets N
steps without a trial.
"""

import argparse
import sys
from typing import Tuple

from configs import base
from configs import factory
from tools.common import numbers
from utils import files
from utils import text_files

_LEAST_STEPS = 20  # of a run that shows anything


def _set(config_file, steps):
  """Writes the steps and what depends on them."""
  from tools.own_data import settings
  from tools.own_data import yaml_text
  text = yaml_text.replace(text_files.read(config_file), {
      'train.total_steps': steps,
      'train.learning_rate.warmup_steps': settings.warmup_steps(steps),
      'train.log_every_steps': settings.log_every_steps(steps)})
  files.write_atomically(config_file, text)


def fit(config_file: str, minutes: float) -> Tuple[int, str]:
  """Measures, and writes the steps into the file.

  Args:
    config_file: the path of the YAML file.
    minutes: float, for the training run and an evaluation.

  Returns:
    int, the steps; a sentence about them.

  Raises:
    base.ConfigError: if the file is wrong, or lacks a line.
    ValueError: if records are missing.
    trial.TrialError: if training fails.
  """
  from dataloader import file_patterns
  from dataloader import record_files
  from tools.own_data import trial
  config, _ = factory.load_config(None, config_file)
  num_images = [record_files.count_records(file_patterns.expand(pattern, key))
                for pattern, key in (
                    (config.train.train_file_pattern,
                     'train.train_file_pattern'),
                    (config.eval.eval_file_pattern,
                     'eval.eval_file_pattern'))]
  # Before the trial: whether the lines are there.
  _set(config_file, config.train.total_steps)
  batch_size = config.train.train_batch_size
  measured = trial.run(config_file, batch_size)
  steps = measured.steps_in(60. * minutes, num_images[1], _LEAST_STEPS)
  _set(config_file, steps)
  text = ('A step takes %.2f s, the start %.0f s: %d steps, %.1f passes over '
          '%d images, in %g minutes with an evaluation.' % (
              measured.step_seconds, measured.start_seconds, steps,
              steps * batch_size / float(num_images[0]), num_images[0],
              minutes))
  if steps == _LEAST_STEPS:
    text += (' Fewer would not show anything, but these take longer than the '
             'minutes allow.')
  return steps, text


def main() -> None:
  parser = argparse.ArgumentParser(
      prog='python -m tools.fit_steps', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--config_file', required=True,
                      help='YAML file, which is changed')
  group = parser.add_mutually_exclusive_group(required=True)
  group.add_argument('--minutes', type=numbers.positive,
                     help='for the training run and an evaluation')
  group.add_argument('--steps', type=numbers.whole(),
                     help='number of steps to set, without a trial')
  args = parser.parse_args()
  try:
    if args.steps is not None:
      _set(args.config_file, args.steps)
      print('train.total_steps is %d.' % args.steps)
      return
    from executor import log
    log.set_up()
    from tools.own_data import trial
    try:
      print(fit(args.config_file, args.minutes)[1])
    except trial.TrialError as e:
      print('Error: %s' % e, file=sys.stderr)
      sys.exit(e.code)
  except (base.ConfigError, ValueError, OSError) as e:
    sys.exit('Error: %s' % e)


if __name__ == '__main__':
  main()
