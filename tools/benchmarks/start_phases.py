"""A training run of two steps that notes when it reached what.

`tools.benchmarks.start` gives this text to Python (`python -c`) with the code
that is timed as the working directory, so that it also times commits that do
not have it. The arguments are the file to write and those of main.py.
"""

import json
import resource
import runpy
import sys
import time
from typing import Dict, List, Sequence, Tuple

# The first is that of Python and TensorFlow; this code's imports are in the
# second.
PHASES = ('imports', 'configuration', 'graph', 'session', 'first step',
          'second step', 'end')


def seconds_between(
    marks: Sequence[Tuple[float, float]]) -> Dict[str, Dict[str, float]]:
  """{phase: {'cpu', 'wall'}} of the times at which each of PHASES ended.

  Args:
    marks: (CPU seconds, wall time) at the start and after each of PHASES.

  Raises:
    RuntimeError: when the run did not come to its end.
  """
  if len(marks) != len(PHASES) + 1:
    raise RuntimeError('The training run reached %d of %d phases.' % (
        len(marks) - 1, len(PHASES)))
  return {phase: {'cpu': after[0] - before[0], 'wall': after[1] - before[1]}
          for phase, before, after in zip(PHASES, marks, marks[1:])}


def main(argv: Sequence[str]) -> None:
  path, sys.argv = argv[1], ['main.py', '--train_steps=2', *argv[2:]]
  marks: List[Tuple[float, float]] = [(0., time.time() - time.process_time())]

  def mark():
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF,
                                                 resource.RUSAGE_CHILDREN)]
    marks.append((sum(u.ru_utime + u.ru_stime for u in usage), time.time()))

  import tensorflow.compat.v1 as tf
  train = tf.estimator.Estimator.train

  class Marks(tf.train.SessionRunHook):
    """Marks the ends of the graph, of the session, and of each step."""

    def begin(self):
      mark()

    def before_run(self, run_context):
      if len(marks) == PHASES.index('session') + 1:
        mark()

    def after_run(self, run_context, run_values):
      mark()

  def marked_train(self, input_fn, hooks=None, **kwargs):
    mark()
    return train(self, input_fn, hooks=[*(hooks or []), Marks()], **kwargs)

  tf.estimator.Estimator.train = marked_train
  mark()
  try:
    runpy.run_module('main', run_name='__main__')
  except SystemExit as e:
    if e.code:
      raise
  mark()
  with open(path, 'w', encoding='utf-8') as f:
    json.dump(seconds_between(marks), f)


if __name__ == '__main__':
  main(sys.argv)
