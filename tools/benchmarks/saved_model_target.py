"""A SavedModel as a target of tools.benchmark_saved_model."""

import argparse
from typing import Any, Callable, Dict

import numpy as np
import tensorflow.compat.v1 as tf

from dataloader import sessions
from tools.benchmarks import graph_parts
from tools.benchmarks import model_images
from tools.benchmarks import targets

_KINDS = {'uint8': targets.PIXELS, 'float32': targets.NORMALIZED}


class SavedModelTarget:
  """Times a signature, by a session; see tools/benchmarks/targets.py."""

  def __init__(self, path: str, options: argparse.Namespace) -> None:
    """Loads it.

    Args:
      path: folder with saved_model.pb.
      options: namespace of tools.benchmark_saved_model.

    Raises:
      TargetError: if it cannot be loaded or has no image among its inputs.
    """
    self._path, self._networks = path, []
    self._session, meta_graph = _load(path)
    self._graph = self._session.graph
    self._fed, self._fetches = self._ends(meta_graph, options)
    self.input = targets.Input(self._kind(), self._size())
    self.batch_size = self._fed.shape.as_list()[0]
    self._parts = graph_parts.find(self._fed, self._fetches)
    self.notes = graph_parts.notes(self._parts)

  def _ends(self, meta_graph, options):
    """What is fed, and what is fetched."""
    signature = _signature(meta_graph, options, self._path)
    try:
      fetches = [self._graph.get_tensor_by_name(name) for name in
                 (options.fetch_tensors.split(',') if options.fetch_tensors
                  else sorted(t.name for t in signature.outputs.values()))]
      if options.feed_tensor:
        return self._graph.get_tensor_by_name(options.feed_tensor), fetches
    except (KeyError, ValueError) as e:
      raise targets.TargetError('%s: %s' % (self._path, e))
    fed = [self._graph.get_tensor_by_name(t.name)
           for t in signature.inputs.values()]
    # Others have defaults, such as the thresholds of segmentation models.
    fed = [t for t in fed if t.op.type == 'Placeholder']
    if len(fed) != 1:
      raise targets.TargetError(
          '%s takes %s. One image is expected; --feed_tensor names it.' % (
              self._path, ', '.join(t.name for t in fed) or 'nothing'))
    return fed[0], fetches

  def _kind(self):
    dtype = self._fed.dtype.name
    if dtype == 'string':
      return (targets.EXAMPLE if graph_parts.parses_examples(
          self._graph.as_graph_def()) else targets.ENCODED)
    if dtype in _KINDS and self._fed.shape.ndims == 4:
      return _KINDS[dtype]
    raise targets.TargetError(
        '%s takes %s %s as %s, which is none of: text (bytes of images, or '
        'tf.train.Example), uint8 or float32 [batch, height, width, 3].' % (
            self._path, dtype, self._fed.shape, self._fed.name))

  def _size(self):
    if self._fed.shape.ndims != 4:
      return None
    height, width = self._fed.shape.as_list()[1:3]
    return (height, width) if height and width else None

  def functions(self, encoded: bytes) -> Dict[str, Callable[[], Any]]:
    """What is timed, for a batch of encoded images; see targets.py."""
    self._close_networks()  # of another batch
    run = self._session.make_callable(self._fetches, [self._fed])
    kind = self.input.kind

    def batch():
      return np.array([model_images.as_input(image, kind) for image in encoded],
                      None if self._fed.dtype != tf.string else object)

    found = {targets.END_TO_END: lambda: run(batch())}
    if self._parts.image is not None:
      found[targets.NETWORK] = self._network(batch())
    return found

  def _network(self, batch):
    """The network alone, its input held by the device."""
    held = [t for t in (self._parts.image, self._parts.image_info)
            if t is not None]
    values = self._session.run(held, {self._fed: batch})
    session = _with_held(self._path, held, values)
    self._networks.append(session)
    operations = [session.graph.get_tensor_by_name(t.name).op
                  for t in self._fetches if t not in held]
    fed = session.graph.get_tensor_by_name(self._fed.name)
    if graph_parts.depends(operations, fed):
      # Something else of the image is used: what makes it is timed, too.
      run = session.make_callable(operations, [fed])
      return lambda: run(batch)
    return session.make_callable(operations)

  def close(self) -> None:
    """Frees the memory of the sessions."""
    self._close_networks()
    self._session.close()

  def _close_networks(self):
    while self._networks:
      self._networks.pop().close()


def _load(path):
  """A session with a SavedModel, and its meta graph."""
  graph = tf.Graph()
  session = sessions.make(graph=graph)
  try:
    with graph.as_default():
      return session, tf.saved_model.loader.load(
          session, [tf.saved_model.tag_constants.SERVING], path)
  except (OSError, RuntimeError, ValueError, tf.errors.OpError) as e:
    session.close()
    raise targets.TargetError(
        '%s cannot be loaded by TensorFlow %s: %s. It should be a folder with '
        'saved_model.pb, written by this version or an older one.' % (
            path, tf.__version__, str(e).split('\n')[0]))


def _signature(meta_graph, options, path):
  """The SignatureDef that is timed."""
  signatures = meta_graph.signature_def
  if options.signature not in signatures:
    raise targets.TargetError('%s has no signature %r; it has: %s.' % (
        path, options.signature, ', '.join(
            sorted(name for name in signatures if name[:2] != '__')) or 'none'))
  return signatures[options.signature]


def _with_held(path, held, values):
  """Loads a SavedModel again, with values in the place of tensors.

  Args:
    path: path of the SavedModel.
    held: [tensor] of another graph.
    values: [array].

  Returns:
    The session.
  """
  graph = tf.Graph()
  session = sessions.make(graph=graph)
  with graph.as_default():
    sources, reads, initializers = [], {}, []
    for i, (tensor, value) in enumerate(zip(held, values)):
      # Neither fed, which would be timed, nor constant, which would be folded.
      source = tf.placeholder(value.dtype, value.shape)
      variable = tf.Variable(source, trainable=False, use_resource=True,
                             collections=[], name='benchmark_input_%d' % i)
      sources.append(source)
      initializers.append(variable.initializer)
      reads[tensor.name] = variable.read_value()
    tf.saved_model.loader.load(
        session, [tf.saved_model.tag_constants.SERVING], path, input_map=reads)
  session.run(initializers, dict(zip(sources, values)))
  return session
