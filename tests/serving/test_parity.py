"""Tests of serving.parity: what differs is found."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from serving import export
from serving import parity
from serving import signatures
from serving import sources
from tests.serving import small_models
from utils import fields


def _answer(boxes, scores, classes, count=None, **more):
  return dict({fields.NUM_DETECTIONS: np.array(
      len(boxes) if count is None else count),
               fields.DETECTION_BOXES: np.array(boxes, np.float32),
               fields.DETECTION_SCORES: np.array(scores, np.float32),
               fields.DETECTION_CLASSES: np.array(classes)}, **more)


BOXES = [[0, 0, 10, 10], [5, 5, 20, 20], [1, 1, 1, 1]]


def _greatest(wanted, found, **options):
  return {d.name: d.greatest
          for d in parity.compare([wanted], [found], **options)}


def test_objects_of_equal_scores_may_change_places():
  wanted = _answer(BOXES, [.9, .9, 0.], [1, 2, 1], 2)
  found = _answer([BOXES[1], BOXES[0], [7, 7, 7, 7]], [.9, .9, -1.], [2, 1, 9],
                  2)
  assert set(_greatest(wanted, found).values()) == {0.}
  apart = _answer(BOXES, [.9, .5, 0.], [1, 2, 1], 2)
  assert _greatest(apart, found)[fields.DETECTION_SCORES] > .3


def test_differences_have_their_size():
  wanted = _answer(BOXES, [.9, .5, .4], [1, 2, 1])
  moved = np.array(BOXES, np.float32)
  moved[1, 2] += .25
  found = _answer(moved, [.9, .5, .4], [1, 2, 3])
  greatest = _greatest(wanted, found)
  assert greatest[fields.DETECTION_BOXES] == .25
  assert greatest[fields.DETECTION_CLASSES] == 2
  assert greatest[fields.NUM_DETECTIONS] == 0


def test_what_is_missing_or_not_a_number_differs_infinitely():
  wanted = _answer(BOXES, [.9, .5, .4], [1, 2, 1])
  found = _answer(BOXES, [.9, np.nan, .4], [1, 2, 1],
                  image_info=np.zeros([4, 2]))
  greatest = _greatest(wanted, found)
  assert np.isinf(greatest[fields.DETECTION_SCORES])
  assert np.isinf(greatest[fields.IMAGE_INFO])


def test_what_is_not_a_number_in_both_is_equal():
  wanted = {fields.LOGITS: np.array([1., np.nan])}
  assert _greatest(wanted, wanted) == {fields.LOGITS: 0.}
  assert np.isinf(_greatest(wanted, {fields.LOGITS: np.array([1., 2.])})[
      fields.LOGITS])


def test_label_maps_differ_by_the_share_of_pixels():
  one = np.zeros([10, 10], np.int32)
  other = one.copy()
  other[:5] = 1
  assert _greatest({fields.MASKS: one}, {fields.MASKS: other}) == {
      fields.MASKS: .5}


@pytest.fixture(scope='module')
def written(tmp_path_factory):
  """(plan, folder) of an export."""
  folder = tmp_path_factory.mktemp('run')
  small_models.make(folder / 'm', 'retinanet')
  source = sources.find_checkpoint(folder / 'm')
  export.export(source.config, source.checkpoint, folder / 'e')
  return export.plan(source.config, source.checkpoint), str(folder / 'e')


@pytest.mark.one_runtime('tf1')
def test_an_export_passes(written):
  lines = []
  differences = parity.check(*written, write=lines.append)
  assert {d.name for d in differences} == {
      'detection_boxes', 'detection_classes', 'detection_scores',
      'num_detections', 'image_info'}
  assert len(lines) == 7


def test_what_is_above_its_tolerance_fails():
  lines = []
  fine = parity.Difference(fields.LOGITS, 1e-4, 1e-3)
  for greatest in (2e-3, np.inf, np.nan):
    wrong = parity.Difference(fields.MASKS, greatest, 1e-3)
    with pytest.raises(parity.ParityError, match=fields.MASKS):
      parity.settle([fine, wrong], 2, lines.append)
  assert sum('<--' in line for line in lines) == 3
  assert parity.settle([fine], 2, lines.append) == [fine]


@pytest.mark.one_runtime('tf2')
def test_a_perturbed_export_fails(written, tmp_path):
  """A hundredth more in one variable."""
  the_plan, folder = written
  perturbed = str(tmp_path / 'perturbed')
  with tf.Graph().as_default(), tf.Session() as session:
    meta = tf.saved_model.load(session, ['serve'], folder)
    kernel = [v for v in tf.global_variables()
              if v.op.name == 'retinanet/class_net/class-predict/kernel'][0]
    session.run(kernel.assign(kernel * 1.01))
    builder = tf.saved_model.Builder(perturbed)
    builder.add_meta_graph_and_variables(
        session, ['serve'], signature_def_map=dict(meta.signature_def))
    builder.save()
  tf.gfile.MakeDirs(perturbed + '/assets.extra')
  for name in tf.gfile.ListDirectory(folder + '/assets.extra'):
    tf.gfile.Copy('%s/assets.extra/%s' % (folder, name),
                  '%s/assets.extra/%s' % (perturbed, name))
  lines = []
  with pytest.raises(parity.ParityError, match='detection_scores'):
    parity.check(the_plan, perturbed, write=lines.append)
  assert any('<--' in line for line in lines)
  loose = {d.name: 1e6 for d in parity.compare([{}], [{}])}
  loose.update({name: 1e6 for name in parity.TOLERANCES})
  parity.check(the_plan, perturbed, tolerances=loose, write=lines.append)


@pytest.mark.one_runtime('tf2')
def test_an_export_that_does_not_answer(written, tmp_path):
  with pytest.raises(parity.ParityError, match='cannot be run'):
    parity.check(written[0], str(tmp_path))


def test_images_of_all_kinds_are_made(written):
  images = parity.made_images(written[0])
  assert len(images) == 3 and images[0] != images[2]
  normalized = parity.compare(
      [{fields.DETECTION_BOXES: np.zeros([1, 4])}],
      [{fields.DETECTION_BOXES: np.zeros([1, 4])}],
      coordinates=signatures.NORMALIZED)
  assert normalized[0].allowed < parity.TOLERANCES[fields.DETECTION_BOXES]
