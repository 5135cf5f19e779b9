"""Serialized tf.train.Examples to their features, whatever a record holds.

A record with a correct checksum may hold anything: half an Example, or the
bytes of an image. TensorFlow's parser quotes such bytes in its error, and
Python cannot read the quotation: TF 1.15 ends in a segmentation fault there.
"""

from typing import Any, Dict, Mapping
import warnings

import tensorflow.compat.v1 as tf

from ops import tensor_types

_NO_EXAMPLE = 'not a tf.train.Example'
_KEY_TAG = b'\n'  # what a field of number 1 begins with; then comes its length
# From these lengths on, the length itself takes one more byte.
_LONGER_LENGTHS = (1 << 7, 1 << 14, 1 << 21, 1 << 28)


class ExampleError(ValueError):
  """Bytes that are not a tf.train.Example."""


def features_of(serialized: bytes) -> Dict[str, Any]:
  """{key: Feature} of a serialized tf.train.Example, without a graph.

  Args:
    serialized: bytes.

  Raises:
    ExampleError: for other bytes.
  """
  try:
    with warnings.catch_warnings():  # of bytes left over, on some platforms
      warnings.simplefilter('ignore')
      features = tf.train.Example.FromString(serialized).features.feature
  except Exception:  # pylint: disable=broad-except
    # The type depends on the implementation of protobuf.
    features = {}
  if not features:  # To protobuf, a PNG is an Example of unknown fields.
    raise ExampleError('is not a tf.train.Example.')
  return features


def parse(serialized: tf.Tensor,
          features: Mapping[str, Any]) -> tensor_types.Tensors:
  """tf.io.parse_single_example with an error that can be read.

  Args:
    serialized: string [].
    features: {key: tf.FixedLenFeature or tf.VarLenFeature}.

  Returns:
    {key: tensor}. Running it fails for bytes that are not an Example.
  """
  with tf.name_scope('parse_example'):
    # The parser fails for the text as well, but can quote it.
    checked = tf.where(_is_example(serialized), serialized, _NO_EXAMPLE)
    return tf.io.parse_single_example(checked, features)


def _is_example(serialized):
  """bool []: whether TensorFlow's parser can be given the bytes.

  Takes the messages apart from the outside in, Example, Features, their
  entries of key and value, and requires every byte to belong to one of them:
  other fields or another order are allowed by the format, but not by the
  parser. Lists of bytes are followed to the lengths of their values, where TF
  2.15 reads beyond the record. Running it fails for bytes that are not a
  message, or are an empty one.
  """
  _, features = _decode(serialized, 'Example', 'features')
  features = features[0]
  _, entries = _decode(features, 'Features', 'feature')
  counts, keys, values = _decode(
      entries, 'Features.FeatureEntry', 'key', 'value')
  _, bytes_lists = _decode(values, 'Feature', 'bytes_list')
  num_values, _ = _decode(bytes_lists, 'BytesList', 'value')
  return tf.reduce_all(tf.stack([
      tf.equal(tf.strings.length(serialized), _framed_length(features)),
      tf.equal(tf.strings.length(features),
               tf.reduce_sum(_framed_length(entries))),
      tf.reduce_all(tf.equal(counts, 1)),
      tf.reduce_all(num_values >= 0),
      tf.reduce_all(tf.equal(tf.strings.length(entries)[:, tf.newaxis],
                             _framed_length(keys) + _framed_length(values))),
      tf.reduce_all(tf.equal(tf.strings.substr(entries, 0, 1), _KEY_TAG))]))


def _decode(serialized, message, *fields):
  """[how often each field is there] + [the bytes of each field]."""
  sizes, values = tf.io.decode_proto(
      serialized, 'tensorflow.' + message, list(fields),
      [tf.string] * len(fields))
  return [sizes] + values


def _framed_length(values):
  """int32: bytes that each value takes as a field, with tag and length."""
  lengths = tf.strings.length(values)
  return 2 + lengths + tf.add_n(
      [tf.cast(lengths >= limit, tf.int32) for limit in _LONGER_LENGTHS])
