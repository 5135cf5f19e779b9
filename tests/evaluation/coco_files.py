"""The COCO files with known figures, and small data sets for tests."""

import os

import numpy as np

from tests import golden

_DIR = os.path.join(golden.DATA_DIR, 'coco_eval_json')


def annotations():
  """100 images of COCO val2014 with 839 objects."""
  return _load('instances_val2014_100.json.gz')


def results(kind):
  """Made-up detections on 99 of the images; `kind` is 'bbox' or 'segm'."""
  return _load('instances_val2014_fake%s100_results.json.gz' % kind)


def expected():
  """What pycocotools 2.0.7 says of them."""
  return _load('expected_stats.json')


def _load(name):
  return golden.load_json(os.path.join(_DIR, name))


def square_set():
  """Two images: one with two squares of 20 px, one without objects."""
  box = [[10., 10., 20., 20.], [50., 40., 20., 20.]]
  return {
      'images': [{'id': 7, 'height': 100, 'width': 120},
                 {'id': 8, 'height': 90, 'width': 80}],
      'categories': [{'id': 1, 'name': 'square'}, {'id': 2, 'name': 'round'}],
      'annotations': [
          {'id': i, 'image_id': 7, 'category_id': 1, 'bbox': b, 'iscrowd': 0,
           'area': 400., 'segmentation': [corners(b)]}
          for i, b in enumerate(box)]}


def lvis_square_set():
  """The same as LVIS would tell of it."""
  annotations = square_set()
  for image in annotations['images']:
    image.update(neg_category_ids=[2], not_exhaustive_category_ids=[])
  for category, frequency in zip(annotations['categories'], 'rf'):
    category['frequency'] = frequency
  return annotations


def corners(box):
  """Polygon around a box (x, y, width, height)."""
  x, y, w, h = box
  return [x, y, x + w, y, x + w, y + h, x, y + h]


def square_predictions():
  """Predictions that find the squares of `square_set`, at scale 2."""
  boxes = np.zeros([2, 3, 4], np.float32)
  boxes[0, :2] = np.array([[10, 10, 30, 30], [40, 50, 60, 70]]) * 2
  image_info = np.zeros([2, 4, 2], np.float32)
  image_info[:, 0] = [[100, 120], [90, 80]]
  image_info[:, 2] = 2
  return {'source_id': np.array([7, 8]), 'image_info': image_info,
          'num_detections': np.array([2, 0]), 'detection_boxes': boxes,
          'detection_classes': np.array([[1, 1, 1], [1, 1, 1]]),
          'detection_scores': np.array([[.9, .8, -1], [-1, -1, -1]],
                                       np.float32)}
