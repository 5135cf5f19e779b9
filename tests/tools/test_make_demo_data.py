"""Tests of tools/datasets/demo_scenes.py and tools/make_demo_data.py."""

import glob
import json
import os
import subprocess
import sys

import numpy as np
from PIL import Image
import pytest

from dataloader import records
from tools import make_demo_data
from tools.datasets import demo_scenes
from utils import masks as mask_utils

# Made by NumPy and Pillow: no runtime has a part in it.
pytestmark = pytest.mark.one_runtime('tf2')

_SIZE = 256
_SCENES = 150  # enough that shares can be checked


@pytest.fixture(scope='module')
def scenes():
  """[(image, objects)]."""
  return [demo_scenes.draw_scene([7, i], _SIZE) for i in range(_SCENES)]


def _sides(mask):
  rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
  return np.ptp(rows) + 1, np.ptp(columns) + 1


def test_images_are_rgb_and_textured(scenes):
  for image, _ in scenes:
    assert image.shape == (_SIZE, _SIZE, 3) and image.dtype == np.uint8
    assert image.std() > 1


def test_every_class_occurs_and_has_a_name(scenes):
  seen = {o.class_id for _, objects in scenes for o in objects}
  assert seen == set(demo_scenes.LABEL_MAP) == set(range(1, 7))


def test_number_of_objects(scenes):
  counts = [sum(not o.is_crowd for o in objects) for _, objects in scenes]
  assert max(counts) == demo_scenes.MAX_OBJECTS
  assert min(c for c in counts if c) >= demo_scenes.MIN_OBJECTS
  assert .04 < counts.count(0) / _SCENES < .16


def test_sizes_of_the_visible_parts(scenes):
  longest = [max(_sides(o.mask)) for _, objects in scenes for o in objects
             if not o.is_crowd]
  assert demo_scenes.MIN_SIZE <= min(longest)
  assert demo_scenes.MAX_SIZE // 2 < max(longest) <= demo_scenes.MAX_SIZE
  assert 34 < np.median(longest) < 46  # half of them are below 43 pixels


def test_masks_are_visible_parts(scenes):
  hidden = 0
  for _, objects in scenes:
    covered = np.zeros([_SIZE, _SIZE], int)
    for o in objects:
      covered += o.mask
      assert o.mask.sum() >= demo_scenes.MIN_VISIBLE * o.whole_area
      hidden += o.mask.sum() < o.whole_area
    assert covered.max() <= 1
  assert hidden > _SCENES / 4


def test_crowds_cover_many_objects(scenes):
  crowds = [o for _, objects in scenes for o in objects if o.is_crowd]
  assert .02 < len(crowds) / _SCENES < .16
  smallest = demo_scenes.CROWD_MEMBER_SIZE[0]
  assert min(max(_sides(o.mask)) for o in crowds) > 2 * smallest


def test_a_scene_follows_from_its_seed():
  first, other = [demo_scenes.draw_scene([1, 0, i], 128) for i in (3, 4)]
  again = demo_scenes.draw_scene([1, 0, 3], 128)
  np.testing.assert_array_equal(first[0], again[0])
  for a, b in zip(first[1], again[1]):
    np.testing.assert_array_equal(a.mask, b.mask)
  assert (first[0] != other[0]).any()


def _make(folder, num_processes=1, split='val'):
  return make_demo_data.make_split(str(folder), split, 12, 128, seed=5,
                                   num_shards=2, num_processes=num_processes)


def _contents(folder):
  names = sorted(glob.glob(os.path.join(str(folder), '**', '*.*'),
                           recursive=True))
  return {os.path.relpath(n, str(folder)): open(n, 'rb').read() for n in names}


def test_files_of_a_split(tmp_path):
  index = _make(tmp_path)
  assert index['num_records'] == 12 and index['include_masks']
  assert not index['skipped']
  assert sorted(os.listdir(str(tmp_path))) == [
      'images', 'instances_val.json', 'val-00000-of-00002.tfrecord',
      'val-00001-of-00002.tfrecord', 'val-annotations.json', 'val-index.json',
      'val-label_map.csv']
  with open(str(tmp_path / 'instances_val.json')) as f:
    content = json.load(f)
  assert [c['name'] for c in content['categories']] == list(
      demo_scenes.CLASS_NAMES)
  for image in content['images']:
    path = tmp_path / 'images' / 'val' / image['file_name']
    assert Image.open(str(path)).size == (image['width'], image['height'])


def test_records_hold_the_annotations(tmp_path):
  """Boxes, classes, crowds and masks, read back from the TFRecords."""
  _make(tmp_path)
  with open(str(tmp_path / 'instances_val.json')) as f:
    expected = json.load(f)
  found = records.read_groundtruth(str(tmp_path / 'val-*.tfrecord'),
                                   include_mask=True)
  assert {i['id'] for i in found['images']} == {
      i['id'] for i in expected['images']}

  def as_rows(content):
    return sorted((a['image_id'], a['category_id'], a['iscrowd'],
                   [round(v, 3) for v in a['bbox']], a['area'],
                   mask_utils.decode(a['segmentation']).tolist())
                  for a in content['annotations'])
  assert as_rows(found) == as_rows(expected)


