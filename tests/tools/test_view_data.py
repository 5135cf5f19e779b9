"""Tests of tools/view_data.py and of what it draws."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from configs import base
from configs import factory
from configs import yaml_format
from dataloader import shown_labels
from tests import docs_blocks
from tests.dataloader import examples
from tools.datasets import training_images

_BOX = [.25, .25, .75, .5]


def _config(tmp_path, model):
  mask = np.zeros([64, 64], np.uint8)
  mask[16:48, 16:32] = 1
  path = examples.write(tmp_path / 'a', [examples.serialize(
      np.full([64, 64, 3], 100, np.uint8), [_BOX], [2], masks=[mask])])
  parser = {'retinanet': 'retinanet_parser',
            'mask_rcnn': 'maskrcnn_parser'}[model]
  return base.override(factory.default_config(model), {
      'architecture': {'num_classes': 3, 'max_level': 5, 'min_level': 3,
                       'use_bfloat16': False},
      parser: {'output_size': [64, 64], 'aug_rand_hflip': False},
      'train': {'train_file_pattern': path, 'transpose_input': False}})


@pytest.mark.parametrize('model', ['retinanet', 'mask_rcnn'])
def test_shows_what_the_labels_say(tmp_path, model):
  shown, = training_images.parse(_config(tmp_path, model), 1)
  np.testing.assert_array_equal(shown.image, 100)
  np.testing.assert_allclose(shown.boxes, [[16, 16, 48, 32]], atol=1e-3)
  np.testing.assert_array_equal(shown.classes, [2])
  assert len(shown.anchors) > 0
  if model == 'mask_rcnn':
    assert shown.masks[0, 20:44, 18:30].all()
    assert not shown.masks[0, :14].any() and not shown.masks[0, :, 34:].any()
  drawn = shown_labels.draw(shown, {2: 'cat'}, min_size=64)
  assert np.any(drawn != shown.image)


def test_contact_sheet():
  images = [np.full([10, 20, 3], i, np.uint8) for i in range(3)]
  sheet = training_images.contact_sheet(images, 2, 40)
  assert sheet.shape == (40, 80, 3)
  np.testing.assert_array_equal(sheet[::20, ::40, 0], [[0, 1], [2, 255]])


def _view(*arguments):
  return subprocess.run(
      [sys.executable, '-m', 'tools.view_data'] + list(arguments),
      cwd=docs_blocks.ROOT, capture_output=True, text=True,
      env=dict(os.environ, TF_CPP_MIN_LOG_LEVEL='2'))


@pytest.mark.one_runtime('tf2')
def test_a_sheet_that_is_no_image_file_is_refused(tmp_path):
  process = _view('--output=%s' % (tmp_path / 'sheets'))
  assert process.returncode == 1
  assert process.stderr.startswith('Error: --output is %s' % tmp_path)
  assert 'image file that ends in .png or .jpg' in process.stderr
  assert 'Traceback' not in process.stderr


@pytest.mark.one_runtime('tf2')
def test_page_and_sheet_are_written(tmp_path):
  config = _config(tmp_path, 'retinanet')
  override = tmp_path / 'changes.yaml'
  override.write_text(yaml_format.dump(base.to_dict(config)))
  sheet = str(tmp_path / 'new' / 'a.png')
  process = _view('--num=3', '--params_override=%s' % override,
                  '--output=%s' % sheet, '--html=%s' % (tmp_path / 'a.html'))
  assert process.returncode == 0, process.stderr
  assert process.stdout.startswith('3 images, 3 objects, ')
  assert process.stdout.strip().endswith('%s and %s.' % (
      sheet, tmp_path / 'a.html'))
  assert not process.stderr  # No word of TensorFlow.
  assert cv2.imread(sheet).shape == (320, 1280, 3)
  assert (tmp_path / 'a.html').read_text().count('<img') == 6
