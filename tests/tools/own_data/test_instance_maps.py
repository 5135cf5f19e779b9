"""Numbers of objects and of classes in label images are told apart."""

import sys

import numpy as np
from PIL import Image
import pytest

from tools import create_mask_annotations
from tools.datasets import annotation_checks
from tools.own_data import instance_maps
from tools.own_data import layouts
from tools.own_data import mask_values
from tools.own_data import plan
from tools.own_data import recognition
from tools.own_data import stages

_SIDE = 80
_CELL = 8  # pixels of a side of a place of an object


def _objects(rng, numbers, share_split=0.):
  """int [80, 80]: a square for each number; some numbers have two."""
  result = np.zeros([_SIDE, _SIDE], np.int64)
  places = rng.permutation((_SIDE // _CELL) ** 2)
  numbers = list(numbers)
  numbers += numbers[:int(share_split * len(numbers))]
  for place, number in zip(places, numbers):
    y, x = _CELL * np.array(divmod(place, _SIDE // _CELL))
    result[y:y + 5, x:x + 5] = number
  return result


def _save(folder, name, values, bits, images='images', labels='masks'):
  for kind in (images, labels):
    (folder / kind).mkdir(parents=True, exist_ok=True)
  Image.new('RGB', (_SIDE, _SIDE)).save(str(folder / images / (name + '.png')))
  Image.fromarray(values.astype({8: np.uint8, 16: np.uint16}[bits])).save(
      str(folder / labels / (name + '.png')))


def _flags(folder, **options):
  return mask_values.flags([{'images': str(folder / 'images'),
                             'labels': str(folder / 'masks')}], 'out',
                           **options)


def _gapless(rng, number):
  return range(1, rng.randint(10, 60))


def _never_used_again(rng, number):
  return range(10 * number + 1, 10 * number + 11)


def _tiles_of_a_large_image(rng, number):
  return rng.choice(np.arange(1, 2000), 12, replace=False)


@pytest.mark.parametrize('numbers', [_gapless, _never_used_again,
                                     _tiles_of_a_large_image])
@pytest.mark.parametrize('touching', [False, True])
def test_objects(tmp_path, numbers, touching):
  rng = np.random.RandomState(0)
  for i in range(12):
    values = _objects(rng, numbers(rng, i))
    if touching:  # The next number all around.
      values = np.repeat(np.repeat(values[::_CELL, ::_CELL], _CELL, 0), _CELL,
                         1)
    _save(tmp_path, '%02d' % i, values, 16)
  with pytest.raises(annotation_checks.ConversionError) as error:
    _flags(tmp_path)
  text = str(error.value)
  assert 'nearly every one is a single region' in text
  assert ('--label_maps=classes' in text) == (
      numbers is not _tiles_of_a_large_image)
  assert _flags(tmp_path, are_classes=True) == []


def test_objects_in_files_of_8_bits(tmp_path):
  rng = np.random.RandomState(0)
  for i in range(5):
    _save(tmp_path, str(i), _objects(rng, range(1, 70 + 5 * i)), 8)
  with pytest.raises(annotation_checks.ConversionError,
                     match='have 89 different'):
    _flags(tmp_path)


@pytest.mark.parametrize('name, bits, numbers, split, files', [
    ('few classes in 16 bits', 16, lambda rng, i: range(1, 20), 0., 5),
    ('all have several regions', 16, lambda rng, i: range(1, 41), .5, 5),
    ('some of 104 organs', 16, lambda rng, i: 1 + np.sort(
        rng.choice(103, 15, replace=False)), 0., 30),
    ('some of 150 classes', 8, lambda rng, i: 1 + np.sort(
        rng.choice(150, 10, replace=False)), 0., 10),
    ('all of 60 classes in 8 bits', 8, lambda rng, i: range(1, 61), 0., 5),
    ('a few of 300', 16, lambda rng, i: [1, 7, 200], .0, 10)])
def test_classes(tmp_path, name, bits, numbers, split, files):
  rng = np.random.RandomState(0)
  for i in range(files):
    _save(tmp_path, '%02d' % i, _objects(rng, numbers(rng, i), split), bits)
  try:
    assert _flags(tmp_path) == [], name
  except annotation_checks.ConversionError as e:  # Of values, not of objects.
    assert name == 'a few of 300' and 'single region' not in str(e)


def test_noise_is_not_taken_for_objects(tmp_path):
  """Values above 255 of a measurement; the converter says what is wrong."""
  rng = np.random.RandomState(0)
  for i in range(3):
    _save(tmp_path, str(i), rng.randint(0, 3000, [_SIDE, _SIDE]), 16)
  assert _flags(tmp_path) == []
  _save(tmp_path / 'high', 'a', np.full([_SIDE, _SIDE], 300), 16)
  assert _flags(tmp_path / 'high') == []


def test_regions_counted_by_hand():
  numbers = np.zeros([12, 12], np.int64)
  numbers[0:3, 0:3], numbers[3:6, 3:6], numbers[0:3, 3:6] = 1, 1, 2
  assert instance_maps.have_one_region([numbers])  # Corners connect.
  numbers[9:, 9:] = 2
  assert not instance_maps.have_one_region([numbers])
  assert not instance_maps.have_one_region([np.eye(2, dtype=np.int64)])
  numbers[9:, 9:], numbers[11, :6] = 0, [4, 4, 5, 6, 0, 7]
  assert not instance_maps.have_one_region([numbers])  # 2 objects, 4 specks.
  numbers[11, 2:] = 0
  assert instance_maps.have_one_region([numbers])
  assert not instance_maps.have_one_region([np.zeros([2, 2], np.int64)])


@pytest.mark.parametrize('images, labels, splits', [
    ('images', 'masks', ['']), ('', 'masks', ['']),
    ('images/%s', 'masks/%s', ['train', 'val']),
    ('%s/images', '%s/masks', ['train', 'valid']),
    ('images/%s', 'masks/%s', ['train'])])
def test_the_commands_lead_to_objects(tmp_path, monkeypatch, images, labels,
                                      splits):
  data, rng = tmp_path / 'my set', np.random.RandomState(0)
  for split in splits:
    for i in range(8):
      _save(data, 'abcdefgh'[i], _objects(rng, _gapless(rng, i)), 16,
            *(p % split if '%' in p else p for p in (images, labels)))
  found = recognition.recognise(str(data))
  assert found.kind == layouts.LABEL_MAPS
  sides = [found.splits[name] for name in sorted(found.splits)]
  commands = instance_maps.commands(sides, 'out')
  with pytest.raises(annotation_checks.ConversionError) as error:
    plan.Plan(found, plan.Options(str(data), None, None, 1, 'out', 0, None, []))
  for command in commands:
    assert '  %s\n' % stages.command_line(command) in str(error.value)
  for command in commands[:-1]:
    assert command[1] == 'tools.create_mask_annotations'
    monkeypatch.setattr(sys, 'argv', command[1:])
    create_mask_annotations.main()
  last = commands[-1]
  assert last[1] == 'tools.train_on' and last[3:] == [
      '--model=mask_rcnn', '--output=out']
  found = recognition.recognise(last[2].split('=')[1], model='mask_rcnn')
  assert found.kind == layouts.COCO and found.has_splits
