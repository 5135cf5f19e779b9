"""Tests of utils/shape_priors.py."""

import io

import numpy as np
import pytest

from utils import shape_priors


def test_round_trip():
  priors = np.random.RandomState(0).uniform(size=[3, 2, 8, 8])
  read = shape_priors.from_bytes(shape_priors.to_bytes(priors), 3, 8)
  assert read.dtype == np.float32
  np.testing.assert_allclose(read, priors, rtol=1e-6)


@pytest.mark.parametrize('shape, num_classes, advice', [
    ([2, 2, 8, 8], 3, '--num_classes=3'), ([3, 2, 8, 8], 1, '--class_agnostic'),
    ([3, 2, 9, 9], 3, 'mask_crop_size=8'), ([3, 8, 8], 3, 'create_shape_'),
    ([3, 0, 8, 8], 3, 'create_shape_priors')])
def test_another_shape(shape, num_classes, advice):
  with pytest.raises(ValueError) as e:
    shape_priors.from_bytes(shape_priors.to_bytes(np.zeros(shape)),
                            num_classes, 8, 'p.npy')
  assert str(e.value).startswith('p.npy holds an array of shape %s' % shape)
  assert advice in str(e.value)


@pytest.mark.parametrize('value', [-.1, 1.5, np.nan])
def test_numbers_that_are_no_priors(value):
  content = shape_priors.to_bytes(np.full([1, 1, 4, 4], value))
  with pytest.raises(ValueError, match='numbers from 0 to 1'):
    shape_priors.from_bytes(content, 1, 4)


def test_another_kind_of_file():
  stream = io.BytesIO()
  np.save(stream, np.array([{}]), allow_pickle=True)
  for content in (b'masks', stream.getvalue()):
    with pytest.raises(ValueError, match='p.npy is not an array of shape'):
      shape_priors.from_bytes(content, 1, 4, 'p.npy')


def test_without_a_file():
  assert shape_priors.zeros(5, 4).shape == (5, 1, 4, 4)
