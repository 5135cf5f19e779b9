"""The moving number of positives that losses are divided by."""

import types

import numpy as np
import tensorflow.compat.v1 as tf

from modeling import retinanet
from utils import fields

MOMENTUM = .5
LOSS = types.SimpleNamespace(
    focal_loss_alpha=.25, focal_loss_gamma=1.5, huber_loss_delta=.1,
    box_loss_weight=50., normalizer_momentum=MOMENTUM)


def _box_loss(num_positives, is_training=True):
  """0.095 / (4 n): one coordinate that is 1 off."""
  model = retinanet.RetinaNet(None, None, None, None, None, LOSS, 2)
  outputs = {fields.CLS_OUTPUTS: {3: tf.zeros([1, 1, 1, 2])},
             fields.BOX_OUTPUTS: {3: tf.zeros([1, 1, 1, 4])}}
  labels = {fields.CLS_TARGETS: {3: tf.zeros([1, 1, 1, 1], tf.int32)},
            fields.BOX_TARGETS: {3: tf.constant([[[[1., 0., 0., 0.]]]])},
            fields.NUM_POSITIVES: tf.constant(num_positives)}
  return model.losses(outputs, labels, is_training)[fields.BOX_LOSS]


def _normalizer(box_loss):
  return .095 / (4. * box_loss)


def test_average_by_hand():
  loss = _box_loss([4., 6.])
  stored = {v.op.name: v for v in tf.global_variables()}
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    first = session.run(loss)
    # As if the first batch had had 20 instead of 10.
    session.run(stored['moving_normalizer/biased'].assign(MOMENTUM * 20.))
    second = session.run(loss)
    values = session.run(stored)
  # The loss adds 1 to what it is given.
  np.testing.assert_allclose(_normalizer(first), 10. + 1., rtol=1e-5)
  # (.5 * 10 + .5 * 10) / (1 - .25)
  np.testing.assert_allclose(_normalizer(second), 10. / .75 + 1., rtol=1e-5)
  np.testing.assert_allclose(values['moving_normalizer'], 10. / .75)
  assert values['moving_normalizer/local_step'] == 2.


def test_outside_of_training_the_batch_counts():
  loss = _box_loss([4., 6.], is_training=False)
  assert not tf.global_variables()
  with tf.Session() as session:
    np.testing.assert_allclose(_normalizer(session.run(loss)), 11., rtol=1e-5)


def test_every_replica_counts_for_itself():
  strategy = tf.distribute.MirroredStrategy(['/cpu:0', '/cpu:1'])
  positives = iter([[10.], [30.]])
  with strategy.scope():
    losses = strategy.extended.call_for_each_replica(
        lambda: _box_loss(next(positives)))
  with tf.Session(config=tf.ConfigProto(device_count={'CPU': 2})) as session:
    session.run(tf.global_variables_initializer())
    losses = session.run(strategy.experimental_local_results(losses))
  np.testing.assert_allclose(_normalizer(np.array(losses)), [11., 31.],
                             rtol=1e-5)
