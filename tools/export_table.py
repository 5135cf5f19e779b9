"""Exports one model to every target, and prints a row of the support table.

  python -m tools.export_table --model_dir=/tmp/run >> table.md
  python -m tools.export_table --model_dir=/tmp/run --figures --header

Each row says whether the model converts and passes its check, the greatest
difference, and the size. --figures adds a metric over the validation set of the
configuration and the CPU time of an image, both with the program that runs the
target; it runs in the environment of the converters ('make export-env').
"""

import argparse
import datetime
import importlib
import os
import subprocess
import sys
import tempfile
from typing import Any, Dict, List, Optional, Sequence

from ops import tensorflow_later as tf
from serving.targets import environment
from tools.common import config_arguments
from tools.common import reasons
from tools.zoo import small_models

_COLUMNS = ('model', 'target', 'NMS', 'result',
            'operations apart from the built-in ones', 'greatest difference',
            'size, MB')
_FIGURES = ('metric', 'CPU ms of an image')
_TARGETS = ('frozen_graph', 'tflite float32', 'tflite float16',
            'tflite dynamic_range', 'tflite int8', 'onnx', 'openvino',
            'stablehlo')
# What others are compared with; they are no targets.
_CHECKPOINT, _SAVED_MODEL = 'checkpoint', 'saved_model'
_NUM_REPRESENTATIVE = 100
_NUM_RUNS, _WARM_UP = 10, 2


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
  """Command line to a namespace."""
  parser = argparse.ArgumentParser(
      prog='python -m tools.export_table', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  add = parser.add_argument
  add('--model_dir', required=True, help='folder of a training run, or the '
      'name of a model that comes with the code')
  add('--params_override', help='over its configuration')
  add('--targets', default=','.join(_TARGETS), help='(default: %(default)s)')
  add('--header', action='store_true',
      help='prints the head of the table, and the date, first')
  add('--figures', action='store_true',
      help='adds metrics and CPU times, and rows of the checkpoint itself and '
           'of its SavedModel')
  return parser.parse_args(argv)


def row(source: Any, target: str, figures: bool = False) -> str:
  """One row of the table.

  Args:
    source: sources.Checkpoint.
    target: 'tflite int8', a name of serving.targets.kinds, or with `figures`
      'checkpoint' and 'saved_model'.
    figures: whether to measure.

  Returns:
    str.
  """
  from serving import parity
  if target in (_CHECKPOINT, _SAVED_MODEL):
    return _reference_row(source, target)
  with tempfile.TemporaryDirectory() as parent:
    folder = os.path.join(parent, 'e')
    try:
      described = _write(source, target, folder)
    except parity.ParityError as e:
      return _line(source, target, 'differs: %s' % str(e).split(': ')[-1])
    except ValueError as e:
      return _line(source, target, 'no: %s' % str(e).split('Error: ')[-1])
    more = _figures(source, target, folder, described) if figures else []
  return _line(source, target, 'yes', described, more)


def _write(source, target, folder):
  """Exports; returns the description."""
  from serving.targets import kinds
  from serving.targets import tflite
  name, _, quantization = target.partition(' ')
  arguments = source.config, source.checkpoint, folder
  options: Dict[str, Any] = {'report': lambda line: None}
  if name == 'tflite':
    if quantization == tflite.INT8:
      options['representative'] = _images(source)
    return tflite.write(*arguments, quantization=quantization, **options)
  if name == 'stablehlo':
    options['batch_size'] = 1
  return kinds.write(name, *arguments, **options)


def _images(source):
  """Images for int8: those of training, or drawn ones where there are none."""
  from serving import export
  from serving import parity
  from serving.targets import network_graph
  from serving.targets import tflite
  pattern = source.config.train.train_file_pattern
  try:
    if pattern:
      return tflite.images_of_records(pattern, _NUM_REPRESENTATIVE)
  except export.ExportError as e:
    print('Note: %s' % e, file=sys.stderr)
  return parity.made_images(network_graph.plan(
      source.config, source.checkpoint)) * 4


def _figures(source, target, folder, described):
  """[cell] of _FIGURES of a target."""
  from tools.benchmarks import target_metrics
  name = target.split(' ')[0]
  runner = importlib.import_module('serving.targets.run_' + name)
  model = runner.Model(folder, described)
  return _measured(source, target_metrics.of_target(model, source.config))


def _reference_row(source, target):
  """The row of the checkpoint, or of its SavedModel."""
  from serving import export
  from serving import input_types
  from tools.benchmarks import target_metrics
  if target == _CHECKPOINT:
    run_batch = target_metrics.of_checkpoint(source.config, source.checkpoint)
    return _line(source, target, '', None, _measured(source, run_batch))
  with tempfile.TemporaryDirectory() as parent:
    folder = export.export(
        source.config, source.checkpoint, os.path.join(parent, 'e'),
        input_types.RAW_IMAGE_TENSOR, batch_size=-1)
    return _line(source, target, 'yes', None, _measured(
        source, target_metrics.of_saved_model(folder, source.config)))


def _measured(source: Any, run_batch: Any) -> List[str]:
  """[cell] of _FIGURES."""
  import numpy as np

  from serving import inputs
  from serving import networks
  from tools.benchmarks import latency
  from tools.benchmarks import target_metrics
  name = target_metrics.MAIN[networks.task_of(source.config)]
  value = target_metrics.metrics(source.config, run_batch)[name]
  size = inputs.input_spec(source.config).padded_size
  image = np.zeros((1,) + tuple(size) + (3,), np.float32)
  info = np.array([[size, size, (1, 1), (0, 0)]], np.float32)
  timed = latency.measure({'': lambda: run_batch(image, info)}, _NUM_RUNS,
                          _WARM_UP)['']
  return ['%s %.4f' % (name, value),
          '%.3g' % (1e3 * float(np.median(timed.cpus)))]


def _line(source, target, result, described=None, figures=()):
  nms = getattr(getattr(source.config, 'postprocess', None), 'apply_nms', None)
  has_nms = source.config.type not in ('classification', 'segmentation')
  cells = [source.config.type, target,
           ('inside' if nms else 'left out') if has_nms else '', result]
  if described:
    details = described['conversion']
    differences = [(name, value) for name, value, _ in described['check']
                   if name not in ('logits', 'raw_encoded_boxes')]
    worst = max(differences, key=lambda pair: pair[1])
    cells += [', '.join(details.get('select_operations') or []) or 'none',
              '%.2g (%s)' % (worst[1], worst[0]),
              '%.1f' % (details['bytes'] / 1e6)]
  cells += [''] * (len(_COLUMNS) - len(cells))
  return '| %s |' % ' | '.join(cells + list(figures))


def header(figures: bool) -> str:
  """The head of the table."""
  columns = _COLUMNS + (_FIGURES if figures else ())
  return '| %s |\n|%s' % (' | '.join(columns), '---|' * len(columns))


def run(values: argparse.Namespace) -> None:
  """Prints the rows as they come."""
  from ops import compat
  from serving import sources
  source = sources.find_checkpoint(
      small_models.resolve(values.model_dir),
      params_override=values.params_override)
  if values.header:
    print('Written on %s with TensorFlow %s.\n\n%s' % (
        datetime.date.today().isoformat(), compat.VERSION,
        header(values.figures)))
  targets = values.targets.split(',')
  if values.figures:
    targets = [_CHECKPOINT, _SAVED_MODEL] + targets
  for target in targets:
    print(row(source, target, values.figures), flush=True)


def _elsewhere(values, argv):
  """The exit code of the command in the other environment; None: run it here.

  Raises:
    MissingError: where there is none.
  """
  python = environment.python('onnxruntime') if values.figures else (
      sys.executable)
  if python == sys.executable:
    return None
  return subprocess.call([python, '-m', 'tools.export_table'] + (
      sys.argv[1:] if argv is None else list(argv)))


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Runs the program; returns the exit code."""
  values = parse_arguments(argv)
  try:
    code = _elsewhere(values, argv)
    if code is not None:
      return code
    config_arguments.start_tensorflow()
    run(values)
  except (OSError, ValueError, tf.errors.OpError) as e:
    print('Error: %s' % reasons.of(e), file=sys.stderr)
    return 1
  return 0


if __name__ == '__main__':
  sys.exit(main())
