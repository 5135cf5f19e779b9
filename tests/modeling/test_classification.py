"""The classification model with made-up parts."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling import classification
from utils import modes

_LOGITS = np.array([[0., 3., 1., 2.], [5., 0., 0., 0.]], np.float32)


def _model(num_classes=4, label_smoothing=0., dtype=tf.float32):
  modes_seen = []

  def backbone(images, is_training):
    modes_seen.append(is_training)
    return {2: images}

  def head(features, is_training):
    modes_seen.append(is_training)
    return tf.cast(features[2], dtype)

  model = classification.Classification(backbone, head, num_classes,
                                        label_smoothing)
  return model, modes_seen


def _run(fetches):
  with tf.Session() as session:
    return session.run(fetches)


@pytest.mark.parametrize('mode', modes.ALL)
def test_parts_know_whether_they_train(mode):
  model, modes_seen = _model(dtype=tf.bfloat16)
  outputs = model.outputs(tf.constant(_LOGITS), None, mode)
  assert modes_seen == [mode == modes.TRAIN] * 2
  # Losses are computed in float32 whatever the network runs in.
  assert outputs['logits'].dtype == tf.float32


def test_loss_is_the_mean_cross_entropy():
  model, _ = _model()
  labels = tf.constant([1, 2])
  loss = _run(model.losses({'logits': tf.constant(_LOGITS)}, labels))
  e = np.exp
  expected = (np.log(e(3) + 1 + e(1) + e(2)) - 3 + np.log(e(5) + 3) - 0) / 2
  assert loss == {'model_loss': pytest.approx(expected, rel=1e-5)}


def test_predictions_have_the_best_classes_first():
  model, _ = _model()
  labels = {'source_id': tf.constant([7, 8]), 'label': tf.constant([1, 2])}
  outputs = {'logits': tf.constant(_LOGITS)}
  result = _run(model.predictions(outputs, labels))
  # Four classes: there are no best five.
  assert result['pred_classes'].tolist() == [[1, 3, 2, 0], [0, 1, 2, 3]]
  np.testing.assert_allclose(result['pred_scores'].sum(axis=1), [1., 1.],
                             rtol=1e-5)
  assert result['gt_label'].tolist() == [1, 2]
  assert result['pred_source_id'].tolist() == [7, 8]
  # The loss of every image, not of the batch: padding does not count.
  mean = _run(model.losses(outputs, labels['label']))['model_loss']
  assert result['loss_model_loss'].shape == (2,)
  assert result['loss_model_loss'].mean() == pytest.approx(mean)
  assert 'loss_model_loss' not in model.predictions(outputs, labels, False)


def test_prediction_without_labels():
  model, _ = _model()
  result = model.predictions({'logits': tf.constant(_LOGITS)},
                             {'source_id': tf.constant([7, 8])})
  assert sorted(result) == ['pred_classes', 'pred_scores', 'pred_source_id']
