"""Parameters and FLOPs of a configured model."""

import collections
import dataclasses
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import tensorflow.compat.v1 as tf

from configs import base
from modeling import factory
from modeling import model_fn
from modeling.training import training_variables
from ops import convolution
from ops import preprocess
from utils import fields
from utils import modes

# The operations that count: those that TF 1.15's profiler knows, with which the
# published figures were counted. It does not know AddV2, that of TF 2.15 does.
# Both count the last operation of an initializer, whatever it is: its name is
# the scope of the others.
_COUNTED = ['Conv2D', 'DepthwiseConv2dNative', 'MatMul', 'BatchMatMul',
            'BatchMatMulV2', 'BiasAdd', 'AddN', 'Mul', 'Sub', 'RealDiv', 'Mean',
            'Sum', 'MaxPool', 'AvgPool', 'Maximum', 'Minimum', 'Softmax',
            'SquaredDifference', 'Rsqrt']
_POSTPROCESSING = '.*generate_detections/.*'


class Statistics(NamedTuple):
  """The size of a model.

  Attributes:
    params: number of trainable parameters.
    flops: multiply-adds.
    variables: {'name', 'shape', 'trainable'} in creation order, without the
      global step.
  """
  params: int
  flops: int
  variables: List[Dict[str, Any]]


def input_size(config: base.Config) -> Sequence[int]:
  """(height, width) of the network input: the parser's size, padded.

  Args:
    config: an experiment; its parser section has `output_size`.

  Returns:
    Two ints; of detectors multiples of the coarsest stride.
  """
  section = getattr(config, config.architecture.parser)
  if not hasattr(config, 'postprocess'):  # no detector
    return list(section.output_size)
  return preprocess.compute_padded_size(
      section.output_size, 2 ** config.architecture.max_level)


def model_statistics(config: base.Config) -> Statistics:
  """Counts on the prediction graph of one image, heads included.

  One multiply-add counts as 1, as published tables do. Elementwise operations
  of _COUNTED count a half each, those that draw initial weights too; batch
  norm, the choice of the detections and operations of unknown shape do not
  count.

  Args:
    config: an experiment of configs.factory.

  Returns:
    Statistics.
  """
  graph = tf.Graph()
  with graph.as_default():
    _build(config)
    flops = _multiply_adds(graph)
    trainable = set(map(training_variables.name_of, tf.trainable_variables()))
    variables = [{'name': name, 'shape': v.shape.as_list(),
                  'trainable': name in trainable}
                 for name, v in training_variables.by_name(
                     tf.global_variables()).items()]
    params = sum(v.shape.num_elements() for v in tf.trainable_variables())
  return Statistics(params, flops, variables)


def variable_shapes(config: base.Config) -> Dict[str, List[int]]:
  """The variables of a model, in creation order.

  Args:
    config: an experiment of configs.factory.

  Returns:
    OrderedDict {name: shape as a list}.
  """
  with tf.Graph().as_default():
    _build(config)
    return collections.OrderedDict(
        (name, v.shape.as_list()) for name, v in training_variables.by_name(
            tf.global_variables()).items())


def _build(config):
  """Adds the prediction of one image to the default graph."""
  # Synchronized batch norm is not a single operation, and would count.
  config = dataclasses.replace(
      config, batch_norm_activation=dataclasses.replace(
          config.batch_norm_activation, use_sync_bn=False))
  convolution.keep_plain()
  height, width = input_size(config)
  images = tf.placeholder(tf.float32, [1, height, width, 3])
  labels = {fields.IMAGE_INFO: tf.placeholder(tf.float32, [1, 4, 2])}
  model = factory.build_model(config)
  model_fn.model_outputs(model, images, labels, modes.PREDICT,
                          config.architecture.use_bfloat16)


def _multiply_adds(graph):
  """Half of the floating point operations that count."""
  options = tf.profiler.ProfileOptionBuilder(
      tf.profiler.ProfileOptionBuilder.float_operation()
  ).with_accounted_types(_COUNTED).with_node_names(
      hide_name_regexes=[_POSTPROCESSING]).with_empty_output().build()
  options['account_displayed_op_only'] = True
  return tf.profiler.profile(graph, options=options).total_float_ops / 2.


def parameters_by_scope(variables: Sequence[Dict[str, Any]],
                        depth: int = 1) -> Dict[str, Tuple[int, int]]:
  """Trainable parameters summed over the first parts of the names.

  Args:
    variables: from Statistics.
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
