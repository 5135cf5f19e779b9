"""An exported model in a session of its own, called by its signatures."""

import os
import re
from typing import Dict, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from ops import compat
from serving import exported_model
from serving import sources

# What TensorFlow 2 adds to the signatures of a model to initialise it.
_NOT_A_SIGNATURE = '__saved_model_init_op'
_HAS_DEFAULT = 'PlaceholderWithDefault'


class Tensor(NamedTuple):
  """A tensor of a signature.

  Attributes:
    dtype: its type.
    shape: None for an unknown rank.
    tensor: its name in the graph.
    is_optional: whether an input that is not given has a value all the same.
  """
  dtype: tf.DType
  shape: Optional[List[Optional[int]]]
  tensor: str
  is_optional: bool


class Signature(NamedTuple):
  """What a model can be asked.

  Attributes:
    name: str.
    method: str, such as 'tensorflow/serving/predict'.
    inputs: {key: Tensor}.
    outputs: {key: Tensor}.
  """
  name: str
  method: str
  inputs: Dict[str, Tensor]
  outputs: Dict[str, Tensor]

  @property
  def batch_size(self) -> Optional[int]:
    """The number of rows that the graph is fixed to; None where it is free."""
    sizes = {t.shape[0] for t in self.inputs.values()
             if t.shape and not t.is_optional}
    return sizes.pop() if len(sizes) == 1 else None


def newest_version(path: str) -> Tuple[str, str]:
  """The export to serve and its number.

  Args:
    path: an exported folder; or a folder of such, named by numbers, of which
      the highest is taken, as TensorFlow Serving does.

  Returns:
    (folder, version as str).

  Raises:
    LoadError: if there is no exported model.
  """
  path = os.path.normpath(str(path))
  if sources.is_saved_model(path):
    name = os.path.basename(os.path.abspath(path))
    return path, str(int(name)) if re.match(r'\d+$', name) else '1'
  names = tf.gfile.ListDirectory(path) if tf.gfile.IsDirectory(path) else []
  versions = [name.strip('/') for name in names]
  versions = [name for name in versions if re.match(r'\d+$', name) and
              sources.is_saved_model(os.path.join(path, name))]
  if not versions:
    raise sources.LoadError(
        '%s is not an exported model: there is no saved_model.pb, neither in '
        'it nor in folders named by numbers.%s' % (path, (
            ' It is a model_dir; tools.export_saved_model exports it.'
            if tf.gfile.Exists(os.path.join(path, 'params.yaml')) else '')))
  version = max(versions, key=int)
  return os.path.join(path, version), str(int(version))


class ServedModel:
  """A SavedModel; `run` may be called by one thread at a time.

  Attributes:
    folder: str.
    version: str, a number.
    signatures: {name: Signature}.
    session: tf.Session.
    meta_graph: MetaGraphDef.
  """

  def __init__(self, path: str, num_threads: Optional[int] = None) -> None:
    """Loads the newest version.

    Args:
      path: see `newest_version`.
      num_threads: int, CPU threads that the network uses; None: all cores.

    Raises:
      LoadError: if there is no model, or this TensorFlow cannot read it.
    """
    compat.enable_graph_mode()
    self.folder, self.version = newest_version(path)
    threads = num_threads or 0
    self.session, self.meta_graph = exported_model.load_graph(
        self.folder, intra_op_parallelism_threads=threads,
        inter_op_parallelism_threads=threads)
    self.signatures = _signatures(self.meta_graph, self.session.graph)
    if not self.signatures:
      raise sources.LoadError(
          '%s has no signature: it cannot be run.' % self.folder)

  def run(self, signature_name: str,
          feeds: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """Runs the graph as it is.

    Args:
      signature_name: key of `signatures`.
      feeds: {key of an input: array [B, ...]}.

    Returns:
      {key of an output: array [B, ...]}.
    """
    signature = self.signatures[signature_name]
    return self.session.run(
        {key: t.tensor for key, t in signature.outputs.items()},
        {signature.inputs[key].tensor: value for key, value in feeds.items()})

  def close(self) -> None:
    """Frees what the session holds."""
    self.session.close()


def _signatures(meta_graph, graph):
  """{name: Signature} of those whose tensors are plain ones."""
  found = {}
  for name, definition in sorted(meta_graph.signature_def.items()):
    infos = list(definition.inputs.values()) + list(
        definition.outputs.values())
    if name != _NOT_A_SIGNATURE and definition.outputs and all(
        info.WhichOneof('encoding') == 'name' for info in infos):
      found[name] = Signature(name, definition.method_name, *[
          {key: _tensor(info, graph) for key, info in sorted(part.items())}
          for part in (definition.inputs, definition.outputs)])
  return found


def _tensor(info, graph):
  shape = None
  if not info.tensor_shape.unknown_rank:
    shape = [dim.size if dim.size >= 0 else None
             for dim in info.tensor_shape.dim]
  operation = graph.get_tensor_by_name(info.name).op
  return Tensor(tf.as_dtype(info.dtype), shape, info.name,
                operation.type == _HAS_DEFAULT)
