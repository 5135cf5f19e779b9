"""What TensorFlow Serving tells about a model, as plain values.

Source: TensorFlow Serving, get_model_status.proto, get_model_metadata.proto.
"""

from typing import Any, Dict, Mapping

import tensorflow.compat.v1 as tf

from serving.server import served_model


def status(version: str, is_available: bool = True) -> Dict[str, Any]:
  """The answer to GET /v1/models/NAME.

  Args:
    version: str.
    is_available: bool; False while the server stops.
  """
  return {'model_version_status': [{
      'version': version,
      'state': 'AVAILABLE' if is_available else 'UNLOADING',
      'status': {'error_code': 'OK', 'error_message': ''}}]}


def metadata(
    name: str, version: str,
    signatures: Mapping[str, served_model.Signature]) -> Dict[str, Any]:
  """The answer to GET /v1/models/NAME/metadata.

  Args:
    name: str, of the model.
    version: str.
    signatures: {name: served_model.Signature}.
  """
  return {
      'model_spec': {'name': name, 'signature_name': '', 'version': version},
      'metadata': {'signature_def': {'signature_def': {
          s.name: {'inputs': _tensors(s.inputs), 'outputs': _tensors(s.outputs),
                   'method_name': s.method} for s in signatures.values()}}}}


def _tensors(tensors):
  return {key: {
      'dtype': 'DT_' + _proto_name(t.dtype), 'name': t.tensor,
      'tensor_shape': {
          'dim': [{'size': str(-1 if size is None else size), 'name': ''}
                  for size in t.shape or []],
          'unknown_rank': t.shape is None}} for key, t in tensors.items()}


def _proto_name(dtype):
  """FLOAT, STRING, UINT8, ..., as types.proto calls it."""
  return {tf.float32: 'FLOAT', tf.float64: 'DOUBLE', tf.float16: 'HALF'}.get(
      dtype, dtype.name.upper())
