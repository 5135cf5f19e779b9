"""Shows the state of a training run and its evaluations, and any problems.

  python -m tools.status MODEL_DIR [--json]

Step, rate and losses of the training run; the last metrics of every evaluation,
and what it does now or waits for; the best checkpoint; and problems. With
--json the same as one JSON object for a scheduler, which jobs that train or
evaluate also keep in MODEL_DIR/status.json.

Exit codes: 0 no problem; 1 there are problems, which are listed; 2 the folder
does not exist, or is not a model_dir.
"""

import argparse
import json
import sys
import time
from typing import Any, Dict, List

_NUM_METRICS = 6  # in the text
_ARROW = '  '


def format_text(content: Dict[str, Any], now: float) -> str:
  """The text for people.

  Args:
    content: result of executor.status.collect.
    now: seconds since 1970.

  Returns:
    Lines, each with a newline at its end.
  """
  lines = [content['model_dir']]
  lines += _training_lines(content['training'], now)
  checkpoint = content['checkpoint']
  lines.append('Newest checkpoint: %s' % (
      'step %d' % checkpoint['step'] if checkpoint else 'none'))
  for evaluation in content['evaluations']:
    lines += _evaluation_lines(evaluation, now)
  if not content['evaluations']:
    lines.append('Evaluation: none')
  stop = content['early_stop']
  if stop:
    lines.append('Early stopping requested at step %d: no better %s than %.4g '
                 'of step %d in %d evaluations' % (
                     stop['step'], stop['metric'], stop['best_value'],
                     stop['best_step'], stop['evaluations']))
  problems = content['problems']
  lines.append('Problems: %s' % ('' if problems else 'none'))
  return '\n'.join(lines + [_ARROW + problem for problem in problems]) + '\n'


def _training_lines(training, now):
  step, total = training['step'], training['total_steps']
  lines = ['Training: %s%s%s%s' % (
      training['state'],
      '' if step is None else ', step %d' % step,
      ' of %d' % total if total and step is not None else '',
      _ago(training['time'], now))]
  rate, images = training['steps_per_second'], training['images_per_second']
  details = ['%.3g steps/s' % rate] if rate else []
  details += ['%.3g images/s' % images] if images else []
  if training.get('seconds_left') is not None:
    details.append('%s left' % _duration(training['seconds_left']))
  details += ['%s %.4g' % item for item in sorted(training['losses'].items())
              if item[1] is not None]
  return lines + ([_ARROW + ', '.join(details)] if details else [])


def _evaluation_lines(evaluation, now):
  lines = ['Evaluation%s: %s%s%s' % (
      evaluation['suffix'] and ' ' + evaluation['suffix'],
      {'waiting': 'waits for', 'evaluating': 'evaluates'}.get(
          evaluation['state'], evaluation['state'] + ','),
      ' %s' % evaluation['doing'] if evaluation['doing'] else '',
      _ago(evaluation['time'], now))]
  if evaluation['progress']:
    lines.append(_ARROW + evaluation['progress'])
  if evaluation['step'] is not None:
    metrics = list(evaluation['metrics'].items())
    lines.append(_ARROW + 'last: step %d, %s' % (
        evaluation['step'], ', '.join('%s %.4g' % m
                                      for m in metrics[:_NUM_METRICS])))
  best = evaluation['best']
  if best:
    lines.append(_ARROW + 'best: step %d, %s %.4g' % (
        best['step'], best['metric'], best['value']))
  return lines


def _ago(when, now):
  return '' if when is None else ' (%s ago)' % _duration(max(0, now - when))


def _duration(seconds):
  from executor import hooks
  return hooks.format_duration(seconds)


def main(argv: List[str]) -> int:
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('model_dir', help='folder of a training run')
  parser.add_argument('--json', action='store_true',
                      help='one JSON object instead of text')
  arguments = parser.parse_args(argv)
  # Slow to load, which --help should not wait for.
  import tensorflow.compat.v1 as tf

  from executor import status
  from modeling import checkpoint_files
  hint = checkpoint_files.hint_about(arguments.model_dir)
  if hint:
    sys.stderr.write('Error: %s is not a model_dir.%s\n' % (
        arguments.model_dir, hint))
    return 2
  if not tf.gfile.IsDirectory(arguments.model_dir):
    sys.stderr.write('Error: there is no folder %s.\n' % arguments.model_dir)
    return 2
  now = time.time()
  content = status.collect(arguments.model_dir, now)
  if arguments.json:
    sys.stdout.write(json.dumps(content, indent=1) + '\n')
  else:
    sys.stdout.write(format_text(content, now))
  return 1 if content['problems'] else 0


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
