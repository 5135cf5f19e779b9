"""Tests of tools/create_shape_priors.py and the modules it is made of."""

import json
import os
import sys

import cv2
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import mask_crops
from tests.dataloader import examples
from tools import create_shape_priors
from tools.datasets import mask_clusters
from tools.datasets import mask_shapes
from utils import masks as mask_utils
from utils import shape_priors

# Two kinds of masks in a box of 8 x 6 pixels of an image of 20 x 30.
BOX = np.array([4, 10, 12, 16])
NORMALIZED = BOX / [20., 30., 20., 30.]


def _mask(is_left):
  mask = np.zeros([20, 30], np.uint8)
  mask[4:12, 10:13 if is_left else 16] = 1
  return mask


def _records(path):
  """Six objects of class 1, of both kinds; three of class 2; one crowd."""
  kinds = [True] * 2 + [False] * 4 + [True] * 3 + [True]
  classes = [1] * 6 + [2] * 3 + [3]
  return examples.write(path, [examples.serialize(
      examples.image(20, 30), [NORMALIZED] * 10, classes,
      masks=[_mask(k) for k in kinds], is_crowd=[0] * 9 + [1])])


def _annotations(path):
  y0, x0, y1, x1 = BOX.tolist()
  path.write_text(json.dumps({
      'images': [{'id': 5, 'height': 20, 'width': 30}],
      'categories': [{'id': 1}, {'id': 2}],
      'annotations': [
          # Some programs write text for numbers.
          {'id': i, 'image_id': '5', 'category_id': 1. + (i > 5),
           'bbox': [x0, str(y0), x1 - x0, y1 - y0], 'iscrowd': '0',
           'segmentation': mask_utils.encode(_mask(i < 2 or i > 5))}
          for i in range(9)]
      + [{'id': 10, 'image_id': 5, 'category_id': 3, 'iscrowd': 1,
          'segmentation': mask_utils.encode(_mask(True))},
         {'id': 11, 'image_id': 5, 'category_id': 2, 'iscrowd': 0,
          'segmentation': [[1., 1.]]}]}))
  return str(path)


def _run(*arguments):
  return create_shape_priors.run(
      create_shape_priors.parse_arguments(list(arguments)))


@pytest.mark.parametrize('source', ['records', 'coco'])
def test_priors_of_each_class(source, tmp_path, capsys):
  given = ('--input_file_pattern=' + _records(tmp_path / 'a.tfrecord')
           if source == 'records' else
           '--annotations=' + _annotations(tmp_path / 'a.json'))
  output = str(tmp_path / 'priors.npy')
  priors = _run(given, '--output=' + output, '--num_classes=4',
                '--num_priors=2', '--mask_crop_size=8')
  with open(output, 'rb') as f:
    np.testing.assert_array_equal(shape_priors.from_bytes(f.read(), 4, 8),
                                  priors)
  full, left = [mask_shapes.normalize(_mask(k), NORMALIZED, 8)
                for k in (False, True)]
  assert not priors[0].any()
  # The larger group comes first; one of one kind is repeated; a class without
  # masks has those of all, of which five are left halves.
  np.testing.assert_allclose(priors[1], [full, left], atol=1e-6)
  np.testing.assert_allclose(priors[2], [left, left], atol=1e-6)
  np.testing.assert_allclose(priors[3], [left, full], atol=1e-6)
  assert 'from 9 masks' in capsys.readouterr().out
  # Three classes, two priors with a margin of two pixels, twice as large.
  assert cv2.imread(output + '.png', 0).shape == (3 * 12 * 2, 2 * 12 * 2)


def test_shared_priors_of_some_classes(tmp_path):
  output = str(tmp_path / 'priors.npy')
  priors = _run('--input_file_pattern=' + _records(tmp_path / 'a'),
                '--output=' + output, '--class_agnostic', '--classes', '2',
                '--num_priors=3', '--mask_crop_size=8')
  assert priors.shape == (1, 3, 8, 8)
  left = mask_shapes.normalize(_mask(True), NORMALIZED, 8)
  np.testing.assert_allclose(priors[0], [left] * 3, atol=1e-6)


