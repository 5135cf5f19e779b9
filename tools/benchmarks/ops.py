"""Times single operations at training sizes: batch 2, 640 pixels.

  python -m tools.benchmarks.ops
  python -m tools.benchmarks.ops --cases=sorted_nms_2000 --json=ops.json

Prints the median CPU and wall milliseconds of each case, beside the CPU
milliseconds of the reference on the same runtime where they are known; see
docs/benchmarks.md.
"""

import collections
from typing import Any, Dict, Iterable, Sequence, Tuple

from absl import app
from absl import flags

from utils import registry

FLAGS = flags.FLAGS
flags.DEFINE_list('cases', None, 'Names of cases, separated by commas; all if '
                  'not given. --cases=list shows them.')
flags.DEFINE_integer('repeats', 10, 'Timed runs of each case.', lower_bound=1)
flags.DEFINE_string('json', None, 'File to write the figures to.')


def run(names: Iterable[str],
        repeats: int) -> Tuple[Dict[str, Any], Dict[str, float]]:
  """Times cases, one after the other, as their inputs take much memory.

  Args:
    names: one of op_cases.CASES.
    repeats: int.

  Returns:
    {name: Timing}, {name: CPU seconds of the reference}.
  """
  from ops import compat
  from tools.benchmarks import op_cases
  from tools.benchmarks import timing
  timings, references = collections.OrderedDict(), {}
  for name in names:
    case = op_cases.CASES[name]
    job = timing.Job(case.build)
    timings.update(timing.measure({name: job}, repeats))
    job.close()
    if case.reference:
      references[name] = case.reference[1 if compat.IS_TF2 else 0]
  return timings, references


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError('Unexpected argument %r.' % argv[1])
  # TensorFlow takes seconds to load: not before the flags are right.
  from ops import compat
  from tools.benchmarks import op_cases
  from tools.benchmarks import timing
  compat.enable_graph_mode()
  names = FLAGS.cases or list(op_cases.CASES)
  if names == ['list']:
    print('\n'.join(op_cases.CASES))
    return
  for name in names:
    try:
      registry.pick(op_cases.CASES, name, 'A name of --cases')
    except ValueError as e:
      raise SystemExit('Error: %s' % e)
  timings, references = run(names, FLAGS.repeats)
  print('\n'.join(timing.report(timings, 'ms', references)))
  if FLAGS.json:
    timing.write_json(FLAGS.json, timings, repeats=FLAGS.repeats)


if __name__ == '__main__':
  app.run(main)
