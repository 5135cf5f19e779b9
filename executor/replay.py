"""Repeats the training step of a saved batch, to find what diverges."""

import os
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from configs import base
from dataloader import factory as dataloader_factory
from executor import divergence
from executor import errors
from modeling import factory as model_factory
from modeling import model_fn
from modeling.training import initial_values
from modeling.training import optimizers
from modeling.training import training_variables
from ops import random_numbers
from utils import fields
from utils import modes


class Replay(NamedTuple):
  """The results of a step.

  Attributes:
    losses: {name: float}.
    norms: [(variable, norm of its gradient)], the largest first; NaN and
      infinity come before all others.
  """
  losses: Dict[str, float]
  norms: List[Tuple[str, float]]


def read_batches(path: str, config: base.Config) -> Tuple[List[str], List[Any]]:
  """The ids and the batches of a file of `divergence.write_batches`.

  Args:
    path: the path of the .npz file.
    config: the experiment that wrote it.

  Returns:
    [id], [(images, labels)].

  Raises:
    errors.SetupError: if the file cannot be read, or another experiment wrote
      it.
  """
  spec = dataloader_factory.build_parser(config, modes.TRAIN).labels_spec()
  number = 1 + len(tf.nest.flatten(spec))
  try:
    with np.load(path, allow_pickle=False) as arrays:
      names = sorted(name for name in arrays.files if name != 'ids')
      values = [arrays[name] for name in names]
      ids = [str(i) for i in arrays['ids']]
  except (OSError, ValueError, KeyError) as e:
    raise errors.SetupError('%s is not a batch that was saved: %s.' % (path, e))
  if not values or len(values) % number:
    raise errors.SetupError(
        '%s has %d arrays, and a batch of this configuration %d: another '
        'configuration wrote it.' % (path, len(values), number))
  return ids, [tf.nest.pack_sequence_as((0, spec), values[i:i + number])
               for i in range(0, len(values), number)]


def faults(batch: Any) -> List[str]:
  """Sentences about values of a batch that are not finite."""
  images, labels = batch
  found = []
  for name, value in [('the pixels', images)] + _named(labels):
    if value.dtype.kind != 'f':
      continue
    rows = np.flatnonzero(~np.isfinite(
        value.reshape([len(value), -1])).all(axis=1)) if value.ndim else []
    if len(rows):
      found.append('%s of image(s) %s of the batch are not finite' % (
          name, ', '.join(map(str, rows))))
  return found


def _named(labels, name='labels'):
  """[(path of the keys, array)] of a nest."""
  if isinstance(labels, dict):
    return [pair for key in sorted(labels, key=str)
            for pair in _named(labels[key], '%s.%s' % (name, key))]
  return [(name, np.asarray(labels))]


class Step:
  """The forward and the backward pass of a training step, without an update."""

  def __init__(self, config: base.Config, batch: Any,
               checkpoint: str) -> None:
    """Builds the graph and loads the weights.

    Args:
      config: experiment.
      batch: (images, labels); all later batches have the same shapes.
      checkpoint: prefix.
    """
    graph = tf.Graph()
    with graph.as_default():
      self._inputs = tf.nest.map_structure(
          lambda v: tf.placeholder(np.asarray(v).dtype, np.shape(v)), batch)
      losses, variables, norms = _build(config, *self._inputs)
      self._names = [training_variables.name_of(v) for v in variables]
      self._fetches = losses, norms
      stored = tf.train.load_checkpoint(checkpoint).get_variable_to_shape_map()
      saver = tf.train.Saver([v for v in tf.global_variables()
                              if training_variables.name_of(v) in stored])
      initialize = tf.global_variables_initializer()
    self._session = tf.Session(graph=graph)
    self._session.run(initialize)
    saver.restore(self._session, checkpoint)

  def run(self, batch: Any) -> Replay:
    """Runs the step on a batch, (images, labels)."""
    losses, norms = self._session.run(self._fetches, dict(zip(
        tf.nest.flatten(self._inputs), tf.nest.flatten(batch))))
    order = sorted(zip(self._names, norms), key=lambda pair: -np.nan_to_num(
        np.float64(pair[1]), nan=np.inf, posinf=np.inf))
    return Replay({k: float(v) for k, v in losses.items()},
                  [(name, float(norm)) for name, norm in order])


def _build(config, images, labels):
  """Losses, variables and the norms of their gradients, as tensors."""
  train = config.train
  images = model_fn.restore_image_layout(
      images, train.transpose_input,
      config.architecture.space_to_depth_block_size)
  model = model_factory.build_model(config)
  step = tf.train.get_or_create_global_step()
  with random_numbers.source(train.seed, step, 0, train.accumulation_steps
                             ), initial_values.seeded(train.seed):
    outputs = model_fn.model_outputs(model, images, labels, modes.TRAIN,
                                     config.architecture.use_bfloat16)
    losses = dict(model.losses(outputs, labels, is_training=True))
  variables = optimizers.trained_variables(tf.trainable_variables(),
                                           train.frozen_variable_prefix)
  losses['l2_regularization_loss'] = optimizers.l2_regularization_loss(
      variables, train.l2_weight_decay, train.regularization_variable_regex)
  total = losses[fields.MODEL_LOSS] + losses['l2_regularization_loss']
  pairs = [(v, g) for v, g in zip(variables, tf.gradients(total, variables))
           if g is not None]
  return losses, [v for v, _ in pairs], [
      tf.norm(tf.convert_to_tensor(g)) for _, g in pairs]


def alone(batch: Any, index: int) -> Any:
  """A batch in which one image takes the place of all others.

  Args:
    batch: (images, labels); images with the batch first.
    index: int.
  """
  return tf.nest.map_structure(
      lambda v: np.repeat(np.asarray(v)[index:index + 1], len(v), axis=0),
      batch)


def find_batch(path: str) -> str:
  """The saved batch at a path: the file itself, or the newest of a model_dir.

  Raises:
    errors.SetupError: if there is none.
  """
  if not os.path.isdir(path):
    return path
  found: Sequence[str] = [
      os.path.join(folder, name)
      for folder in (path, os.path.join(path, divergence.FOLDER))
      if os.path.isdir(folder)
      for name in os.listdir(folder) if name.endswith('.npz')]
  if not found:
    raise errors.SetupError('%s has no saved batch (diverged/step-*.npz).'
                            % path)
  return max(found, key=os.path.getmtime)
