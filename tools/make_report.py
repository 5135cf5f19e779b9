"""Writes a report of a trained and evaluated model: one HTML page.

  python -m tools.make_report --model_dir=demo/retinanet

The page needs no other file. It shows the metrics, also by class; for detectors
also the score threshold of each class, precision and recall, and which class is
taken for which; the curves of the losses; the worst images of the evaluation
set and others, with ground truth next to predictions; and the configuration.
Everything is found through model_dir/params.yaml: images and objects come from
the evaluation records.
"""

import argparse
import os
import shlex
import sys
import time
from typing import Optional

import tensorflow.compat.v1 as tf

from executor import hooks
from executor import log as log_lib
from executor import run_record
from modeling import checkpoint_files
from modeling import storage
from tools.common import config_arguments
from tools.common import numbers
from tools.common import reasons
from tools.report import classification_page
from tools.report import detection_page
from tools.report import evaluated_run
from tools.report import html_page
from tools.report import segmentation_page
from utils import text_files
from utils import version

# type of the experiment, where it is not a detector: (config, metrics, results,
# number of images) -> html_page.Content.
_CONTENT = {'classification': classification_page.content,
            'segmentation': segmentation_page.content}


def build_page(model_dir: str, suffix: str = '', num_images: int = 12,
               min_score: Optional[float] = None, command: str = '',
               params_override: Optional[str] = None) -> str:
  """Builds the page.

  Args:
    model_dir: the folder of a training run that was evaluated.
    suffix: `eval.suffix` of that evaluation.
    num_images: number of evaluated images to show.
    min_score: detections below it are not drawn; None: below the score of the
      best F1 of their class.
    command: str, shown at the top.
    params_override: over the params.yaml of model_dir, or None.

  Returns:
    HTML text.

  Raises:
    ValueError: if a file is missing; the message names what writes it.
  """
  config = evaluated_run.read_config(model_dir, params_override)
  eval_dir = os.path.join(model_dir, 'eval' + suffix)
  metrics = _load_json(os.path.join(eval_dir, 'metrics.json'))
  if config.type in _CONTENT:
    content = _CONTENT[config.type](
        config, metrics, _load_json(os.path.join(eval_dir, 'predictions.json')),
        num_images)
  else:
    content = detection_page.content(
        config, metrics, _load_json(os.path.join(eval_dir, 'detections.json')),
        num_images, min_score)
  log = _read_log(os.path.join(model_dir, 'train_metrics.jsonl'))
  params = text_files.read(os.path.join(model_dir, 'params.yaml'))
  return html_page.page('%s: what it learnt' % config.type, [
      _headline(config, content, metrics['step'], log),
      *content.tables,
      html_page.heading('Losses of the training run'), _loss_curves(log),
      *content.images,
      html_page.heading('Configuration'),
      html_page.folded('params.yaml', params)],
                        _facts(config, model_dir, content, log, command),
                        content.notes)


def _load_json(path):
  if not tf.gfile.Exists(path):
    raise ValueError('There is no %s, which main.py --mode=eval writes.%s' % (
        path, checkpoint_files.hint_about(os.path.dirname(path))))
  return text_files.read_json(path)


def _read_log(path):
  """[{step, time, losses ...}] of the training; a later run of a step wins."""
  by_step = {entry['step']: entry for entry in storage.read_json_lines(path)}
  return [by_step[step] for step in sorted(by_step)]


def _facts(config, model_dir, content, log, command):
  """[(name, value)] of what the page is about."""
  train, section = config.train, config.eval
  facts = [
      ('training run', model_dir),
      ('evaluated on', '%s, %d images' % (_pattern_text(
          section.eval_file_pattern), content.num_images))]
  if train.train_file_pattern:
    facts.append(('trained on', _pattern_text(train.train_file_pattern)))
  facts.append(('model', _model_text(config)))
  if log:
    facts.append(('trained', 'until ' + _date(log[-1]['time'])))
  run = run_record.read(model_dir)
  if run:
    facts += [('by', _code_text(run)), ('trained by command', run['command'])]
  facts.append(('this page', '%s, version %s, TensorFlow %s' % (
      _date(time.time()), version.VERSION, tf.VERSION)))
  return facts + ([('made by command', command)] if command else [])


def _pattern_text(pattern):
  return pattern if isinstance(pattern, str) else ', '.join(pattern)


def _model_text(config):
  """Model, backbone and size of the images."""
  architecture = config.architecture
  parser = getattr(config, getattr(architecture, 'parser', ''), None)
  size = getattr(parser, 'output_size', None)
  return ', '.join([config.type, architecture.backbone] + (
      ['images of %s pixels' % ' x '.join(map(str, size))] if size else []))


def _code_text(run):
  """Which code trained, of run.json."""
  git = run['git']
  commit = ', commit %s%s' % (
      git['commit'][:10], ' with changes' if git['is_changed'] else ''
  ) if git else ''
  return 'version %s%s, seed %s, on %s' % (
      run['version'], commit, 'none' if run['seed'] is None else run['seed'],
      run['machine']['host'])


def _date(seconds):
  return time.strftime('%Y-%m-%d %H:%M', time.localtime(seconds))


def _seconds_trained(log):
  """How long the steps took; pauses between interrupted starts do not count."""
  seconds, last = 0., None
  for entry in log:
    rate = entry.get('steps_per_second')
    if rate:
      seconds += (entry['step'] - (last['step'] if last else 0)) / rate
    elif last:
      seconds += max(0., entry['time'] - last['time'])
    last = entry
  return seconds


def _headline(config, content, step, log):
  """One sentence with the result."""
  text = '%s on %d images after %d steps of %d images' % (
      content.figures, content.num_images, step, config.train.train_batch_size)
  seconds = _seconds_trained(log)
  if seconds:
    text += ', trained in %s' % hooks.format_duration(seconds, words=True)
  return html_page.headline(text + '.')


def _loss_curves(log):
  names = sorted({key for entry in log for key in entry
                  if key.endswith('loss')})
  return html_page.curves({name: [(entry['step'], entry.get(name))
                                  for entry in log] for name in names})


def main() -> None:
  parser = argparse.ArgumentParser(
      prog='python -m tools.make_report', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--model_dir', required=True, metavar='FOLDER',
                      help='folder of the training run')
  parser.add_argument('--output', metavar='PAGE.html',
                      help='the page; default: report.html in model_dir')
  parser.add_argument('--suffix', default='',
                      help='eval.suffix of the evaluation')
  parser.add_argument('--num_images', '--num_pictures', type=numbers.whole(0),
                      default=12, metavar='N',
                      help='images shown (default: 12)')
  parser.add_argument('--min_score', type=numbers.share, metavar='SCORE',
                      help='detections below it are not drawn (default: below '
                      'the score of the best F1 of their class)')
  config_arguments.add_override(parser)
  args = parser.parse_args()
  log_lib.set_up()
  output = args.output or os.path.join(args.model_dir, 'report.html')
  command = ' '.join(['python -m tools.make_report']
                     + [shlex.quote(a) for a in sys.argv[1:]])
  try:
    page = build_page(args.model_dir, args.suffix, args.num_images,
                      args.min_score, command, args.params_override)
    with storage.output_path(output) as temporary:
      with open(temporary, 'w', encoding='utf-8') as f:
        f.write(page)
  except (ValueError, OSError, tf.errors.OpError) as e:
    raise SystemExit('Error: %s' % reasons.of(e))
  print('The report is %s.' % (output if storage.is_remote(output)
                               else os.path.abspath(output)))


if __name__ == '__main__':
  main()
