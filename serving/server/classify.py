"""`:classify` of TensorFlow Serving, for exported classifiers.

Source: TensorFlow Serving, api_rest.md, "Classify and Regress API".
"""

import json
from typing import Any, Dict, Mapping

import numpy as np

from serving import networks
from serving.server import errors
from serving.server import rest_json
from serving.server import served_model
from utils import types

_ENCODED_KEY = 'image/encoded'  # what records call the image


def request(
    values: Dict[str, Any],
    signatures: Mapping[str, served_model.Signature]) -> rest_json.Request:
  """The Request of a body of `:classify`.

  Args:
    values: JSON object; `examples` are objects with one feature, called like
      the input of the signature or `image/encoded`.
    signatures: {name: served_model.Signature}.

  Returns:
    rest_json.Request.

  Raises:
    RequestError: if the model is not a classifier, or the body is wrong.
  """
  signature = rest_json.signature_of(values, signatures)
  if networks.PROBABILITIES not in signature.outputs:
    raise errors.RequestError(
        'Expected a classifier, whose signature gives "%s"; "%s" gives %s: use '
        ':predict.' % (networks.PROBABILITIES, signature.name,
                            ', '.join(sorted(signature.outputs))))
  examples, context = values.get('examples'), values.get('context', {})
  if not isinstance(examples, list) or not examples or not all(
      isinstance(one, dict) for one in examples + [context]):
    raise errors.RequestError(
        "'examples' must be a list of one or more objects, 'context' an "
        'object.')
  key = sorted(signature.inputs)[0]
  rows = []
  for i, example in enumerate(examples):
    features = dict(context, **example)
    if len(features) != 1 or not set(features) <= {key, _ENCODED_KEY}:
      raise errors.RequestError(
          'Example: %d has the features %s, expected is "%s" or "%s".' % (
              i, sorted(features), key, _ENCODED_KEY))
    rows += features.values()
  return rest_json.predict_request({
      'signature_name': signature.name, 'instances': rows}, signatures)


def response(answers: Mapping[str, np.ndarray],
             class_names: types.LabelMap) -> bytes:
  """The body that answers `:classify`: all classes, the best first.

  Args:
    answers: {key: array [B, ...]}, with `probabilities` [B, C].
    class_names: {class id: name}; others are called by their number.

  Returns:
    bytes.
  """
  results = []
  for probabilities in answers[networks.PROBABILITIES]:
    order = np.argsort(-probabilities, kind='mergesort')
    results.append([[class_names.get(int(i), str(int(i))),
                     float(probabilities[i])] for i in order])
  return json.dumps({'results': results}, separators=(',', ':')).encode('utf-8')
