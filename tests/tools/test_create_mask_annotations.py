"""Tests of tools/create_mask_annotations.py."""

import json
import sys

import cv2
import numpy as np
from PIL import Image
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
  expected = nuclei_files.write(tmp_path / 'images')
  datasets = _write(tmp_path / 'images')
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
  mask = expected['image_3'][0]
  assert box[3] == mask.any(axis=1).sum() and box[2] == mask.any(axis=0).sum()


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_images_of_numbers(tmp_path, dtype):
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


def _numbered(tmp_path, image, size=(20, 30), name='a.png', **options):
  """Annotations of an image of this size and its Pillow label image."""
  for folder in ('images', 'labels'):
    (tmp_path / folder).mkdir(exist_ok=True)
  Image.fromarray(np.zeros(size + (3,), np.uint8)).save(
      str(tmp_path / 'images' / 'a.png'))
  image.save(str(tmp_path / 'labels' / name))
  return list(_write(tmp_path / 'images', labels=str(tmp_path / 'labels'),
                     val_every=0, **options).values())[0]


def _two_objects():
  numbers = np.zeros([20, 30], np.uint8)
  numbers[2:6, 3:9], numbers[6:15, 3:9] = 1, 2
  return numbers


def test_colours_of_one_gray_stay_apart(tmp_path):
  """Both have the gray 76; as indices of a palette and as colours."""
  numbers = _two_objects()
  colours = np.array([[0, 0, 0], [255, 0, 0], [0, 130, 0]], np.uint8)
  palette = Image.fromarray(numbers, 'P')
  palette.putpalette(colours.reshape(-1).tolist())
  for image in (palette, Image.fromarray(colours[numbers])):
    dataset = _numbered(tmp_path, image)
    assert sorted(a['area'] for a in dataset['annotations']) == [24, 54]


def test_numbers_of_a_lossy_format_are_refused(tmp_path):
  """As JPEG, and as a PNG that was one."""
  noise = np.random.RandomState(0).randint(0, 255, [20, 30]).astype(np.uint8)
  with pytest.raises(create_mask_annotations.AnnotationError,
                     match='most of them of a few pixels'):
    _numbered(tmp_path, Image.fromarray(noise))
  (tmp_path / 'labels' / 'a.png').unlink()
  with pytest.raises(create_mask_annotations.AnnotationError, match='lossless'):
    _numbered(tmp_path, Image.fromarray(noise), name='a.jpg')


def test_one_value_for_all_objects_is_doubted(tmp_path, capsys):
  mask = np.zeros([20, 30], np.uint8)
  mask[2:6, 3:9] = mask[10:15, 3:9] = 255
  dataset = _numbered(tmp_path, Image.fromarray(mask))
  assert len(dataset['annotations']) == 1
  assert 'use --separate' in capsys.readouterr().out
  dataset = _numbered(tmp_path, Image.fromarray(mask), separate=True)
  assert [a['area'] for a in dataset['annotations']] == [24, 30]


def test_lossy_masks_are_cut_at_half(tmp_path, capsys):
  nuclei_files.write(tmp_path / 'images', num_images=1)
  folder = tmp_path / 'images' / 'image_0' / 'masks'
  for path in folder.iterdir():
    path.unlink()
  mask = np.random.RandomState(0).randint(0, 9, nuclei_files.SIZE)
  Image.fromarray(mask.astype(np.uint8)).save(str(folder / 'noise.png'))
  mask[3:9, 2:12] += 240
  Image.fromarray(mask.astype(np.uint8)).save(str(folder / 'mask.png'))
  dataset, = _write(tmp_path / 'images', val_every=0).values()
  assert [a['area'] for a in dataset['annotations']] == [60]
  output = capsys.readouterr().out
  assert 'lossy' in output and 'faint noise' in output


