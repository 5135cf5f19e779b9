"""Test-time augmentation of a network that makes no mistakes scores an AP of 1.

Everything but the network takes part: records, reader, parser, views, merging,
masks, the evaluation. The network sees whether its input is mirrored, and finds
the objects of the image at their exact place in that input.
"""

import io

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import factory as config_factory
from dataloader import inputs as dataloader_inputs
from executor import evaluation
from modeling import factory
from modeling import predictions
from tests import model_kinds
from tests import runtimes
from tests.dataloader import examples
from tests.executor import toy
from utils import fields
from utils import modes

pytestmark = pytest.mark.usefixtures('unoptimized')

_PLACES, _SAMPLES = 6, 56  # of detections; samples of a side of a mask
_OUTER = 2.  # sides of the boxes of masks, over those of boxes
# {(height, width): [(class, y0, x0, y1, x1)]}; no two images are of one size.
# Each pixel of a mask is a whole number of its samples.
_IMAGES = {
    (61, 83): [(1, 5, 3, 33, 17), (2, 33, 55, 61, 83), (3, 0, 69, 28, 83)],
    (64, 64): [(2, 0, 0, 28, 28), (2, 36, 8, 64, 36)],
    (97, 40): [(3, 60, 12, 88, 40), (1, 1, 0, 15, 14)],
    (30, 57): [(1, 2, 0, 30, 28)],
    (45, 30): []}
_SCALES = [.5, 1.5]


def _mask(size, box):
  """uint8 [H, W]: a triangle that fills the lower left of a box."""
  y0, x0, y1, x1 = box
  mask = np.zeros(size, np.uint8)
  y, x = np.mgrid[:y1 - y0, :x1 - x0]
  mask[y0:y1, x0:x1] = x / (x1 - x0) <= y / (y1 - y0)
  return mask


def _record(source_id, size):
  """An image that gets brighter from left to right, and its objects."""
  objects = _IMAGES[size]
  pixels = np.tile(np.linspace(0, 255, size[1])[:, np.newaxis],
                   [size[0], 1, 3]).astype(np.uint8)
  return examples.serialize(
      pixels, [np.array(o[1:]) / np.float64(size * 2) for o in objects],
      [o[0] for o in objects], source_id, [_mask(size, o[1:]) for o in objects],
      is_crowd=[0] * len(objects), area=[
          int(_mask(size, o[1:]).sum()) for o in objects], size=size)


class _PerfectNetwork:
  """Stands in for a detector.

  With `finds_all` in every view; otherwise mirrored inputs show it the odd
  objects only, and the others the even ones.
  """

  def __init__(self, finds_all, has_outer_boxes):
    self._finds_all, self._has_outer_boxes = finds_all, has_outer_boxes
    self.num_mirrored = 0

  def outputs_and_masks(self, images, labels, mode):
    del mode
    info = labels[fields.IMAGE_INFO]
    count, boxes, classes, scores = tf.py_func(
        self._find, [images, info],
        [tf.int32, tf.float32, tf.int32, tf.float32])
    for tensor, shape in ((count, []), (boxes, [_PLACES, 4]),
                          (classes, [_PLACES]), (scores, [_PLACES])):
      tensor.set_shape([None] + shape)
    outputs = {fields.NUM_DETECTIONS: count, fields.DETECTION_BOXES: boxes,
               fields.DETECTION_CLASSES: classes,
               fields.DETECTION_SCORES: scores}

    def find_masks(boxes, classes, outer_boxes=None):
      del classes
      found = {}
      if self._has_outer_boxes:
        if outer_boxes is None:
          middle = (boxes[..., :2] + boxes[..., 2:]) / 2.
          half = (boxes[..., 2:] - boxes[..., :2]) / 2. * _OUTER
          outer_boxes = tf.concat([middle - half, middle + half], axis=2)
        found[fields.DETECTION_OUTER_BOXES] = outer_boxes
      masks = tf.py_func(self._masks, [
          images, info, boxes, found.get(fields.DETECTION_OUTER_BOXES, boxes)],
                         tf.float32)
      masks.set_shape([None, _PLACES, _SAMPLES, _SAMPLES])
      return dict(found, **{fields.DETECTION_MASKS: masks})

    return outputs, find_masks

  def predictions(self, outputs, labels, with_losses):
    del with_losses
    return predictions.detection_predictions(outputs, labels)

  def _is_mirrored(self, image, info):
    width = int(round(info[0, 1] * info[2, 1]))
    if width < 2 or image[0, 0, 0] == image[0, width - 1, 0]:
      return False  # padding of the last batch
    is_mirrored = image[0, 0, 0] > image[0, width - 1, 0]
    self.num_mirrored += is_mirrored
    return is_mirrored

  def _find(self, images, infos):
    count = np.zeros([len(images)], np.int32)
    boxes = np.zeros([len(images), _PLACES, 4], np.float32)
    classes = np.ones([len(images), _PLACES], np.int32)
    scores = np.zeros([len(images), _PLACES], np.float32)
    for row, (image, info) in enumerate(zip(images, infos)):
      height, width = info[0]
      is_mirrored = self._is_mirrored(image, info)
      for number, (class_id, y0, x0, y1, x1) in enumerate(
          _IMAGES.get((height, width), ())):
        if not self._finds_all and number % 2 != is_mirrored:
          continue
        if is_mirrored:
          x0, x1 = width - x1, width - x0
        place = count[row]
        boxes[row, place] = np.array([y0, x0, y1, x1]) * np.tile(info[2], 2)
        classes[row, place], scores[row, place] = class_id, .9 - .1 * number
        count[row] += 1
    return count, boxes, classes, scores

  def _masks(self, images, infos, boxes, regions):
    """The mask of the object in each box, sampled within the regions."""
    masks = np.zeros([len(images), _PLACES, _SAMPLES, _SAMPLES], np.float32)
    cells = (np.arange(_SAMPLES) + .5) / _SAMPLES
    for row, (image, info) in enumerate(zip(images, infos)):
      size = tuple(info[0].astype(int))
      objects = np.reshape(_IMAGES.get(size, []), [-1, 5])
      for place in range(_PLACES if len(objects) else 0):
        box, region = [some[row, place] / np.tile(info[2], 2)
                       for some in (boxes, regions)]
        y, x = [np.floor(region[i] + cells * (region[i + 2] - region[i])
                         ).astype(int) for i in (0, 1)]
        if self._is_mirrored(image, info):
          x = size[1] - 1 - x
          box[[1, 3]] = size[1] - box[[3, 1]]
        nearest = np.abs(objects[:, 1:] - box).sum(axis=1).argmin()
        inside = ((y >= 0) & (y < size[0]))[:, np.newaxis] & (
            (x >= 0) & (x < size[1]))
        masks[row, place] = inside * _mask(size, objects[nearest, 1:])[np.ix_(
            y.clip(0, size[0] - 1), x.clip(0, size[1] - 1))]
    return masks


