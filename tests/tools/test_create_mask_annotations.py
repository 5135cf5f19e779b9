"""Tests of tools/create_mask_annotations.py."""

import json
import sys

import cv2
import numpy as np
import pytest

from evaluation import annotations as annotations_lib
from tests import nuclei_files
from tools import create_mask_annotations
from utils import masks as mask_utils


def _write(folder, **options):
  return create_mask_annotations.write_annotations(
      str(folder), str(folder.parent / 'nuclei'), 'nucleus', num_processes=1,
      **options)


def _masks(dataset):
  """{file name: bool [objects, height, width]}."""
  result = {}
  for image in dataset['images']:
    masks = [mask_utils.decode(a['segmentation'])
             for a in dataset['annotations'] if a['image_id'] == image['id']]
    result[image['file_name']] = np.reshape(
        masks, (-1, image['height'], image['width'])).astype(bool)
  return result


def test_one_mask_file_for_every_object(tmp_path):
  expected = nuclei_files.write(tmp_path / 'pictures')
  datasets = _write(tmp_path / 'pictures')
  path = str(tmp_path / 'nuclei_%s.json')
  assert sorted(datasets) == [path % 'train', path % 'val']
  assert [len(datasets[path % s]['images']) for s in ('train', 'val')] == [4, 1]
  found = {name: masks for d in datasets.values()
           for name, masks in _masks(d).items()}
  for name, masks in expected.items():
    np.testing.assert_array_equal(found['%s/images/%s.png' % (name, name)],
                                  masks)
  loaded = annotations_lib.load(path % 'val', include_mask=True)
  assert loaded.category_names == ['nucleus'] and not loaded.messages
  box = loaded.boxes[0]
  mask = expected['picture_3'][0]
  assert box[3] == mask.any(axis=1).sum() and box[2] == mask.any(axis=0).sum()


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_pictures_of_numbers(tmp_path, dtype):
  (tmp_path / 'images').mkdir()
  (tmp_path / 'labels').mkdir()
  numbers = np.zeros([20, 30], dtype)
  last = 300 if dtype == np.uint16 else 200
  numbers[2:6, 3:9], numbers[10:15, 3:9] = 7, last
  cv2.imwrite(str(tmp_path / 'images' / 'a.png'), np.zeros([20, 30, 3]))
  cv2.imwrite(str(tmp_path / 'labels' / 'a.png'), numbers)
  dataset, = _write(tmp_path / 'images', labels=str(tmp_path / 'labels'),
                    val_every=0).values()
  masks = _masks(dataset)['a.png']
  np.testing.assert_array_equal(masks, [numbers == 7, numbers == last])


def test_masks_without_a_pixel_are_no_objects(tmp_path):
  nuclei_files.write(tmp_path / 'pictures', num_pictures=2)
  cv2.imwrite(str(tmp_path / 'pictures' / 'picture_0' / 'masks' / 'none.png'),
              np.zeros(nuclei_files.SIZE))
  dataset, = _write(tmp_path / 'pictures', val_every=0).values()
  assert len(dataset['annotations']) == 6


def test_mask_of_another_size_is_named(tmp_path):
  nuclei_files.write(tmp_path / 'pictures', num_pictures=2)
  path = tmp_path / 'pictures' / 'picture_1' / 'masks' / '0.png'
  cv2.imwrite(str(path), np.ones([8, 9]))
  with pytest.raises(create_mask_annotations.AnnotationError) as e:
    _write(tmp_path / 'pictures')
  assert str(path) in str(e.value) and '8 x 9' in str(e.value)
  path.write_bytes(b'no picture')
  with pytest.raises(create_mask_annotations.AnnotationError,
                     match='0.png cannot be read'):
    _write(tmp_path / 'pictures')


def test_files_that_are_missing_are_named(tmp_path):
  (tmp_path / 'images').mkdir()
  (tmp_path / 'labels').mkdir()
  with pytest.raises(create_mask_annotations.AnnotationError,
                     match='no picture .*images/NAME/images'):
    _write(tmp_path / 'images')
  cv2.imwrite(str(tmp_path / 'images' / 'a.png'), np.zeros([4, 4]))
  with pytest.raises(create_mask_annotations.AnnotationError,
                     match='a.png has no picture of numbers in .*labels'):
    _write(tmp_path / 'images', labels=str(tmp_path / 'labels'))


def test_program_says_what_to_expect(tmp_path, monkeypatch, capsys):
  nuclei_files.write(tmp_path / 'pictures')
  monkeypatch.setattr(sys, 'argv', [
      'create_mask_annotations', '--images=%s' % (tmp_path / 'pictures'),
      '--class_name=nucleus', '--output=%s' % (tmp_path / 'n')])
  create_mask_annotations.main()
  assert ('n_train.json: 4 pictures, 18 objects, at most 6 in one picture.'
          in capsys.readouterr().out)
  assert json.loads((tmp_path / 'n_val.json').read_text())['categories'] == [
      {'id': 1, 'name': 'nucleus'}]
