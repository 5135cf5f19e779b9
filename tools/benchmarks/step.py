"""Times training steps or predictions of a configured model.

  python -m tools.benchmarks.step --model=retinanet --job=train
  python -m tools.benchmarks.step --job=predict --image_size=640 --json=out.json

The batch is a made-up image that went through the model's own parser, the
weights are those of an untrained model. Settings are compared as variants,
which run in turns (A-B-A-B); each is a name and overrides:

  python -m tools.benchmarks.step --variant='relu:' \\
      --variant='swish: batch_norm_activation.activation=swish'

Prints the median CPU and wall seconds of a step; see docs/benchmarks.md.
"""

import collections
import functools
from typing import Dict, Sequence

from absl import app
from absl import flags

from configs import base
from configs import factory
from tools.benchmarks import variants

FLAGS = flags.FLAGS
flags.DEFINE_string('model', factory.DEFAULT_MODEL, 'Name of the model.')
flags.DEFINE_string('config_file', None, 'YAML file over the defaults.')
flags.DEFINE_string('params_override', None,
                    'YAML text, a.b=c pairs, or a file, over --config_file.')
flags.DEFINE_multi_string('variant', None, "'NAME: OVERRIDES', over "
                          '--params_override; may be repeated.')
flags.DEFINE_enum('job', 'train', ['train', 'predict'], 'What to time.')
flags.DEFINE_integer('image_size', 256, 'Height and width of the input.',
                     lower_bound=1)
flags.DEFINE_integer('batch', 2, 'Images in a step.', lower_bound=1)
flags.DEFINE_integer('repeats', 10, 'Timed steps of each variant.',
                     lower_bound=1)
flags.DEFINE_bool('bfloat16', False, 'Whether the network runs in bfloat16.')
flags.DEFINE_string('json', None, 'File to write the figures to.')

# CPU seconds of the reference on TF 1.15 and on 2.15 (two cores), by default
# model, job, image size and batch.
REFERENCE = {
    ('retinanet', 'train', 256, 2): (1.90, 1.22),
    ('retinanet', 'predict', 256, 2): (.59, 13.3),
    ('mask_rcnn', 'train', 256, 1): (5.52, 2.84),
    ('mask_rcnn', 'predict', 256, 1): (1.39, 1.30),
    ('classification', 'train', 224, 8): (2.60, 1.25),
}


def reference(is_tf2: bool) -> Dict[str, float]:
  """{name: CPU seconds} of the reference, if these flags were measured."""
  key = (FLAGS.model, FLAGS.job, FLAGS.image_size, FLAGS.batch)
  changed = FLAGS.config_file or FLAGS.params_override or FLAGS.variant
  if key not in REFERENCE or changed or FLAGS.bfloat16:
    return {}
  return {FLAGS.model: REFERENCE[key][is_tf2]}


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError('Unexpected argument %r.' % argv[1])
  # A flag that was not given does not decide.
  model = FLAGS.model if FLAGS['model'].present else None
  try:
    configs = variants.load(
        model, FLAGS.config_file, FLAGS.params_override, FLAGS.variant,
        FLAGS.image_size, FLAGS.bfloat16)
  except base.ConfigError as error:
    raise SystemExit('Error: %s' % error)
  # TensorFlow takes seconds to load: not before the configuration is right.
  from ops import compat
  from tools.benchmarks import model_step
  from tools.benchmarks import timing
  compat.enable_graph_mode()
  jobs = collections.OrderedDict(
      (name, timing.Job(functools.partial(
          model_step.build, config, FLAGS.job, FLAGS.batch)))
      for name, config in configs.items())
  timings = timing.measure(jobs, FLAGS.repeats)
  print('\n'.join(timing.report(timings, 's', reference(compat.IS_TF2))))
  print('Peak memory %.2f GB.' % timing.peak_memory())
  if FLAGS.json:
    timing.write_json(FLAGS.json, timings, job=FLAGS.job, batch=FLAGS.batch,
                      image_size=FLAGS.image_size, repeats=FLAGS.repeats)


if __name__ == '__main__':
  app.run(main)
