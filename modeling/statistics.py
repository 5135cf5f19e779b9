"""Parameters and FLOPs of a configured model."""

import collections

import tensorflow.compat.v1 as tf

from modeling import factory
from modeling import model_fn
from ops import convolution
from ops import preprocess
from utils import fields
from utils import modes

# params: number of trainable parameters. flops: multiply-adds. variables:
# [{'name', 'shape', 'trainable'}] in creation order, without the global step.
Statistics = collections.namedtuple('Statistics', 'params flops variables')


def input_size(config):
  """(height, width) of the network input: the parser's size, padded.

  Args:
    config: an experiment; its parser section has `output_size`.

  Returns:
    Two ints, multiples of the coarsest stride.
  """
  section = getattr(config, config.architecture.parser)
  return preprocess.compute_padded_size(
      section.output_size, 2 ** config.architecture.max_level)


def model_statistics(config):
  """Counts on the prediction graph of one image, heads included.

  One multiply-add counts as 1, as published tables do. Elementwise operations
  that TensorFlow's profiler knows count a half each; fused batch norm and
  operations of unknown shape do not count.

  Args:
    config: an experiment of configs.factory.

  Returns:
    Statistics.
  """
  graph = tf.Graph()
  with graph.as_default():
    convolution.keep_plain()
    height, width = input_size(config)
    images = tf.placeholder(tf.float32, [1, height, width, 3])
    labels = {fields.IMAGE_INFO: tf.placeholder(tf.float32, [1, 4, 2])}
    model = factory.build_model(config)
    model_fn.model_outputs(config, model, images, labels, modes.PREDICT)
    options = tf.profiler.ProfileOptionBuilder(
        tf.profiler.ProfileOptionBuilder.float_operation()
    ).with_empty_output().build()
    profile = tf.profiler.profile(graph, options=options)
    trainable = set(v.op.name for v in tf.trainable_variables())
    variables = [{'name': v.op.name, 'shape': v.shape.as_list(),
                  'trainable': v.op.name in trainable}
                 for v in tf.global_variables()]
    params = sum(v.shape.num_elements() for v in tf.trainable_variables())
  return Statistics(params, profile.total_float_ops / 2., variables)


def parameters_by_scope(variables, depth=1):
  """Trainable parameters summed over the first parts of the names.

  Args:
    variables: of Statistics.
    depth: how many parts of the name, separated by '/', make a group.

  Returns:
    OrderedDict {scope: (number of variables, trainable parameters)}.
  """
  groups = collections.OrderedDict()
  for variable in variables:
    scope = '/'.join(variable['name'].split('/')[:-1][:depth])
    count, params = groups.get(scope, (0, 0))
    if variable['trainable']:
      size = 1
      for dimension in variable['shape']:
        size *= dimension
      params += size
    groups[scope] = (count + 1, params)
  return groups
