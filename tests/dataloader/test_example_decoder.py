"""Decoding of records, against the reference and by hand."""

import io

import numpy as np
from PIL import Image
import pytest
import tensorflow.compat.v1 as tf

from dataloader import example_decoder
from dataloader import source_ids
from tests import golden
from tests.dataloader import examples
from tests.dataloader import parser_cases

CASES = golden.load_cases('examples_decoder')


def _decode(serialized, **options):
  """The decoded record as arrays."""
  placeholder = tf.placeholder(tf.string, [])
  decoded = example_decoder.ExampleDecoder(**options).decode(placeholder)
  with tf.Session() as session:
    return session.run(decoded, {placeholder: serialized})


def _text(array):
  return array.tobytes()


@pytest.mark.parametrize('case', CASES, ids=lambda c: c.name)
def test_reference(case):
  serialized = case.inputs['serialized'].tobytes()
  decoded = _decode(serialized, **case.params)
  expected = dict(case.outputs)
  regenerated = _decode(serialized, regenerate_source_id=True)['source_id']
  assert regenerated == _text(expected.pop('source_id_regenerated'))
  assert decoded['source_id'] == _text(expected.pop('source_id'))
  area = expected.pop('groundtruth_area')
  if _lacks_size(serialized):
    # Areas are pixels here even if the record has no size (Q1 of the spec).
    area = area * decoded['height'] * decoded['width']
  np.testing.assert_allclose(decoded['groundtruth_area'], area, rtol=1e-6)
  masks = expected.pop('groundtruth_instance_masks', None)
  if masks is not None:
    # 0 or 1 here, whatever the file has (Q2 of the spec).
    np.testing.assert_array_equal(decoded['groundtruth_instance_masks'],
                                  masks > 0)
  # Pixels too, of JPEG as well: both runtimes decode them in the same way.
  for name, value in expected.items():
    parser_cases.check_array(decoded[name], value, case.meta['tolerance'], name)


def _lacks_size(serialized):
  features = tf.train.Example.FromString(serialized).features.feature
  return 'image/height' not in features or 'image/width' not in features


def test_area_of_a_record_without_size_and_area_is_in_pixels():
  decoded = _decode(examples.serialize(
      examples.image(20, 40), boxes=[[.25, .5, .75, .75]], classes=[1]))
  np.testing.assert_allclose(decoded['groundtruth_area'], [10 * 10])


def test_record_without_objects():
  decoded = _decode(examples.serialize(examples.image(8, 6)),
                    include_mask=True)
  assert decoded['image'].shape == (8, 6, 3)
  assert decoded['groundtruth_boxes'].shape == (0, 4)
  assert decoded['groundtruth_instance_masks'].shape == (0, 8, 6)
  for name in ('classes', 'area', 'is_crowd'):
    assert decoded['groundtruth_' + name].shape == (0,)


def test_masks_of_255_become_1():
  mask = np.zeros([8, 6], np.uint8)
  mask[2:4, 1:3] = 255
  decoded = _decode(
      examples.serialize(examples.image(8, 6), boxes=[[.25, .1, .5, .5]],
                         classes=[1], masks=[mask]), include_mask=True)
  np.testing.assert_array_equal(decoded['groundtruth_instance_masks'][0],
                                mask > 0)


def test_masks_are_not_decoded_unless_asked_for():
  serialized = examples.serialize(
      examples.image(8, 6), boxes=[[0., 0., 1., 1.]], classes=[1],
      mask_pngs=[b'not a PNG'])
  assert 'groundtruth_instance_masks' not in _decode(serialized)


def test_empty_source_id_becomes_the_hash_of_the_image():
  decoded = _decode(examples.serialize(examples.image(8, 6), source_id=''))
  assert source_ids.to_ints([decoded['source_id'].decode()]) == [
      int(decoded['source_id'])]


@pytest.mark.parametrize('mode', ['L', 'LA', 'P', 'RGBA', 'CMYK', '1'])
def test_every_kind_of_image_has_three_channels(mode):
  image = Image.fromarray(examples.image(9, 7)).convert(mode)
  stream = io.BytesIO()
  image.save(stream, 'JPEG' if mode == 'CMYK' else 'PNG')
  decoded = _decode(examples.serialize(encoded=stream.getvalue()))
  assert decoded['image'].shape == (9, 7, 3)


@pytest.mark.parametrize('image_format', ['GIF', 'BMP'])
def test_gif_and_bmp(image_format):
  decoded = _decode(examples.serialize(
      examples.image(9, 7), image_format=image_format))
  assert decoded['image'].shape == (9, 7, 3)
