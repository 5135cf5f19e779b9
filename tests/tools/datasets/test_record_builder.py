"""Tests of tools/datasets/record_builder.py."""

import hashlib
import io

import cv2
import numpy as np
from PIL import Image
import pytest
import tensorflow.compat.v1 as tf

from tests.tools import coco_sets
from tools.datasets import record_builder
from utils import mask_files

_NAMES = {1: 'disc', 3: 'Bällchen'}


def _png(array):
  stream = io.BytesIO()
  Image.fromarray(array).save(stream, 'PNG')
  return stream.getvalue()


def _image(**changes):
  return dict({'id': 7, 'file_name': 'a.png', 'height': coco_sets.SIZE[0],
               'width': coco_sets.SIZE[1]}, **changes)


def _build(image, annotations=(), content=None, masks=True, clip_boxes=False,
           trust_files=False, **options):
  """serialized, Outcome."""
  content = content or _png(coco_sets.pixels(0))
  return record_builder.build_record(
      (image, list(annotations)), lambda unused_image: content, _NAMES, masks,
      clip_boxes, trust_files, **options)


def _features(serialized):
  """{key: [value]}."""
  features = tf.train.Example.FromString(serialized).features.feature
  return {key: list(f.int64_list.value or f.float_list.value or
                    f.bytes_list.value) for key, f in features.items()}


def _objects():
  return [coco_sets.rectangle(1, 7, 3, (5, 10, 20, 40)),
          coco_sets.rectangle(2, 7, 1, (0, 0, 40, 8), iscrowd=1)]


def test_features():
  """Keys and values by hand, for an image of 40 x 50 pixels."""
  serialized, outcome = _build(_image(), _objects())
  features = _features(serialized)
  masks = features.pop('image/object/mask')
  content = _png(coco_sets.pixels(0))
  boxes = {side: features.pop('image/object/bbox/' + side)
           for side in ('ymin', 'xmin', 'ymax', 'xmax')}
  assert features == {
      'image/height': [40], 'image/width': [50], 'image/filename': [b'a.png'],
      'image/source_id': [b'7'], 'image/format': [b'png'],
      'image/key/sha256': [hashlib.sha256(content).hexdigest().encode()],
      'image/encoded': [content],
      'image/object/class/text': ['Bällchen'.encode(), b'disc'],
      'image/object/class/label': [3, 1], 'image/object/is_crowd': [0, 1],
      'image/object/area': [450., 320.]}
  for side, expected in (('ymin', [.125, 0]), ('xmin', [.2, 0]),
                         ('ymax', [.5, 1]), ('xmax', [.8, .16])):
    assert boxes[side] == pytest.approx(expected), side
  for png, (y0, x0, y1, x1) in zip(masks, [(5, 10, 20, 40), (0, 0, 40, 8)]):
    mask = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    expected = np.zeros(coco_sets.SIZE, np.uint8)
    expected[y0:y1, x0:x1] = 1
    np.testing.assert_array_equal(mask, expected)
  assert [o['id'] for o in outcome.objects] == [1, 2] and not outcome.skips


def test_image_without_objects_has_no_object_features():
  features = _features(_build(_image())[0])
  assert not [key for key in features if key.startswith('image/object')]


def test_no_masks_unless_asked_for():
  features = _features(_build(_image(), _objects(), masks=False)[0])
  assert 'image/object/mask' not in features
  assert features['image/object/class/label'] == [3, 1]


def test_cut_masks():
  features = _features(_build(_image(), _objects(), cut_masks=True)[0])
  cut = features.pop('image/object/cut_mask')
  assert len(cut) == 2
  for whole, part in zip(features['image/object/mask'], cut):
    np.testing.assert_array_equal(mask_files.decode(part, 40, 50),
                                  mask_files.decode(whole, 40, 50))
  assert features == _features(_build(_image(), _objects())[0])
  assert 'image/object/cut_mask' not in _features(
      _build(_image(), _objects(), masks=False, cut_masks=True)[0])


def test_captions():
  captions = ['a disc', 'zwei Bällchen']
  features = _features(_build(_image(captions=captions))[0])
  assert [c.decode('utf-8') for c in features['image/caption']] == captions


@pytest.mark.parametrize('image_id, expected', [
    (7, b'7'), ('007', b'007'), ('scan/b', b'scan/b'),
    ('größe', 'größe'.encode())])
