"""Tests of serving.server.rest_json: the examples of TensorFlow Serving."""

import base64
import json

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from serving.server import errors
from serving.server import rest_json
from serving.server import served_model


def _t(dtype, shape, is_optional=False):
  return served_model.Tensor(dtype, shape, 'x:0', is_optional)


def _signatures(**inputs):
  return {'serving_default': served_model.Signature(
      'serving_default', 'tensorflow/serving/predict', inputs, {})}


IMAGE = _signatures(input=_t(tf.string, [None]))
PIXELS = _signatures(x=_t(tf.uint8, [1, 1, 2]))
THREE = _signatures(
    image_bytes=_t(tf.string, [1]), key=_t(tf.string, [None], True),
    score_thresholds=_t(tf.float32, [None], True))


def _b64(content):
  return {'b64': base64.b64encode(content).decode('ascii')}


def _parse(values, signatures):
  return rest_json.predict_request(
      rest_json.parse(json.dumps(values).encode('utf-8')), signatures)


@pytest.mark.parametrize('values', [
    {'instances': [_b64(b'\xff\0a'), 'hé']},
    {'instances': [{'input': _b64(b'\xff\0a')}, {'input': 'hé'}]},
    {'inputs': [_b64(b'\xff\0a'), 'hé']},
    {'inputs': {'input': [_b64(b'\xff\0a'), 'hé']},
     'signature_name': 'serving_default'}])
def test_the_same_bytes_in_every_format(values):
  asked = _parse(values, IMAGE)
  assert asked.feeds['input'].tolist() == [b'\xff\0a', 'hé'.encode()]
  assert asked.by_rows == ('instances' in values)


def test_numbers():
  asked = _parse({'instances': [[[1, 255]], [[0, 3]]]}, PIXELS)
  assert asked.feeds['x'].dtype == np.uint8
  assert asked.feeds['x'].tolist() == [[[1, 255]], [[0, 3]]]
  asked = _parse({'inputs': [1, 2.5]}, _signatures(x=_t(tf.float32, [None])))
  assert asked.feeds['x'].tolist() == [1., 2.5]


def test_inputs_with_a_default_may_be_left_out():
  asked = _parse({'instances': [_b64(b'a')]}, THREE)
  assert set(asked.feeds) == {'image_bytes'}
  asked = _parse({'inputs': {'image_bytes': [_b64(b'a')], 'key': ['k'],
                             'score_thresholds': [.5]}}, THREE)
  assert asked.feeds['key'].tolist() == [b'k']


@pytest.mark.parametrize('values, signatures, sentence', [
    ({}, IMAGE, "either 'instances' or 'inputs'"),
    ({'instances': ['a'], 'inputs': ['a']}, IMAGE, 'either'),
    ({'instances': []}, IMAGE, 'one or more'),
    ({'instances': {'input': 'a'}}, IMAGE, 'must be a list'),
    ({'instances': ['a'], 'signature_name': 'no'}, IMAGE,
     '"no" not found in signature def; there are: serving_default'),
    ({'instances': ['a'], 'signature_name': ['no']}, IMAGE, 'not found'),
    ({'instances': [{'inputs': 'a'}]}, IMAGE,
     r'Sent extra: \{inputs\}. Missing but required: \{input\}'),
    ({'inputs': {'image_bytes': ['a'], 'k': [1]}}, THREE, r'extra: \{k\}'),
    ({'instances': [{'input': 'a'}, {}]}, IMAGE, 'process element: 1'),
    ({'instances': [{'input': 'a'}, 'b']}, IMAGE, 'either all objects'),
    ({'instances': [{'b64': 'a?b='}]}, IMAGE, 'Unable to base64 decode'),
    ({'instances': [{'b64': 'aé'}]}, IMAGE, 'Unable to base64 decode'),
    ({'instances': [{'b64': 1}]}, IMAGE, 'should be text or'),
    ({'instances': [None]}, IMAGE, 'should be text or'),
    ({'instances': [['a']]}, IMAGE, 'should be text or'),
    ({'inputs': 'a'}, IMAGE, r'the shape \[\], expected is \[-1\]'),
    ({'inputs': []}, IMAGE, 'is empty'),
    ({'instances': [[[1, 2, 3]]]}, PIXELS, r'\[1, 1, 3\], expected is \[1, 1'),
    ({'instances': [[[1, 2]], [[1]]]}, PIXELS, 'equal lengths'),
    ({'instances': [[[1, 256]]]}, PIXELS, 'numbers that are not uint8'),
    ({'instances': [[[1, -1]]]}, PIXELS, 'numbers that are not uint8'),
    ({'instances': [[[1, 1.5]]]}, PIXELS, 'should be uint8'),
    ({'instances': [[[1, '2']]]}, PIXELS, 'should be uint8'),
    ({'instances': [[[1, None]]]}, PIXELS, 'should be uint8'),
    ({'instances': [[[1, 10**30]]]}, PIXELS, 'should be uint8'),
    ({'instances': ['a']}, _signatures(a=_t(tf.string, [None]),
                                       b=_t(tf.string, [None])),
     'the inputs a, b: give objects')])
def test_what_is_wrong_is_told(values, signatures, sentence):
  with pytest.raises(errors.RequestError, match=sentence) as e:
    _parse(values, signatures)
  assert e.value.status == 400


@pytest.mark.parametrize('body, sentence', [
    (b'', 'offset: 0'), (b'{"a": ]', 'offset: 6'), (b'\xff{}', 'UTF-8'),
    (b'[1]', 'not an object'), (b'{"a": ' + b'[' * 10**5, 'JSON Parse error'),
    (b'{"a": {"b64"', 'JSON Parse error')])
def test_what_is_not_json(body, sentence):
  with pytest.raises(errors.RequestError, match=sentence) as e:
    rest_json.parse(body)
  assert e.value.status == 400


def test_half_of_a_character():
  with pytest.raises(errors.RequestError, match='not Unicode'):
    rest_json.predict_request(
        rest_json.parse(b'{"instances": ["\\ud800"]}'), IMAGE)


ANSWERS = {
    'num': np.array([1, 2], np.int32),
    'boxes': np.array([[.5, 1.], [2., 3.]], np.float32),
    'png_bytes': np.array([b'\xff', b''], object),
    'key': np.array([b'a', b'b\xff'], object)}


def test_rows():
  values = json.loads(rest_json.predict_response(ANSWERS, True).decode())
  assert values == {'predictions': [
      {'num': 1, 'boxes': [.5, 1.], 'png_bytes': {'b64': '/w=='}, 'key': 'a'},
      {'num': 2, 'boxes': [2., 3.], 'png_bytes': {'b64': ''},
       'key': 'b\ufffd'}]}


def test_columns():
  values = json.loads(rest_json.predict_response(ANSWERS, False).decode())
  assert values['outputs']['num'] == [1, 2]
  assert values['outputs']['png_bytes'] == [{'b64': '/w=='}, {'b64': ''}]


def test_one_output_has_no_name():
  one = {'scores': np.array([[.25], [.5]], np.float32)}
  assert rest_json.predict_response(one, True) == (
      b'{"predictions":[[0.25],[0.5]]}')
  assert rest_json.predict_response(one, False) == (
      b'{"outputs":[[0.25],[0.5]]}')


@pytest.mark.parametrize('value', [np.float32(1.), np.ones([3])])
def test_rows_need_as_many_of_each_output(value):
  with pytest.raises(errors.RequestError, match='use "inputs"'):
    rest_json.predict_response(dict(ANSWERS, more=np.array(value)), True)
