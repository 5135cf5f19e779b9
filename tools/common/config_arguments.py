"""What tools that look at a configuration have in common."""

import argparse

from configs import base
from configs import factory


def add(parser: argparse.ArgumentParser) -> None:
  """Adds --model, --config_file and --params_override.

  Args:
    parser: argparse.ArgumentParser.
  """
  parser.add_argument(
      '--model', help='name of the model: %s (default: the type that the '
      'configuration sets, else %s)' % (', '.join(factory.MODELS),
                                        factory.DEFAULT_MODEL))
  parser.add_argument('--config_file', help='YAML file over the defaults')
  parser.add_argument('--params_override', help='YAML text, a.b=c pairs, or a '
                      'file, over --config_file')


def add_override(parser: argparse.ArgumentParser) -> None:
  """Adds --params_override of tools that take all else from a model_dir.

  Args:
    parser: argparse.ArgumentParser.
  """
  parser.add_argument(
      '--params_override', metavar='TEXT',
      help='YAML text, a.b=c pairs, or a file, over the params.yaml of '
      'model_dir, such as eval.eval_file_pattern=... where the records are now')


def load(arguments: argparse.Namespace) -> base.Config:
  """The configuration of the arguments; prints the notes about it.

  Args:
    arguments: namespace with those of `add`.

  Returns:
    An experiment of configs.factory.

  Raises:
    ConfigError: see configs.factory.load_config.
  """
  config, notes = factory.load_config(
      arguments.model, arguments.config_file, arguments.params_override)
  for note in notes:
    print('Note: %s' % note)
  return config


def start_tensorflow() -> None:
  """Loads TensorFlow, for graphs and with few words.

  It takes seconds: not before the arguments are right.
  """
  import tensorflow.compat.v1 as tf

  from ops import compat
  tf.logging.set_verbosity(tf.logging.ERROR)
  compat.enable_graph_mode()
