"""The parser of segmentation, against the reference and by hand."""

import io

import numpy as np
from PIL import Image
import pytest
import tensorflow.compat.v1 as tf

from tests import golden
from tests.dataloader import fixed_draws
from tests.dataloader import parser_cases
from utils import modes

CASES = golden.load_cases('parser_segmentation')
SECTION = dict(output_size=(8, 10), resize_eval=False, ignore_label=255,
               aug_rand_hflip=True, aug_scale_min=1., aug_scale_max=1.)


def _parser(mode, num_classes=256, dtype='float32', **changes):
  return parser_cases.build(
      'segmentation_parser', dict(SECTION, **changes), mode, None,
      num_classes=num_classes, dtype=dtype)


def _png(array):
  stream = io.BytesIO()
  Image.fromarray(array).save(stream, 'PNG')
  return stream.getvalue()


def _record(image, classes=None, name=b'a.jpg'):
  features = {'image/encoded': _png(image), 'image/filename': name}
  if classes is not None:
    features['image/segmentation/class/encoded'] = _png(
        classes.astype(np.uint8))
  return tf.train.Example(features=tf.train.Features(feature={
      key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
      for key, value in features.items()})).SerializeToString()


def _image(height, width):
  return np.random.RandomState(0).randint(
      0, 256, [height, width, 3]).astype(np.uint8)


def _classes(height, width, num_classes=4):
  return np.random.RandomState(1).randint(0, num_classes, [height, width])


def _of_first_case(case, key):
  """An array of the case, or of the first one of the same record."""
  kind, name = key.split('.')
  start = case.name.split('_')[0]
  cases = [c for c in CASES if c.name.startswith(start) and c.meta is case.meta]
  return next(c for c in [case] + cases
              if name in getattr(c, kind)), name


@pytest.mark.parametrize('case', CASES, ids=lambda c: c.name)
def test_reference(case):
  params = dict(case.params)
  mode = params.pop('mode', modes.TRAIN)
  draws, scales = None, parser_cases.jitter(params)
  if mode == modes.TRAIN:
    offset = params.pop('offset_fraction', None)
    draws = fixed_draws.FixedDraws(
        flip=params.pop('flip_u', 0.), offset=offset,
        scale=params.pop('random_scale', None))
  assert not set(params) - set(SECTION) - {'use_bfloat16'}
  changes = {k: tuple(v) if isinstance(v, list) else v
             for k, v in params.items() if k in SECTION}
  changes.update(scales)
  source, name = _of_first_case(case, 'inputs.serialized')
  image, labels = parser_cases.run(
      _parser(mode, **changes), source.inputs[name].tobytes(), draws=draws)
  if 'image' in case.outputs:
    np.testing.assert_allclose(image, case.outputs['image'], rtol=0,
                               atol=case.meta['tolerance'])
  np.testing.assert_array_equal(labels['masks'], case.outputs['masks'])
  np.testing.assert_array_equal(labels['valid_masks'],
                                case.outputs['valid_masks'])


@pytest.mark.parametrize('mode', modes.ALL)
def test_emits_its_spec(mode):
  parser = _parser(mode)
  _, labels = parser_cases.run(parser, _record(_image(6, 9), _classes(6, 9)),
                               seed=[1, 2])
  spec = parser.labels_spec()
  assert sorted(labels) == sorted(spec)
  for key, value in labels.items():
    assert list(value.shape) == spec[key].shape.as_list(), key
    assert value.dtype == spec[key].dtype.as_numpy_dtype, key


def test_padding_of_an_evaluation():
  classes = _classes(6, 9)
  image, labels = parser_cases.run(
      _parser(modes.PREDICT_WITH_GT), _record(_image(6, 9), classes))
  np.testing.assert_array_equal(labels['masks'][:6, :9, 0], classes)
  assert (labels['masks'][6:] == 255).all() and (image[6:] == 0).all()
  assert (labels['masks'][:, 9:] == 255).all() and (image[:, 9:] == 0).all()
  assert labels['valid_masks'].sum() == 54
  np.testing.assert_array_equal(
      labels['image_info'], [[6, 9], [6, 9], [1, 1], [0, 0]])


def test_image_and_classes_are_mirrored_together():
  record = _record(_image(8, 10), _classes(8, 10))
  results = [parser_cases.run(_parser(modes.TRAIN), record,
                              draws=fixed_draws.FixedDraws(flip=u))
             for u in (.4, .6)]
  (image, labels), (mirrored_image, mirrored) = results
  np.testing.assert_array_equal(image[:, ::-1], mirrored_image)
  np.testing.assert_array_equal(labels['masks'][:, ::-1], mirrored['masks'])


def test_prediction_needs_no_label_map():
  image, labels = parser_cases.run(_parser(modes.PREDICT),
                                   _record(_image(6, 9)))
  assert image.shape == (8, 10, 3)
  assert sorted(labels) == ['image_info', 'source_id']


@pytest.mark.parametrize('classes, changes, message', [
    (None, {}, 'Image a.jpg has no label map'),
    (_classes(6, 8), {}, 'Image a.jpg has a label map of another size: 6 x 8 '
     'pixels (height x width), the image 6 x 9.'),
    (np.full([6, 9], 4), {}, 'Image a.jpg has pixels of class 4. '
     'architecture.num_classes is 4: classes are 0 to 3, and '
     'segmentation_parser.ignore_label is 255.'),
    (_classes(6, 9), {'output_size': (6, 8)}, 'Image a.jpg has 6 x 9 pixels '
     '(height x width), more than segmentation_parser.output_size, 6 x 8.')])
def test_wrong_records_are_named(classes, changes, message):
  with pytest.raises(tf.errors.InvalidArgumentError) as e:
    parser_cases.run(_parser(modes.EVAL, num_classes=4, **changes),
                     _record(_image(6, 9), classes))
  assert message in e.value.message


def test_padding_example_has_no_class():
  example = _parser(modes.PREDICT_WITH_GT, ignore_label=7).padding_example()
  with tf.Session() as session:
    labels = session.run(example['labels'])
  assert labels['source_id'] == -1
  assert (labels['masks'] == 7).all() and not labels['valid_masks'].any()


def test_unknown_mode():
  with pytest.raises(ValueError, match="'test'; it can be train, eval"):
    _parser('test')
