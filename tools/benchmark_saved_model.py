"""Times an exported model: latency and throughput, also of the network alone.

  python -m tools.benchmark_saved_model --saved_model_path=/tmp/exported
  python -m tools.benchmark_saved_model --target=onnx --saved_model_path=/tmp/x
  python -m tools.benchmark_saved_model --saved_model_path=/tmp/exported \\
      --batch_sizes=1,8 --image_file=photo.jpg --json=latency.json

`end_to_end` takes JPEG files of the size of the input and returns arrays.
`network` begins with the prepared image, which is on the device already, and
leaves the outputs there; with --target=tflite and the like it begins and ends
with arrays of this program. Both are measured in turn. The first call and the
warm-up are reported separately from the --num_runs calls that the percentiles
are computed from.
"""

import argparse
import collections
import json
import platform
import subprocess
import sys
import time
from typing import Any, Dict, Optional, Sequence

from ops import tensorflow_later as tf
from tools.benchmarks import targets
from tools.common import bool_flags
from tools.common import config_arguments
from tools.common import numbers
from utils import files


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
  """Command line to a namespace."""
  parser = argparse.ArgumentParser(
      prog='python -m tools.benchmark_saved_model', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  add = parser.add_argument
  add('--saved_model_path', required=True, metavar='PATH',
      help='the exported model: a folder with saved_model.pb, or that of '
           'another target')
  add('--target', choices=sorted(targets.TARGETS), default='saved_model',
      help='kind of the model (default: %(default)s)')
  add('--image_file', default='',
      help='image that is resized to the size of the input (default: a '
           'synthetic one)')
  add('--input_size', default='640,640', metavar='HEIGHT,WIDTH',
      help='size of the image, where the model takes any size (default: '
      '%(default)s)')
  add('--batch_sizes', metavar='N,...',
      help='batch sizes, where the model takes any (default: 1)')
  add('--num_runs', type=numbers.whole(), default=50,
      help='timed calls of each batch size (default: %(default)s)')
  add('--warm_up', type=numbers.whole(0), default=10,
      help='calls before the timed ones (default: %(default)s)')
  add('--signature', default='serving_default', help='(default: %(default)s)')
  add('--feed_tensor', default='',
      help='tensor that takes the image, instead of the one of the signature, '
           'such as Placeholder:0')
  add('--fetch_tensors', default='', metavar='NAME,...',
      help='tensors that are computed, instead of all of the signature, such '
           'as RawBoxes:0,RawScores:0')
  bool_flags.add(parser, 'use_image_bytes_as_input', None, 'upstream\'s flag: '
                 'the model itself says what it takes, and it is an error if '
                 'that is something else')
  add('--json', metavar='FILE', help='writes the figures to a file')
  return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> Dict[str, Any]:
  """Times and reports.

  Args:
    arguments: namespace of `parse_arguments`.

  Returns:
    The record of --json.

  Raises:
    OSError, ValueError: saying what is wrong, and what to do.
  """
  given_size = _integers('--input_size', arguments.input_size, 2)
  config_arguments.start_tensorflow()
  start = time.perf_counter()
  target = targets.load(arguments.target, arguments.saved_model_path, arguments)
  loading = time.perf_counter() - start
  try:
    _check_kind(arguments, target)
    results = _results(arguments, target, target.input.size or given_size)
  finally:
    target.close()
  return _report(arguments, target, given_size, loading, results)


def _integers(flag, text, count=None):
  """The positive numbers of a flag."""
  try:
    numbers = [int(part) for part in text.split(',')]
  except ValueError:
    numbers = []
  if not numbers or min(numbers) < 1 or count not in (None, len(numbers)):
    raise ValueError('%s=%s should be %s positive numbers with commas between '
                     'them.' % (flag, text, count or 'one or more'))
  return tuple(numbers)


def _check_kind(arguments, target):
  """Raises where upstream's flag says something else than the model does."""
  wanted = arguments.use_image_bytes_as_input
  takes_bytes = target.input.kind == targets.ENCODED
  if wanted not in (None, takes_bytes):
    raise ValueError(
        '--use_image_bytes_as_input=%s, but the model takes %s. Leave the flag '
        'out.' % (str(wanted).lower(), target.input.kind))


def _batch_sizes(arguments, target):
  given = _integers('--batch_sizes', arguments.batch_sizes or '%d' % (
      target.batch_size or 1))
  if target.batch_size and given != (target.batch_size,):
    raise ValueError(
        '--batch_sizes=%s, but the model was exported for batches of %d. '
        'Export it with --batch_size=-1 to time others.' % (
            arguments.batch_sizes, target.batch_size))
  return given


def _results(arguments, target, size):
  """[(batch size, what, figures)], printed as they come."""
  from tools.benchmarks import latency
  from tools.benchmarks import model_images
  encoded = model_images.encoded_image(arguments.image_file or None, size)
  results = []
  for batch_size in _batch_sizes(arguments, target):
    timed = latency.measure(target.functions([encoded] * batch_size),
                            arguments.num_runs, arguments.warm_up)
    results += [(batch_size, name, latency.summary(latencies, batch_size))
                for name, latencies in timed.items()]
  for note in target.notes:
    print('Note: %s' % note)
  print('\n'.join(latency.table(results)))
  return results


def _report(arguments, target, given_size, loading, results):
  """The record, which is written where that is asked for."""
  from tools.benchmarks import timing
  record = collections.OrderedDict([
      ('target', arguments.target), ('path', arguments.saved_model_path),
      ('input', target.input.kind),
      ('input_size', list(target.input.size or given_size)),
      ('image', arguments.image_file or 'made'),
      ('loading_ms', 1e3 * loading), ('notes', target.notes),
      ('tensorflow', tf.__version__), ('python', platform.python_version()),
      ('machine', platform.machine()),
      ('gpus', [device.name for device in
                tf.config.experimental.list_physical_devices('GPU')]),
      ('peak_memory_gb', timing.peak_memory()),
      ('results', [collections.OrderedDict(
          [('batch_size', batch_size), ('what', name)] + list(figures.items()))
                   for batch_size, name, figures in results])])
  if arguments.json:
    files.write_atomically(arguments.json, json.dumps(record, indent=1) + '\n')
  return record


def main(argv: Optional[Sequence[str]] = None) -> None:
  """Runs the program, in the environment that has what the target needs."""
  arguments = parse_arguments(argv)
  try:
    python = targets.interpreter(arguments.target)
    if python != sys.executable:
      sys.exit(subprocess.call(
          [python, '-m', 'tools.benchmark_saved_model']
          + (sys.argv[1:] if argv is None else list(argv))))
    run(arguments)
  except (OSError, ValueError) as e:
    sys.exit('Error: %s' % e)


if __name__ == '__main__':
  main()