def test_boxes_surround_their_masks(tmp_path):
  _make(tmp_path)
  with open(str(tmp_path / 'instances_val.json')) as f:
    content = json.load(f)
  for annotation in content['annotations']:
    mask = mask_utils.decode(annotation['segmentation'])
    x, y, w, h = (int(v) for v in annotation['bbox'])
    assert mask[y:y + h, x:x + w].sum() == mask.sum() == annotation['area']
    assert mask[y].any() and mask[:, x].any()


def test_same_files_whatever_the_number_of_processes(tmp_path):
  _make(tmp_path / 'a', num_processes=1)
  _make(tmp_path / 'b', num_processes=2)
  assert _contents(tmp_path / 'a') == _contents(tmp_path / 'b')


def test_splits_show_other_scenes(tmp_path):
  _make(tmp_path, split='train')
  _make(tmp_path, split='val')
  train, val = [{content for name, content in _contents(tmp_path).items()
                 if name.startswith('images/' + split)}
                for split in make_demo_data.SPLITS]
  assert len(train) == len(val) == 12 and not train & val


def test_command(tmp_path):
  """As a person runs it; a second run replaces the first."""
  for num_val in (3, 2):
    subprocess.run(
        [sys.executable, '-m', 'tools.make_demo_data', '--num_train=4',
         '--num_val=%d' % num_val, '--image_size=128', '--num_shards=1',
         '--output=' + str(tmp_path)], check=True)
  assert records.count_records(
      [str(tmp_path / 'train-00000-of-00001.tfrecord')]) == 4
  assert records.count_records(
      [str(tmp_path / 'val-00000-of-00001.tfrecord')]) == 2


def _main(monkeypatch, *arguments):
  monkeypatch.setattr('sys.argv', ['make_demo_data'] + list(arguments))
  make_demo_data.main()


@pytest.mark.parametrize('size', [demo_scenes.MIN_SCENE, 40, 96, 100])
def test_scenes_smaller_than_the_largest_object(size):
  scenes = [demo_scenes.draw_scene([3, i], size) for i in range(40)]
  for image, objects in scenes:
    assert image.shape == (size, size, 3)
    assert all(o.mask.shape == (size, size) for o in objects)
  longest = [max(_sides(o.mask)) for _, objects in scenes for o in objects
             if not o.is_crowd]
  assert demo_scenes.MIN_SIZE <= min(longest)
  assert size / 2. < max(longest) <= size


def test_commands_of_small_scenes(tmp_path, monkeypatch):
  for kind in ('detection', 'classification', 'segmentation'):
    _main(monkeypatch, '--kind=' + kind, '--image_size=96', '--num_train=6',
          '--num_val=2', '--num_shards=1', '--output=%s' % (tmp_path / kind))
  assert records.count_records(
      [str(tmp_path / 'detection' / 'train-00000-of-00001.tfrecord')]) == 6


@pytest.mark.parametrize('argument', [
    '--image_size=15', '--num_train=0', '--num_val=-1', '--num_shards=0',
    '--num_train=many'])
def test_sets_that_cannot_be_made(tmp_path, monkeypatch, capsys, argument):
  with pytest.raises(SystemExit):
    _main(monkeypatch, argument, '--output=%s' % (tmp_path / 'data'))
  message = capsys.readouterr().err.splitlines()[-1]
  name, value = argument.split('=')
  assert name in message and value in message
  assert not (tmp_path / 'data').exists()


def test_images_by_class(tmp_path):
  make_demo_data.make_images(str(tmp_path), 'val', 12, 64, seed=3,
                             num_processes=1)
  folder = tmp_path / 'validation'
  assert sorted(p.name for p in folder.iterdir()) == sorted(
      demo_scenes.CLASS_NAMES)
  paths = sorted(folder.glob('*/*.jpg'))
  assert len(paths) == 12
  assert {len(list(p.iterdir())) for p in folder.iterdir()} == {2}
  assert np.asarray(Image.open(str(paths[0]))).shape == (64, 64, 3)


def test_image_shows_its_class():
  """The same ground with objects of two classes: they differ, in places."""
  disc, ring = [demo_scenes.draw_image([1, 2], i, 64).astype(int)
                for i in (1, 5)]
  share = (np.abs(disc - ring).max(axis=2) > 40).mean()
  assert .03 < share < .9


def test_label_maps_are_those_of_the_scenes(tmp_path):
  make_demo_data.make_label_maps(str(tmp_path), 'train', 3, 128, seed=3,
                                 num_processes=1)
  for image_id in (1, 2, 3):
    image, objects = demo_scenes.draw_scene([3, 0, image_id], 128)
    classes = np.asarray(Image.open(
        str(tmp_path / 'labels' / 'train' / ('%06d.png' % image_id))))
    expected = np.zeros([128, 128], np.uint8)
    for scene_object in objects:
      expected[scene_object.mask] = scene_object.class_id
    np.testing.assert_array_equal(classes, expected)
    saved = np.asarray(Image.open(
        str(tmp_path / 'images' / 'train' / ('%06d.jpg' % image_id))))
    assert np.abs(saved.astype(int) - image).mean() < 12
  assert (tmp_path / 'label_map.csv').read_text().startswith(
      '0:background\n1:disc\n')
