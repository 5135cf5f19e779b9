"""The steps of parsers, each by hand."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import sample as samples
from dataloader import steps
from tests.dataloader import fixed_draws
from tests.dataloader import parser_cases

HEIGHT, WIDTH = 4, 8


def make_sample(num_objects=3, with_masks=True, **changes):
  """Objects of classes 1, 2, 3; masks go with objects as bytes of files."""
  masks = np.array([b'mask 0', b'mask 1', b'mask 2'][:num_objects], object)
  image = np.arange(HEIGHT * WIDTH * 3, dtype=np.uint8)
  values = dict(
      image=image.reshape([HEIGHT, WIDTH, 3]),
      boxes=np.float32([[.25, .125 * k, .75, .5 + .125 * k]
                        for k in range(num_objects)]).reshape([-1, 4]),
      classes=np.arange(1, num_objects + 1),
      masks=masks if with_masks else None, is_mirrored=False,
      is_crowd=np.array([False, True, False][:num_objects], bool),
      area=np.float32([10., 20., 30.][:num_objects]), image_info=None)
  values.update(changes)
  draws = values.pop('draws', None)
  return samples.Sample(draws=draws, **{
      name: None if value is None else tf.constant(
          value, tf.string if name == 'masks' else None)
      for name, value in values.items()})


def _run(sample):
  """The Sample with arrays."""
  present = {k: v for k, v in sample._asdict().items()
             if v is not None and k != 'draws'}
  with tf.Session() as session:
    return sample._replace(**session.run(present))


@pytest.mark.parametrize('with_masks', [True, False])
def test_drop_crowds_keeps_what_belongs_together(with_masks):
  sample = _run(steps.drop_crowds(make_sample(with_masks=with_masks)))
  assert sample.classes.tolist() == [1, 3]
  assert sample.area.tolist() == [10., 30.]
  assert sample.boxes[:, 1].tolist() == [0., .25]
  assert not sample.is_crowd.any()
  if with_masks:
    assert sample.masks.tolist() == [b'mask 0', b'mask 2']
  else:
    assert sample.masks is None


@pytest.mark.parametrize('step', [
    steps.drop_crowds, steps.drop_empty, steps.to_pixels, steps.flip])
def test_steps_without_objects(step):
  sample = _run(step(make_sample(0, draws=fixed_draws.FixedDraws(flip=.9))))
  assert sample.boxes.shape == (0, 4)
  assert sample.classes.shape == sample.area.shape == (0,)
  assert sample.masks.shape == (0,)


def test_flip_mirrors_image_and_boxes_and_notes_it_for_the_masks():
  before = _run(make_sample())
  after = _run(steps.flip(
      make_sample(draws=fixed_draws.FixedDraws(flip=.51))))
  np.testing.assert_array_equal(after.image, before.image[:, ::-1])
  assert after.is_mirrored and not before.is_mirrored
  assert after.masks.tolist() == before.masks.tolist()
  np.testing.assert_allclose(after.boxes[1], [.25, .375, .75, .875])
  assert after.classes.tolist() == [1, 2, 3]


@pytest.mark.parametrize('value', [0., .5])
def test_no_flip(value):
  before = make_sample(draws=fixed_draws.FixedDraws(flip=value))
  before, after = _run(before), _run(steps.flip(before))
  for name in ('image', 'boxes', 'masks', 'is_mirrored'):
    np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


def test_to_pixels_takes_the_size_of_the_image():
  sample = _run(steps.to_pixels(make_sample()))
  np.testing.assert_allclose(sample.boxes[1], [1., 1., 3., 5.])


def test_resize_and_crop_moves_boxes_with_the_image():
  """4 x 8 fitted into 10 x 12: by 1.5 to 6 x 12, the rest is padding."""
  sample = steps.to_pixels(make_sample())
  sample = _run(steps.resize_and_crop(sample, (10, 12), (16, 16)))
  assert sample.image.shape == (16, 16, 3)
  assert sample.image.dtype == np.float32
  assert not sample.image[6:].any() and not sample.image[:, 12:].any()
  assert sample.image[:6, :12].all()
  np.testing.assert_allclose(sample.image_info, [[4, 8], [10, 12], [1.5, 1.5],
                                                 [0, 0]])
  np.testing.assert_allclose(sample.boxes[1], [1.5, 1.5, 4.5, 7.5])
  # Masks stay those of the image.
  assert sample.masks.tolist() == [b'mask 0', b'mask 1', b'mask 2']


def test_resize_and_crop_with_draws():
  """Twice as large, 8 x 16; the window lies half of the room down, right."""
  sample = steps.to_pixels(make_sample(
      draws=fixed_draws.FixedDraws(scale=2., offset=[.5, .5])))
  sample = _run(steps.resize_and_crop(sample, (4, 8), (8, 8), (1., 2.)))
  np.testing.assert_allclose(sample.image_info, [[4, 8], [4, 8], [2, 2],
                                                 [2, 4]])
  # (2, 2, 6, 10) less (2, 4), cut to the window of 4 x 8.
  np.testing.assert_allclose(sample.boxes[1], [0., 0., 3., 6.])


def test_drop_empty_leaves_out_what_has_no_height_or_width():
  boxes = np.float32([[1, 1, 1, 5], [1, 1, 3, 5], [1, 5, 3, 5]])
  sample = _run(steps.drop_empty(make_sample(boxes=boxes)))
  assert sample.classes.tolist() == [2]
  assert sample.masks.tolist() == [b'mask 1']


def test_draws_lie_in_their_ranges():
  draws = [parser_cases.geometry(tf.constant([7, i]), .5, 2.)
           for i in range(60)]
  with tf.Session() as session:
    flips, scales, offsets = map(np.array, zip(*session.run(draws)))
  assert 0. <= flips.min() < .2 and .8 < flips.max() < 1.
  assert .5 <= scales.min() < .8 and 1.7 < scales.max() < 2.
  assert offsets.shape == (60, 2)
  assert 0. <= offsets.min() and offsets.max() < 1.
  # Every number is a draw of its own.
  columns = np.stack([flips, scales, offsets[:, 0], offsets[:, 1]])
  assert np.abs(np.corrcoef(columns) - np.eye(4)).max() < .5
