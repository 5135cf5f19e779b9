"""Options by mode, types and losses of the region proposal network."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling import rpn
from ops import anchors
from utils import fields

OPTIONS = dict(pre_nms_top_k=8, nms_threshold=.7, score_threshold=0.,
               min_size_threshold=0., use_batched_nms=False)


def _rpn(dtype=tf.float32):
  scores = tf.get_variable('scores', initializer=np.float32(
      np.arange(4).reshape(1, 2, 2, 1)))
  boxes = tf.get_variable('boxes', initializer=tf.zeros([1, 2, 2, 4]))
  head = lambda features, is_training: (  # noqa: E731
      {3: tf.cast(scores, dtype)}, {3: tf.cast(boxes, dtype)})
  return rpn.RegionProposalNetwork(
      head, anchors.AnchorGenerator(3, 3, 1, [1.], 1.),
      train_options=dict(OPTIONS, post_nms_top_k=4),
      test_options=dict(OPTIONS, post_nms_top_k=2),
      rpn_batch_size_per_im=2, huber_loss_delta=1.)


def _outputs(is_training, dtype=tf.float32):
  return _rpn(dtype).outputs({}, (16, 16), tf.constant([[[16., 16.]]]),
                             is_training)


@pytest.mark.parametrize('is_training,number', [(True, 4), (False, 2)])
def test_proposals_by_mode(is_training, number):
  """Anchors of 8 x 8 pixels, the best one last."""
  outputs = _outputs(is_training)
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    outputs = session.run(outputs)
  np.testing.assert_allclose(
      outputs['rpn_rois'][0], [[8., 8., 15., 15.], [8., 0., 15., 8.],
                               [0., 8., 8., 15.], [0., 0., 8., 8.]][:number],
      atol=1e-5)
  np.testing.assert_allclose(
      outputs['rpn_roi_scores'][0],
      1. / (1. + np.exp(-np.arange(3., 3. - number, -1.))), rtol=1e-5)


def test_no_gradient_flows_through_the_proposals():
  outputs = _outputs(True)
  total = tf.reduce_sum(outputs['rpn_rois']) + tf.reduce_sum(
      outputs['rpn_roi_scores'])
  assert tf.gradients(total, tf.trainable_variables()) == [None, None]


def test_outputs_are_float32_whatever_the_network_runs_in():
  outputs = tf.nest.flatten(_outputs(True, tf.bfloat16))
  assert {value.dtype for value in outputs} == {tf.float32}


def test_losses_by_hand():
  """Logits 0 to 3: an object, background, one not sampled, background."""
  network = _rpn()
  outputs = network.outputs({}, (16, 16), tf.constant([[[16., 16.]]]), True)
  losses = network.losses(outputs, {
      fields.RPN_SCORE_TARGETS: {3: tf.constant([[[[1], [0]], [[-1], [0]]]])},
      fields.RPN_BOX_TARGETS: {3: tf.reshape(
          tf.constant([.5, 0., 0., 2.] + [0.] * 12), [1, 2, 2, 4])}})
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    losses = session.run(losses)
  entropies = np.log(2.) + np.log1p(np.e) + np.log1p(np.exp(3.))
  assert losses['rpn_score_loss'] == pytest.approx(entropies / 2, rel=1e-5)
  # Two coordinates with a target: 0.5 * 0.25 and 0.5 + 1.
  assert losses['rpn_box_loss'] == pytest.approx((.125 + 1.5) / 2, rel=1e-5)
