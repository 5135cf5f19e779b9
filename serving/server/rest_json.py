"""JSON of TensorFlow Serving's REST interface, to arrays and back.

Source: TensorFlow Serving, api_rest.md and util/json_tensor.cc.
"""

import base64
import binascii
import json
from typing import Any, Dict, Mapping, NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from serving.server import errors
from serving.server import served_model

DEFAULT_SIGNATURE = 'serving_default'
_ROWS, _COLUMNS = 'instances', 'inputs'
_B64 = 'b64'
# Outputs of such names are bytes, others text.
_BYTES_SUFFIX = '_bytes'
_OF_KIND = {'f': 'fiu', 'i': 'iu', 'u': 'iu', 'b': 'b'}  # what may be given


class Request(NamedTuple):
  """What is asked.

  Attributes:
    signature: that is asked.
    feeds: by key.
    by_rows: whether it came as rows, and the answer goes so.
  """
  signature: served_model.Signature
  feeds: Dict[str, np.ndarray]
  by_rows: bool


def parse(body: bytes) -> Dict[str, Any]:
  """The JSON object of a request body.

  Args:
    body: bytes.

  Raises:
    RequestError: saying where it is not JSON.
  """
  try:
    values = json.loads(body.decode('utf-8'))
  except UnicodeDecodeError as e:
    raise errors.RequestError(
        'JSON Parse error: the body is not UTF-8 at offset: %d' % e.start)
  except json.JSONDecodeError as e:
    raise errors.RequestError('JSON Parse error: %s at offset: %d' % (
        e.msg, e.pos))
  except (ValueError, RecursionError) as e:
    raise errors.RequestError('JSON Parse error: %s' % e)
  if not isinstance(values, dict):
    raise errors.RequestError('JSON Value: not an object')
  return values


def signature_of(
    values: Dict[str, Any],
    signatures: Mapping[str, served_model.Signature]) -> served_model.Signature:
  """The Signature that a request names.

  Args:
    values: JSON object.
    signatures: {name: served_model.Signature}.

  Raises:
    RequestError: if there is none of the name.
  """
  name = values.get('signature_name') or DEFAULT_SIGNATURE
  if not isinstance(name, str) or name not in signatures:
    raise errors.RequestError(
        'Serving signature name: "%s" not found in signature def; there are: '
        '%s' % (name, ', '.join(sorted(signatures))))
  return signatures[name]


def predict_request(
    values: Dict[str, Any],
    signatures: Mapping[str, served_model.Signature]) -> Request:
  """The Request of a body of `:predict`.

  Args:
    values: JSON object.
    signatures: {name: served_model.Signature}.

  Returns:
    Request.

  Raises:
    RequestError: saying what is expected.
  """
  signature = signature_of(values, signatures)
  if (_ROWS in values) == (_COLUMNS in values):
    raise errors.RequestError(
        "Request body must have either 'instances' or 'inputs'.")
  by_rows = _ROWS in values
  columns = (_columns_of_rows if by_rows else _columns)(
      values[_ROWS if by_rows else _COLUMNS], signature)
  _check_keys(columns, signature)
  return Request(signature, {
      key: tensor(value, key, signature.inputs[key])
      for key, value in columns.items()}, by_rows)


def _columns_of_rows(rows, signature):
  """{key: [value of each row]} of the row format."""
  if not isinstance(rows, list) or not rows:
    raise errors.RequestError(
        "'instances' must be a list of one or more values.")
  if all(_is_named(row) for row in rows):
    keys = set(rows[0])
    for i, row in enumerate(rows):
      if set(row) != keys:
        raise errors.RequestError(
            "Failed to process element: %d of 'instances' list. It has the "
            'keys %s, the first one %s.' % (i, sorted(row), sorted(keys)))
    return {key: [row[key] for row in rows] for key in keys}
  if any(_is_named(row) for row in rows):
    raise errors.RequestError(
        "'instances' are either all objects or all plain values.")
  return {_single_input(signature): rows}


def _columns(value, signature):
  """{key: value} of the column format."""
  return value if _is_named(value) else {_single_input(signature): value}


def _is_named(value):
  return isinstance(value, dict) and not _is_b64(value)


def _is_b64(value):
  return isinstance(value, dict) and set(value) == {_B64}


def _single_input(signature):
  """The input that a value without a name is for."""
  needed = [key for key, t in signature.inputs.items() if not t.is_optional]
  if len(needed) != 1:
    raise errors.RequestError(
        'The signature has the inputs %s: give objects with these keys.' % (
            ', '.join(sorted(signature.inputs))))
  return needed[0]


