"""Prints the complete resolved configuration as YAML.

  python -m tools.show_config --model=retinanet \\
      --params_override='resnet.resnet_depth=101'

Every key of the model is shown, also those of unused parts. Only YAML goes to
standard output, so it can be saved and given to --config_file; notes go to
standard error.
"""

import sys
from typing import Sequence

from absl import app
from absl import flags

from configs import base
from configs import factory
from configs import io

FLAGS = flags.FLAGS
flags.DEFINE_string('model', factory.DEFAULT_MODEL,
                    'Name of the model: %s. Not needed where the configuration '
                    'sets `type`.' % ', '.join(factory.MODELS))
flags.DEFINE_string('config_file', None, 'YAML file over the defaults.')
flags.DEFINE_string('params_override', None,
                    'YAML text, a.b=c pairs, or a file, over --config_file.')


def main(argv: Sequence[str]) -> None:
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
    print('Note: %s' % note, file=sys.stderr)
  sys.stdout.write(io.dump_yaml(config))


if __name__ == '__main__':
  app.run(main)