def test_masks_are_normalized_as_by_the_parser():
  rng = np.random.RandomState(0)
  mask = (rng.uniform(size=[20, 30]) < .5).astype(np.uint8)
  boxes = np.float32([[.1, .2, .55, .9], [0., 0., 1., 1.], [.4, .5, .4, .5]])
  crops, = mask_crops.crop_masks(
      tf.constant([examples.encode(mask)] * 3), tf.constant(boxes), [7],
      tf.constant(False), tf.constant([20, 30]), tf.constant('7'))
  with tf.Session() as session:
    crops = session.run(crops)
  for box, crop in zip(boxes, crops):
    np.testing.assert_allclose(mask_shapes.normalize(mask, box, 7), crop,
                               atol=1e-5)


def test_clusters_are_the_means_of_groups():
  rng = np.random.RandomState(1)
  centers = np.float32([[0., 0.], [1., 0.], [1., 1.]])
  groups = np.repeat([0, 1, 2], [30, 50, 20])
  masks = centers[groups] + rng.uniform(-.1, .1, [100, 2]).astype(np.float32)
  found = mask_clusters.cluster(masks, 3)
  expected = [masks[groups == k].mean(axis=0) for k in (1, 0, 2)]
  np.testing.assert_allclose(found, expected, atol=1e-5)


def test_fewer_masks_than_clusters():
  masks = np.float32([[0., 1.], [1., 0.], [1., 0.]])
  found = mask_clusters.cluster(masks, 5)
  np.testing.assert_allclose(found, masks[[1, 0, 1, 0, 1]])


def test_some_of_many_masks():
  shapes = [(1 + i % 2, np.full([1, 1], i, np.float32)) for i in range(1000)]
  kept = create_shape_priors.collect(shapes, max_masks=50)
  assert {k: len(v) for k, v in kept.items()} == {1: 50, 2: 50}
  assert len(set(kept[1].ravel())) == 50 and kept[1].max() > 800
  assert kept[2].mean() == pytest.approx(500, abs=150)


@pytest.mark.parametrize('arguments, message', [
    (['--num_classes=2'], 'masks of class 2; with --num_classes=2 classes are'),
    (['--num_classes=4', '--classes', '9'], 'no mask of these classes')])
def test_what_cannot_be_made(arguments, message, tmp_path, monkeypatch):
  monkeypatch.setattr(sys, 'argv', [
      'x', '--input_file_pattern=' + _records(tmp_path / 'a'),
      '--output=' + str(tmp_path / 'priors.npy')] + arguments)
  with pytest.raises(SystemExit, match=message):
    create_shape_priors.main()
  assert not (tmp_path / 'priors.npy').exists()


def test_a_record_that_is_cut_off(tmp_path, monkeypatch):
  path = _records(tmp_path / 'a')
  os.truncate(path, os.path.getsize(path) - 20)
  monkeypatch.setattr(sys, 'argv', [
      'x', '--input_file_pattern=' + path, '--class_agnostic',
      '--output=' + str(tmp_path / 'priors.npy')])
  with pytest.raises(SystemExit, match='Error: .*truncated'):
    create_shape_priors.main()


def test_a_full_disk(tmp_path, monkeypatch):
  """As TensorFlow says it of a file elsewhere."""
  def fail(path, data):
    raise tf.errors.ResourceExhaustedError(
        None, None, path + '; No space left on device')
  monkeypatch.setattr(create_shape_priors.files, 'write_atomically', fail)
  monkeypatch.setattr(sys, 'argv', [
      'x', '--input_file_pattern=' + _records(tmp_path / 'a'),
      '--class_agnostic', '--output=' + str(tmp_path / 'priors.npy')])
  with pytest.raises(SystemExit, match='Error: A disk is full: .*priors.npy'):
    create_shape_priors.main()
