"""Exports of the reference's models give the reference's predictions."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from serving import export
from serving import exported_model
from serving import input_types
from tests.modeling import reference_case
from tests.modeling import reference_checks
from utils import fields


def _save(case, folder):
  """Prefix of a checkpoint with the weights of a case."""
  from serving import networks
  with tf.Graph().as_default(), tf.Session() as session:
    networks.outputs(case.config, tf.constant(case.images()),
                     tf.constant(case.image_info()))
    case.load_weights(session)
    return tf.train.Saver().save(session, str(folder / 'model.ckpt'), 0,
                                 write_meta_graph=False)


def _answers(case, folder):
  """{key: array [B, ...]} of an export, on the images of the case."""
  images, image_info = case.images(), case.image_info()
  path = export.export(
      case.config, _save(case, folder), folder / 'exported',
      input_types.RAW_IMAGE_TENSOR, batch_size=len(images),
      image_size=images.shape[1:3])
  model = exported_model.ExportedModel(path)
  return model.run_signature({
      'Placeholder:0': images,
      # Some images of a case do not fill the input of the network.
      export.NETWORK_IMAGE_INFO + ':0': image_info})


def _check_label_map(masks, logits):
  """Compares masks [B, H, W, 1] with logits [B, h, w, C]."""
  with tf.Graph().as_default(), tf.Session() as session:
    best = session.run(tf.argmax(tf.image.resize_bilinear(
        tf.constant(logits), masks.shape[1:3]), axis=3))
  assert (best == masks[..., 0]).mean() > .999
  assert len(np.unique(best)) > 2


@pytest.mark.parametrize('folder', reference_checks.cases('', slow=(
    '(?!retinanet_resnet18|classification_resnet50|segmentation)'),
    tf1=['classification_resnet50'], tf2=['segmentation_resnet50']))
def test_an_export_gives_the_predictions_of_the_reference(folder, tmp_path):
  case = reference_case.ReferenceCase(folder)
  expected = case.arrays('predict')
  answers = _answers(case, tmp_path)
  if fields.NUM_DETECTIONS in expected:
    reference_checks.check_detections(answers, expected)
  elif fields.MASKS in answers:
    _check_label_map(answers[fields.MASKS], expected[fields.LOGITS])
  else:
    reference_case.check_array(answers[fields.LOGITS], expected, fields.LOGITS)