@pytest.mark.parametrize('is_upright', [True, False])
def test_masks_of_a_turned_image(tmp_path, is_upright):
  """The annotations say which one the masks are made for."""
  exif = Image.Exif()
  exif[0x0112] = 6
  for folder in ('images', 'labels'):
    (tmp_path / folder).mkdir()
  Image.fromarray(np.zeros([20, 30, 3], np.uint8)).save(
      str(tmp_path / 'images' / 'a.jpg'), exif=exif.tobytes())
  size = (30, 20) if is_upright else (20, 30)
  Image.fromarray(np.eye(*size, dtype=np.uint8)).save(
      str(tmp_path / 'labels' / 'a.png'))
  dataset, = _write(tmp_path / 'images', labels=str(tmp_path / 'labels'),
                    val_every=0).values()
  assert (dataset['images'][0]['height'], dataset['images'][0]['width']) == size


def test_masks_without_a_pixel_are_no_objects(tmp_path):
  nuclei_files.write(tmp_path / 'images', num_images=2)
  cv2.imwrite(str(tmp_path / 'images' / 'image_0' / 'masks' / 'none.png'),
              np.zeros(nuclei_files.SIZE))
  dataset, = _write(tmp_path / 'images', val_every=0).values()
  assert len(dataset['annotations']) == 6


def test_mask_of_another_size_is_named(tmp_path):
  nuclei_files.write(tmp_path / 'images', num_images=2)
  path = tmp_path / 'images' / 'image_1' / 'masks' / '0.png'
  cv2.imwrite(str(path), np.ones([8, 9]))
  with pytest.raises(create_mask_annotations.AnnotationError) as e:
    _write(tmp_path / 'images')
  assert str(path) in str(e.value) and '8 x 9' in str(e.value)
  path.write_bytes(b'no image')
  with pytest.raises(create_mask_annotations.AnnotationError,
                     match='0.png cannot be read'):
    _write(tmp_path / 'images')


def test_files_that_are_missing_are_named(tmp_path):
  (tmp_path / 'images').mkdir()
  (tmp_path / 'labels').mkdir()
  with pytest.raises(create_mask_annotations.AnnotationError,
                     match='no image .*images/NAME/images'):
    _write(tmp_path / 'images')
  cv2.imwrite(str(tmp_path / 'images' / 'a.png'), np.zeros([4, 4]))
  with pytest.raises(create_mask_annotations.AnnotationError,
                     match='a.png has no label image in .*labels'):
    _write(tmp_path / 'images', labels=str(tmp_path / 'labels'))


def test_program_says_what_to_expect(tmp_path, monkeypatch, capsys):
  nuclei_files.write(tmp_path / 'images')
  monkeypatch.setattr(sys, 'argv', [
      'create_mask_annotations', '--images=%s' % (tmp_path / 'images'),
      '--class_name=nucleus', '--output=%s' % (tmp_path / 'n')])
  create_mask_annotations.main()
  assert ('n_train.json: 4 images, 18 objects, at most 6 in one image.'
          in capsys.readouterr().out)
  assert json.loads((tmp_path / 'n_val.json').read_text())['categories'] == [
      {'id': 1, 'name': 'nucleus'}]


def test_specks_of_a_lossy_format_are_doubted(tmp_path, capsys):
  numbers = np.zeros([20, 30], np.uint8)
  numbers[2:12, 3:13] = 255
  _numbered(tmp_path, Image.fromarray(numbers), separate=True)
  assert 'JPEG' not in capsys.readouterr().out
  numbers[2, 3:13] = range(240, 250)
  _numbered(tmp_path, Image.fromarray(numbers))
  assert 'was the file saved as JPEG' in capsys.readouterr().out


@pytest.mark.parametrize('content', [b'', b'no image', None])
def test_image_that_cannot_be_read_is_named(tmp_path, monkeypatch, content):
  numbers = Image.fromarray(np.eye(20, 30, dtype=np.uint8))
  _numbered(tmp_path, numbers)
  path = tmp_path / 'images' / 'a.png'
  if content is None:
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 10)
  else:
    path.write_bytes(content)
  with pytest.raises(create_mask_annotations.AnnotationError,
                     match='(The image .*a.png|The mask .*) cannot be read'):
    _write(tmp_path / 'images', labels=str(tmp_path / 'labels'))
