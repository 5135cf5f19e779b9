"""One step of a model as a graph by itself, as a TPU would get it.

Built on TensorFlow 1.15 or 2.15; what the bridge, the compiler and the
comparison read is the same.
"""

import dataclasses
from typing import Any, List, Optional, Sequence, Tuple

import tensorflow.compat.v1 as tf
from tensorflow.python.tpu import tpu_function
from tensorflow.python.util import nest

from configs import base
from dataloader import factory as data_factory
from dataloader import input_reader
from executor import tpu
from modeling import factory as model_factory
from modeling.training import summaries
from ops import compat
from ops import tensor_types
from tools.tpu import step_files
from utils import modes

JOBS = ('train', 'predict')
# Evaluation is a prediction with losses.
_MODES = {'train': modes.TRAIN, 'predict': modes.PREDICT,
          'evaluate': modes.PREDICT_WITH_GT}


def input_spec(config: base.Config, job: str, batch_size: int) -> Any:
  """What the input pipeline sends to a device.

  Args:
    config: an experiment of configs.factory.
    job: one of JOBS, or 'evaluate'.
    batch_size: int, of one replica.

  Returns:
    Nest of tf.TensorSpec: (images, labels) for training, {'images', 'labels'}
    for the others, with all dimensions known.
  """
  with tf.Graph().as_default():
    example = data_factory.build_parser(config, _MODES[job]).padding_example()
    batch = tf.nest.map_structure(
        lambda t: tf.stack([t] * batch_size), example)
    if job == 'train':
      layout = input_reader.accelerator_layout(
          config.train.transpose_input,
          config.architecture.space_to_depth_block_size)
      images, labels = batch
      batch = (layout(images) if layout else images), labels
    return tf.nest.map_structure(
        lambda t: tf.TensorSpec(t.shape, t.dtype), batch)


def export(config: base.Config, job: str, batch_size: int,
           replicas: int = 1) -> step_files.Step:
  """Builds a step for a TPU and takes out what it needs.

  Args:
    config: an experiment of configs.factory; its use_tpu decides about sums
      over the replicas, too.
    job: one of JOBS, or 'evaluate'.
    batch_size: int, of one replica.
    replicas: int, of how many replicas this is one; several add up their
      gradients.

  Returns:
    step_files.Step; with spatial partitioning, the inputs of job 'train' say
    how the cores divide them.
  """
  with tpu_function.tpu_shard_context(replicas):
    graph, inputs, outputs = build(config, job, batch_size)
  return take_out(graph, inputs, outputs,
                  _parts(config, batch_size) if job == 'train' else None)


def _parts(config, batch_size):
  """Into how many parts each input is divided: a list in their order."""
  dims = tpu.partition_dims(config)
  if dims is None:
    return None
  _, labels = input_spec(config, 'train', batch_size)
  if len(dims) > 1 and dims[1]:
    return [dims[0]] + nest.flatten_up_to(labels, dims[1])
  return [dims[0]] + [None] * len(tf.nest.flatten(labels))


def build(
    config: base.Config, job: str,
    batch_size: int) -> Tuple[tf.Graph, List[tf.Tensor], tensor_types.Tensors]:
  """Builds a step: for a TPU within a shard context, else for this machine.

  Args:
    config: an experiment of configs.factory.
    job: one of JOBS, or 'evaluate'.
    batch_size: int, of one replica.

  Returns:
    graph: tf.Graph.
    inputs: [placeholder], in the order of `tf.nest.flatten`.
    outputs: {name: tensor}; of training the loss and the scalars that are
      logged, of which each runs the whole step.
  """
  spec = input_spec(config, job, batch_size)
  with tf.Graph().as_default() as graph, compat.functional_control_flow():
    tf.set_random_seed(config.train.seed or 0)
    inputs = tf.nest.map_structure(
        lambda one: tf.placeholder(one.dtype, one.shape), spec)
    outputs, updates = _outputs(config, job, inputs)
    with tf.control_dependencies(updates):
      outputs = {name: tf.identity(value) for name, value in outputs.items()}
  return graph, tf.nest.flatten(inputs), outputs


def _outputs(config, job, inputs):
  """({name: tensor}, [operations that count besides]) of a step."""
  model_fn = model_factory.build_model_fn(config)
  if job != 'train':
    spec = model_fn(inputs, None, tf.estimator.ModeKeys.PREDICT, {})
    return spec.predictions, []
  images, labels = inputs
  spec = model_fn(images, labels, tf.estimator.ModeKeys.TRAIN, {})
  scalars = dict(tf.get_collection(summaries.TRAINING_SCALARS))
  host_call = getattr(spec, 'host_call', None)
  if host_call:  # what leaves a TPU after each step
    scalars.update(('host_call_%d' % i, value)
                   for i, value in enumerate(host_call[1]))
  return dict(scalars, loss=spec.loss), [spec.train_op]


def take_out(graph: tf.Graph, inputs: Sequence[tf.Tensor],
             outputs: tensor_types.Tensors,
             parts: Optional[Sequence[Any]] = None) -> step_files.Step:
  """The part of a graph that the outputs depend on.

  Args:
    graph: result of `build`, as the others.
    inputs: see there.
    outputs: see there.
    parts: of each input, see step_files.Input; None if none is divided.

  Returns:
    step_files.Step.
  """
  everything = graph.as_graph_def()
  needed = tf.graph_util.extract_sub_graph(
      everything, [value.op.name for value in outputs.values()])
  needed.library.CopyFrom(everything.library)
  needed.versions.CopyFrom(everything.versions)
  kept = {node.name for node in needed.node}
  variables = {
      node.name: ([d.size for d in node.attr['shape'].shape.dim],
                  tf.as_dtype(node.attr['dtype'].type).name)
      for node in needed.node if node.op == 'VarHandleOp'}
  sums = {
      op.name: (op.outputs[0].shape.as_list(), op.outputs[0].dtype.name,
                tf.get_static_value(op.inputs[1]).tolist())
      for op in graph.get_operations()
      if op.type == 'CrossReplicaSum' and op.name in kept}
  return step_files.Step(
      needed,
      [step_files.Input(x.op.name, x.shape.as_list(), x.dtype.name,
                        x.op.name in kept, divided)
       for x, divided in zip(inputs, parts or [None] * len(inputs))],
      {name: value.name for name, value in outputs.items()}, variables, sums)


def one_device(config: base.Config) -> base.Config:
  """The configuration of a step that this machine can run.

  Args:
    config: an experiment of configs.factory.

  Returns:
    The experiment in float32, with images as the parser gives them.
  """
  return dataclasses.replace(
      config, use_tpu=False,
      train=dataclasses.replace(config.train, transpose_input=False),
      architecture=dataclasses.replace(config.architecture,
                                       use_bfloat16=False))
