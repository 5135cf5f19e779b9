"""Tests of tools/benchmarks/graph_parts.py."""

import pytest
import tensorflow.compat.v1 as tf

from tools.benchmarks import graph_parts


def _convolution(images, channels=3, op=tf.nn.conv2d):
  kernel = tf.get_variable('kernel', [3, 3, channels, 4])
  return op(images, kernel, [1, 2, 2, 1], 'VALID')


@pytest.fixture(autouse=True)
def graph():
  with tf.Graph().as_default():
    yield


@pytest.mark.parametrize('op', [tf.nn.conv2d, tf.nn.depthwise_conv2d])
def test_the_image_before_padding_and_types(op):
  fed = tf.placeholder(tf.uint8, [2, 8, 8, 3])
  image = tf.subtract(tf.cast(fed, tf.float32), 1., name='prepared')
  padded = tf.pad(tf.identity(tf.cast(tf.cast(image, tf.bfloat16), tf.float32)),
                  [[0, 0], [1, 1], [1, 1], [0, 0]])
  output = _convolution(padded, op=op)
  info = tf.ones([2, 4, 2])
  tf.identity(info, 'ImageInfo')
  assert graph_parts.find(fed, [output]) == (image, info)


def test_the_fed_image_itself():
  fed = tf.placeholder(tf.float32, [2, 8, 8, 3])
  output = _convolution(tf.identity(fed))
  assert graph_parts.find(fed, [output]) == (fed, None)


def test_only_what_the_outputs_need():
  fed = tf.placeholder(tf.float32, [2, 8, 8, 3])
  _convolution(fed + 1.)
  parts = graph_parts.find(fed, [fed * 2.])
  assert parts == (None, None)
  assert 'is not timed separately' in graph_parts.notes(parts)[0]


def test_convolutions_of_features_do_not_count():
  fed = tf.placeholder(tf.float32, [2, 8, 8, 4])
  assert graph_parts.find(fed, [_convolution(fed, 4)]).image is None


def test_dependence():
  one, other = tf.placeholder(tf.float32), tf.placeholder(tf.float32)
  with tf.control_dependencies([tf.identity(other)]):
    by_control = tf.constant(1.) + 1.
  assert graph_parts.depends([(one + 1.).op], one)
  assert not graph_parts.depends([(one + 1.).op], other)
  assert graph_parts.depends([by_control.op], other)


def test_examples_are_parsed_in_functions_too():
  serialized = tf.placeholder(tf.string, [None])
  assert not graph_parts.parses_examples(
      tf.get_default_graph().as_graph_def())
  tf.map_fn(
      lambda s: tf.io.parse_single_example(
          s, {'image/encoded': tf.io.FixedLenFeature([], tf.string)})[
              'image/encoded'], serialized)
  assert graph_parts.parses_examples(tf.get_default_graph().as_graph_def())