def _check_keys(columns, signature):
  unknown = sorted(set(columns) - set(signature.inputs))
  missing = sorted(key for key, t in signature.inputs.items()
                   if not t.is_optional and key not in columns)
  if unknown or missing:
    raise errors.RequestError(
        'Sent extra: {%s}. Missing but required: {%s}.' % (
            ','.join(unknown), ','.join(missing)))


def tensor(value: Any, key: str, expected: served_model.Tensor) -> np.ndarray:
  """The array of a JSON value.

  Args:
    value: number, str, {'b64': str}, or lists of these.
    key: str, of the input.
    expected: served_model.Tensor.

  Returns:
    Array of the shape [B, ...] of `expected`, of object for strings.

  Raises:
    RequestError: if type or shape are others.
  """
  if expected.dtype == tf.string:
    array = _strings(value, key)
  else:
    array = _numbers(value, key, expected.dtype.as_numpy_dtype)
  shape = expected.shape
  # The batch is the server's matter: it fills up and cuts.
  if shape is not None and (len(shape) != array.ndim or any(
      have != want for have, want in zip(array.shape[1:], shape[1:])
      if want is not None)):
    raise errors.RequestError('Tensor %s has the shape %s, expected is %s.' % (
        key, list(array.shape), [-1 if n is None else n for n in shape]))
  if array.ndim and not array.shape[0]:
    raise errors.RequestError('Tensor %s is empty.' % key)
  return array


def _numbers(value, key, dtype):
  dtype = np.dtype(dtype)
  try:
    array = np.array(value)
  except (ValueError, OverflowError):  # lists of different lengths
    array = np.array(None)
  # Whole numbers above 2**64 and mixed types become objects or text.
  if array.dtype.kind not in _OF_KIND.get(dtype.kind, ''):
    raise errors.RequestError(
        'Tensor %s should be %s: numbers in lists of equal lengths.' % (
            key, dtype.name))
  if dtype.kind in 'iu' and array.size and (
      array.min() < np.iinfo(dtype).min or array.max() > np.iinfo(dtype).max):
    raise errors.RequestError('Tensor %s has numbers that are not %s.' % (
        key, dtype.name))
  return array.astype(dtype)


def _strings(value, key):
  """Array of bytes of a string or a list of such."""
  if not isinstance(value, list):
    array = np.empty([], object)
    array[()] = _bytes(value, key)
    return array
  array = np.empty([len(value)], object)
  for i, one in enumerate(value):
    array[i] = _bytes(one, key)
  return array


def _bytes(value, key):
  if isinstance(value, str):
    try:
      return value.encode('utf-8')
    except UnicodeEncodeError:  # half of a surrogate pair
      raise errors.RequestError('Tensor %s has text that is not Unicode.' % key)
  if _is_b64(value) and isinstance(value[_B64], str):
    try:
      return base64.b64decode(value[_B64], validate=True)
    except (binascii.Error, ValueError):
      raise errors.RequestError('Unable to base64 decode tensor %s' % key)
  raise errors.RequestError(
      'Tensor %s should be text or {"b64": "..."}, one for each row.' % key)


def predict_response(answers: Mapping[str, np.ndarray], by_rows: bool) -> bytes:
  """The body that answers `:predict`.

  Args:
    answers: {key: array [B, ...]}.
    by_rows: bool, of the Request.

  Returns:
    bytes.

  Raises:
    RequestError: if there is not a row of each output for each of the input.
  """
  plain = {key: _plain(value, key) for key, value in answers.items()}
  if not by_rows:
    return _dumps({'outputs': plain if len(plain) > 1 else list(
        plain.values())[0]})
  counts = {key: len(value) if isinstance(value, list) else None
            for key, value in plain.items()}
  if len(set(counts.values())) != 1 or None in counts.values():
    raise errors.RequestError(
        'The outputs have different numbers of rows (%s): use "inputs" instead '
        'of "instances".' % counts)
  if len(plain) == 1:
    return _dumps({'predictions': list(plain.values())[0]})
  return _dumps({'predictions': [
      dict(zip(plain, row)) for row in zip(*plain.values())]})


def _plain(value, key):
  """The JSON value of an array."""
  if value.dtype.kind not in 'OS':
    return value.tolist()
  def text(one):
    if key.endswith(_BYTES_SUFFIX):
      return {_B64: base64.b64encode(one).decode('ascii')}
    return one.decode('utf-8', 'replace')
  flat = [text(one) for one in value.reshape([-1])]
  if not value.ndim:
    return flat[0]
  nested = np.empty([len(flat)], object)
  nested[:] = flat
  return nested.reshape(value.shape).tolist()


def _dumps(value):
  return json.dumps(value, separators=(',', ':')).encode('utf-8')