class _Estimator:
  """Runs the model on the batches of the reader."""

  def __init__(self, model):
    self._model = model

  def predict(self, input_fn, checkpoint_path, yield_single_examples, hooks):
    del checkpoint_path, yield_single_examples, hooks
    with tf.Graph().as_default(), tf.Session() as session:
      batch = tf.data.make_one_shot_iterator(
          input_fn({'batch_size': 3})).get_next()
      outputs = self._model.outputs(batch['images'], batch['labels'],
                                    modes.PREDICT)
      found = self._model.predictions(outputs, batch['labels'], False)
      while True:
        try:
          yield session.run(found)
        except tf.errors.OutOfRangeError:
          return


@pytest.mark.parametrize('settings, finds_all, has_outer_boxes', [
    runtimes.only('tf1', {}, True, False),
    runtimes.only('tf2', {'flip': True}, True, True),
    runtimes.only('tf1', {'flip': True, 'scales': _SCALES}, True, False),
    runtimes.only('tf2', {'flip': True, 'scales': _SCALES}, False, True),
    runtimes.only('tf1', {'scales': _SCALES}, False, False)])
def test_average_precision_is_one(settings, finds_all, has_outer_boxes,
                                  tmp_path, monkeypatch):
  network = _PerfectNetwork(finds_all, has_outer_boxes)
  monkeypatch.setattr(factory, 'build_mask_rcnn', lambda config: network)
  path = examples.write(tmp_path / 'val', [
      _record('image %d' % i, size) for i, size in enumerate(sorted(_IMAGES))])
  config, _ = config_factory.load_config(
      'mask_rcnn', None, model_kinds.content(
          'mask_rcnn', architecture={'clip_boxes_to_border': True},
          maskrcnn_parser={'mask_crop_grid': 'cells'},
          postprocess={'max_total_size': _PLACES},
          eval={'test_time_augmentation': settings, 'skip_eval_loss': True}),
      extra={'model_dir': str(tmp_path / 'run'),
             'eval.eval_file_pattern': path})
  model = factory.build_model(config) if settings else _Plain(network)
  job = evaluation.Evaluation(
      config, _Estimator(model),
      dataloader_inputs.build_input_fn(config, modes.PREDICT_WITH_GT),
      io.StringIO())
  (tmp_path / 'run').mkdir()
  metrics = job.run(toy.save_checkpoint(tmp_path / 'run', 1, global_step=1))
  if not network._finds_all and 'flip' not in settings:
    assert 0. < metrics['AP'] < 1. and 0. < metrics['mask_AP'] < 1.
    return
  assert metrics['AP'] == pytest.approx(1.)
  assert metrics['mask_AP'] == pytest.approx(1.)
  assert (network.num_mirrored > 0) == ('flip' in settings)


class _Plain:
  """The network without further views."""

  def __init__(self, network):
    self._network = network
    self.predictions = network.predictions

  def outputs(self, images, labels, mode):
    outputs, find_masks = self._network.outputs_and_masks(images, labels, mode)
    outputs.update(find_masks(outputs[fields.DETECTION_BOXES],
                              outputs[fields.DETECTION_CLASSES]))
    return outputs