def test_any_id(image_id, expected):
  features = _features(_build(_image(id=image_id))[0])
  assert features['image/source_id'] == [expected]


def test_objects_that_are_left_out():
  """Those that are kept keep their lists in step."""
  objects = _objects() + [coco_sets.rectangle(3, 7, 1, (5, 10, 5, 40))]
  objects.insert(0, coco_sets.rectangle(4, 7, 1, (30, 40, 45, 50)))
  serialized, outcome = _build(_image(), objects)
  assert [s.annotation for s in outcome.skips] == [4, 3]
  features = _features(serialized)
  assert {len(features[key]) for key in features
          if key.startswith('image/object')} == {2}
  features = _features(_build(_image(), objects, clip_boxes=True)[0])
  assert len(features['image/object/mask']) == 3


def test_same_input_same_bytes():
  assert _build(_image(), _objects())[0] == _build(_image(), _objects())[0]


@pytest.mark.parametrize('content, changes, reason, detail', [
    (b'text', {}, record_builder.UNREADABLE, 'a.png: cannot be decoded'),
    (None, {'height': 50, 'width': 40}, record_builder.SIZE_MISMATCH,
     'a.png: 50x40, annotated 40x50'),
])
def test_images_that_are_left_out(content, changes, reason, detail):
  serialized, outcome = _build(_image(**changes), _objects(), content)
  assert serialized is None and outcome.image is None
  skip, = outcome.skips
  assert (skip.kind, skip.image, skip.reason) == ('image', 7, reason)
  assert skip.detail.startswith(detail)


@pytest.mark.parametrize('error', [
    OSError('no such file'), tf.errors.NotFoundError(None, None, 'gone')])
def test_missing_file(error):
  def load(unused_image):
    raise error
  serialized, outcome = record_builder.build_record(
      (_image(), []), load, _NAMES, False, False, False)
  assert serialized is None
  assert outcome.skips[0].reason == record_builder.UNREADABLE


def test_trusted_image_of_another_size():
  serialized, outcome = _build(_image(height=80, width=100), _objects(),
                               trust_files=True)
  features = _features(serialized)
  assert features['image/height'] == [40] and outcome.image['width'] == 50
  assert features['image/object/bbox/xmax'] == pytest.approx([.8, .16])


@pytest.mark.parametrize('size', [{'height': 0, 'width': 0},
                                  {'height': None, 'width': None},
                                  {'height': 40., 'width': 50.}])
def test_size_comes_from_the_image(size):
  _, outcome = _build(_image(**size))
  assert (outcome.image['height'], outcome.image['width']) == coco_sets.SIZE


def test_notes_of_image_and_objects():
  alpha = np.full(coco_sets.SIZE + (4,), 255, np.uint8)
  line = coco_sets.rectangle(1, 7, 1, (5, 10, 20, 40),
                             segmentation=[[1., 1., 5., 5.]])
  _, outcome = _build(_image(), [line], _png(alpha), masks=False)
  assert len(outcome.notes) == 2
  assert 'alpha' in outcome.notes[0] and 'polygon' in outcome.notes[1]


@pytest.mark.parametrize('orientation', [3, 6, 7])
def test_annotations_of_the_image_as_stored_are_turned_along(orientation):
  """The pixels below a mask stay the same ones."""
  exif = Image.Exif()
  exif[0x0112] = orientation
  pixels = np.zeros([40, 50, 3], np.uint8)
  pixels[5:20, 10:40] = 255
  stream = io.BytesIO()
  Image.fromarray(pixels).save(stream, 'PNG', exif=exif.tobytes())
  serialized, outcome = record_builder.build_record(
      (_image(), _objects()[:1]), lambda unused_image: stream.getvalue(),
      _NAMES, True, False, False, 'stored')
  features = _features(serialized)
  image = cv2.imdecode(np.frombuffer(features['image/encoded'][0], np.uint8), 0)
  mask = cv2.imdecode(np.frombuffer(features['image/object/mask'][0], np.uint8),
                      0)
  np.testing.assert_array_equal(image > 0, mask > 0)
  size = [features['image/height'][0], features['image/width'][0]]
  assert size == list(image.shape) == ([40, 50] if orientation == 3 else
                                       [50, 40])
  y, x = [features['image/object/bbox/' + side + 'min'][0] * length
          for side, length in zip('yx', size)]
  np.testing.assert_allclose([y, x], np.argwhere(mask)[0], atol=1e-4)
  assert 'and their annotations' in outcome.notes[0]
