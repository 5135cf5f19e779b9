"""Counts the parameters and FLOPs of a model.

  python -m tools.model_stats --model=retinanet \
      --params_override='resnet.resnet_depth=101' --output=stats.json

Prints a table and writes, with --output, {"params", "flops", "variables"}:
trainable parameters, multiply-adds of the prediction graph of one image at the
configured size, and every variable with its shape.
"""

import json

from absl import app
from absl import flags

from configs import base
from configs import factory
from utils import files

FLAGS = flags.FLAGS
flags.DEFINE_string('model', factory.DEFAULT_MODEL, 'Name of the model. Not '
                    'needed where the configuration sets `type`.')
flags.DEFINE_string('config_file', None, 'YAML file over the defaults.')
flags.DEFINE_string('params_override', None,
                    'YAML text, a.b=c pairs, or a file, over --config_file.')
flags.DEFINE_string('output', None, 'JSON file to write.')


def table(config, size, stats, groups):
  """The statistics as lines of text."""
  lines = ['%s, %d x %d pixels' % (config.type, size[0], size[1]), '',
           '%-24s %10s %16s' % ('scope', 'variables', 'parameters')]
  lines += ['%-24s %10d %16s' % (scope or '(root)', count, format(params, ','))
            for scope, (count, params) in groups.items()]
  lines += ['%-24s %10d %16s' % ('all', len(stats.variables),
                                 format(stats.params, ',')),
            '', '%.3f M trainable parameters' % (stats.params / 1e6),
            '%.3f B multiply-adds for one image' % (stats.flops / 1e9)]
  return lines


def main(argv):
  if len(argv) > 1:
    raise app.UsageError('Unexpected argument %r.' % argv[1])
  # A flag that was not given does not decide.
  model = FLAGS.model if FLAGS['model'].present else None
  try:
    config, notes = factory.load_config(model, FLAGS.config_file,
                                        FLAGS.params_override)
  except base.ConfigError as error:
    raise SystemExit('Error: %s' % error)
  for note in notes:
    print('Note: %s' % note)
  # TensorFlow takes seconds to load: not before the configuration is right.
  from modeling import statistics  # pylint: disable=g-import-not-at-top
  from ops import compat  # pylint: disable=g-import-not-at-top
  compat.enable_graph_mode()
  stats = statistics.model_statistics(config)
  groups = statistics.parameters_by_scope(stats.variables)
  print('\n'.join(table(config, statistics.input_size(config), stats, groups)))
  if FLAGS.output:
    files.write_atomically(FLAGS.output,
                           json.dumps(stats._asdict(), indent=1) + '\n')


if __name__ == '__main__':
  app.run(main)
