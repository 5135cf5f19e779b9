"""Residual blocks: order of variables, shortcut, stride, regularizers."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from architecture import blocks
from architecture import normalization
from tests.architecture import graphs


def _builder(dropblock=None, **settings):
  return blocks.BlockBuilder(
      normalization.BatchNormActivation(**settings), dropblock)


def _kernels():
  return [(name, shape) for name, shape in graphs.variables()
          if name.endswith('kernel')]


class _Recorder:
  """A DropBlock that notes the shapes it is given."""

  def __init__(self):
    self.shapes = []

  def __call__(self, inputs, is_training):
    assert is_training
    self.shapes.append(inputs.shape.as_list())
    return inputs


def test_residual_creates_the_projection_first():
  x = _builder().residual(tf.zeros([1, 5, 5, 2]), 3, 2, False,
                          use_projection=True)
  assert x.shape.as_list() == [1, 3, 3, 3]
  assert _kernels() == [('conv2d/kernel', [1, 1, 2, 3]),
                        ('conv2d_1/kernel', [3, 3, 2, 3]),
                        ('conv2d_2/kernel', [3, 3, 3, 3])]


def test_bottleneck_creates_the_projection_first():
  x = _builder().bottleneck(tf.zeros([1, 5, 5, 2]), 3, 2, False,
                            use_projection=True)
  assert x.shape.as_list() == [1, 3, 3, 12]
  assert _kernels() == [('conv2d/kernel', [1, 1, 2, 12]),
                        ('conv2d_1/kernel', [1, 1, 2, 3]),
                        ('conv2d_2/kernel', [3, 3, 3, 3]),
                        ('conv2d_3/kernel', [1, 1, 3, 12])]


def test_the_stride_of_a_bottleneck_is_that_of_its_3x3():
  _builder().bottleneck(tf.zeros([1, 4, 4, 2]), 3, 2, False,
                        use_projection=True)
  graph = tf.get_default_graph()
  sides = [graph.get_tensor_by_name('%s/Conv2D:0' % name).shape.as_list()[1]
           for name in ('conv2d', 'conv2d_1', 'conv2d_2', 'conv2d_3')]
  assert sides == [2, 4, 2, 2]


@pytest.mark.parametrize('kind,filters', [('residual', 4), ('bottleneck', 1)])
def test_a_main_path_of_zeros_leaves_the_shortcut(kind, filters):
  values = np.random.RandomState(0).randn(2, 3, 3, 4).astype(np.float32)
  block = getattr(_builder(activation='swish'), kind)
  outputs = block(tf.constant(values), filters, 1, False)
  zeros = {name: 0. for name, _ in _kernels()}
  np.testing.assert_allclose(
      graphs.run(outputs, zeros), values / (1. + np.exp(-values)), rtol=1e-5)


@pytest.mark.parametrize('gain,expected', [
    # 3 - .5 * 3; without the cut at the end -2 would stay.
    (-.5, [0., 1.5]),
    # Without the relu in between, -2 would become -2 + 2 * 2 = 2.
    (-2., [0., 0.])])
def test_residual_by_hand(gain, expected):
  values = np.float32([[-2., 3.]]).reshape([1, 1, 2, 1])
  outputs = _builder().residual(tf.constant(values), 1, 1, False)
  outputs = graphs.run(outputs, {
      'conv2d/kernel': graphs.centered(),
      'conv2d_1/kernel': gain * graphs.centered()})
  np.testing.assert_allclose(outputs.ravel(), expected, atol=1e-3)


def test_projection_is_normalized_but_not_activated():
  values = np.float32([[1., 2.]]).reshape([1, 1, 2, 1])
  outputs = _builder().residual(tf.constant(values), 1, 1, False,
                                use_projection=True)
  outputs = graphs.run(outputs, {
      'conv2d/kernel': -1., 'batch_normalization/beta': 1.5,
      'conv2d_1/kernel': 0., 'conv2d_2/kernel': 0.,
      'batch_normalization_2/beta': 1.})
  # -1 + 1.5 + 1 = 1.5; -2 + 1.5 + 1 = .5. A relu in between would give 1.
  np.testing.assert_allclose(outputs.ravel(), [1.5, .5], atol=1e-3)


@pytest.mark.parametrize('kind', ['residual', 'bottleneck'])
def test_drop_connect_leaves_the_shortcut_alone(kind):
  tf.set_random_seed(0)
  values = np.ones([200, 1, 1, 4], np.float32)
  filters = 4 if kind == 'residual' else 1
  outputs = getattr(_builder(), kind)(
      tf.constant(values), filters, 1, True, drop_connect_rate=.9)
  last_beta = [n for n in graphs.names() if n.endswith('beta')][-1]
  zeros = {name: 0. for name, _ in _kernels()}
  outputs = graphs.run(outputs, dict(zeros, **{last_beta: 1.}))
  # The main path is 1; kept, it becomes 1 / (1 - .9).
  np.testing.assert_allclose(np.unique(np.round(outputs, 4)), [1., 11.])
  assert .8 < np.mean(outputs < 5.) < .98


def test_nothing_is_dropped_at_inference():
  values = np.ones([50, 1, 1, 4], np.float32)
  outputs = graphs.run(_builder().residual(
      tf.constant(values), 4, 1, False, drop_connect_rate=.9))
  np.testing.assert_allclose(outputs, np.broadcast_to(outputs[:1],
                                                      outputs.shape), rtol=1e-5)


def test_dropblock_follows_every_normalization_and_the_plain_shortcut():
  recorder = _Recorder()
  _builder(recorder).residual(tf.zeros([1, 4, 4, 2]), 2, 1, True)
  assert recorder.shapes == [[1, 4, 4, 2]] * 3
  recorder = _Recorder()
  _builder(recorder).bottleneck(tf.zeros([1, 4, 4, 2]), 3, 2, True,
                                use_projection=True)
  assert recorder.shapes == [[1, 2, 2, 12], [1, 4, 4, 3], [1, 2, 2, 3],
                             [1, 2, 2, 12]]
