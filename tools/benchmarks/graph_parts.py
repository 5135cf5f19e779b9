"""Where the network begins in the graph of an exported model."""

from typing import Iterable, List, NamedTuple, Optional, Sequence

import tensorflow.compat.v1 as tf


class Parts(NamedTuple):
  """Tensors of an export that can be fed.

  Attributes:
    image: float [B, height, width, 3] that the network begins with, or None.
    image_info: what the boxes' way back needs, float32 [B, 4, 2], or None.
  """
  image: Optional[tf.Tensor]
  image_info: Optional[tf.Tensor]


_CONVOLUTIONS = ('Conv2D', 'DepthwiseConv2dNative')
# Between the prepared image and the first convolution.
_OF_NETWORK = ('Cast', 'Identity', 'Pad', 'PadV2')
_IMAGE_INFO = 'ImageInfo'  # as published exports call it


def find(fed: tf.Tensor, fetches: Sequence[tf.Tensor]) -> Parts:
  """Finds where the preparation of images ends.

  Args:
    fed: tensor that is fed.
    fetches: [tensor] that is computed of it.

  Returns:
    Parts.
  """
  needed = _ancestors([tensor.op for tensor in fetches])
  for operation in fed.graph.get_operations():
    if operation.type in _CONVOLUTIONS and operation in needed and (
        _channels(operation.inputs[0]) == 3):
      return Parts(_beginning(operation.inputs[0], fed),
                   _image_info(fed.graph))
  return Parts(None, None)


def _channels(tensor):
  return tensor.shape.as_list()[-1] if tensor.shape.ndims == 4 else None


def _beginning(tensor, fed):
  """The image before the network's own padding and types."""
  while tensor is not fed and tensor.op.type in _OF_NETWORK:
    tensor = tensor.op.inputs[0]
  return tensor


def _image_info(graph):
  try:
    operation = graph.get_operation_by_name(_IMAGE_INFO)
  except KeyError:
    return None
  return operation.inputs[0] if operation.type == 'Identity' else None


def _ancestors(operations):
  """What has to run for these operations, themselves included."""
  found, left = set(operations), list(operations)
  while left:
    operation = left.pop()
    for other in [t.op for t in operation.inputs] + operation.control_inputs:
      if other not in found:
        found.add(other)
        left.append(other)
  return found


def depends(operations: Iterable[tf.Operation], tensor: tf.Tensor) -> bool:
  """Whether a tensor is needed for operations."""
  return tensor.op in _ancestors(operations)


def parses_examples(graph_def: tf.GraphDef) -> bool:
  """Whether a graph takes serialized tf.train.Example."""
  nodes = list(graph_def.node) + [
      node for function in graph_def.library.function
      for node in function.node_def]
  return any(node.op.startswith('Parse') and 'Example' in node.op
             for node in nodes)


def notes(parts: Parts) -> List[str]:
  """Sentences about what could not be found."""
  if parts.image is None:
    return ['There is no convolution of an image with 3 channels in the graph: '
            'the network is not timed separately.']
  return []
