"""Tests of serving.server.served_model."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from serving import sources
from serving.server import served_model
from tests.serving.server import tiny_models


def test_signatures(tmp_path):
  tiny_models.segmenter(tmp_path / 'm', batch_size=2)
  model = served_model.ServedModel(tmp_path / 'm')
  signature = model.signatures['serving_default']
  assert signature.batch_size == 2
  assert signature.method == 'tensorflow/serving/predict'
  assert signature.inputs['image_bytes'].dtype == tf.string
  assert signature.inputs['image_bytes'].shape == [2]
  assert [key for key, t in signature.inputs.items() if t.is_optional] == [
      'key', 'score_thresholds']
  answers = model.run('serving_default', {
      'image_bytes': np.array([b'a', b'b'], object)})
  assert answers['category_bytes'].tolist() == [b'a', b'b']
  assert answers['key'].tolist() == [b'default']


def test_free_batch(tmp_path):
  tiny_models.raw(tmp_path / 'm')
  model = served_model.ServedModel(str(tmp_path / 'm'))
  assert model.signatures['serving_default'].batch_size is None
  assert model.version == '1'
  np.testing.assert_allclose(model.run('serving_default', {
      'input': np.ones([3, 8, 8, 3], np.float32)})['detection_scores'],
                             [1, 1, 1])


def test_highest_version_is_served(tmp_path):
  for name in ('2', '10', 'old'):
    tiny_models.raw(tmp_path / name)
  (tmp_path / '11').mkdir()  # being copied
  assert served_model.newest_version(tmp_path) == (str(tmp_path / '10'), '10')
  assert served_model.newest_version(tmp_path / '2') == (
      str(tmp_path / '2'), '2')


@pytest.mark.parametrize('make', [
    lambda path: None, lambda path: path.mkdir(),
    lambda path: (path.mkdir(), (path / 'saved_model.pb').write_bytes(b'no'))])
def test_what_is_not_a_model(tmp_path, make):
  make(tmp_path / 'm')
  with pytest.raises(sources.LoadError, match='/m '):
    served_model.ServedModel(tmp_path / 'm')
