"""Tests of tools/create_segmentation_tfrecord.py."""

import io
import json
import subprocess
import sys

import numpy as np
from PIL import Image
import pytest
import tensorflow.compat.v1 as tf

from configs import factory as config_factory
from dataloader import factory
from tests import docs_blocks
from tests.dataloader import parser_cases
from tools import create_segmentation_tfrecord
from utils import modes

_SIZE = (5, 7)


def _classes(*values):
  """uint8 of _SIZE: the values in turn."""
  return np.resize(np.array(values, np.uint8), _SIZE)


def _save_label(path, classes, mode='L'):
  path.parent.mkdir(parents=True, exist_ok=True)
  image = Image.fromarray(classes)
  if mode == 'P':
    image = Image.fromarray(classes, 'P')
    image.putpalette([(37 * i) % 256 for i in range(768)])
  image.save(str(path), 'PNG')


def _save_image(path, size=_SIZE):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(np.full(size + (3,), 90, np.uint8)).save(str(path))


@pytest.fixture
def raw(tmp_path):
  """Three images, one of them without a label map."""
  for name in ('a.jpg', 'b.png', 'c.jpg'):
    _save_image(tmp_path / 'images' / name)
  _save_label(tmp_path / 'labels' / 'a.png', _classes(0, 1, 255))
  _save_label(tmp_path / 'labels' / 'b.png', _classes(2, 2), mode='P')
  return tmp_path


def _convert(raw, **options):
  options.setdefault('num_processes', 1)
  return create_segmentation_tfrecord.convert(
      str(raw / 'images'), str(raw / 'labels'), str(raw / 'out' / 'train'),
      **options)


def _records(raw):
  """[serialized] of all shards."""
  return [record for path in sorted((raw / 'out').glob('*.tfrecord'))
          for record in tf.io.tf_record_iterator(str(path))]


def _features(raw):
  """{source id: features}."""
  result = {}
  for record in _records(raw):
    features = tf.train.Example.FromString(record).features.feature
    result[features['image/source_id'].bytes_list.value[0]] = features
  return result


def test_records(raw, capsys):
  index = _convert(raw)
  assert index['num_records'] == 2 and index['skipped'] == []
  assert '1 images in' in capsys.readouterr().out
  features = _features(raw)
  assert sorted(features) == [b'a', b'b']
  assert {k: list(v.int64_list.value or v.bytes_list.value)
          for k, v in features[b'b'].items() if 'encoded' not in k} == {
              'image/height': [5], 'image/width': [7],
              'image/format': [b'png'], 'image/filename': [b'b.png'],
              'image/source_id': [b'b'],
              'image/segmentation/class/format': [b'png']}


def test_a_palette_is_not_taken_for_colours(raw):
  """What a PNG of Pascal VOC looks like."""
  _convert(raw)
  encoded = _features(raw)[b'b'][
      'image/segmentation/class/encoded'].bytes_list.value[0]
  image = Image.open(io.BytesIO(encoded))
  assert image.mode == 'L'
  np.testing.assert_array_equal(np.asarray(image), _classes(2, 2))


def test_the_parser_reads_them(raw):
  _convert(raw)
  config, _ = config_factory.load_config('segmentation', extra={
      'segmentation_parser.output_size': [32, 32],
      'architecture.num_classes': 3})
  parser = factory.build_parser(config, modes.EVAL)
  record, = [r for r in _records(raw) if b'a.jpg' in r]
  _, labels = parser_cases.run(parser, record)
  np.testing.assert_array_equal(labels['masks'][:5, :7, 0],
                                _classes(0, 1, 255))


@pytest.mark.parametrize('folder', ['labels', 'images'])
def test_label_maps_with_a_suffix(raw, folder):
  """As a_mask.png; one of just the same name goes before it."""
  _save_label(raw / folder / 'a_mask.png', _classes(3))
  _save_label(raw / folder / 'b_mask.png', _classes(3))
  _save_label(raw / folder / 'c-Labels.png', _classes(3))
  index = create_segmentation_tfrecord.convert(
      str(raw / 'images'), str(raw / folder), str(raw / 'out' / 'train'),
      num_processes=1)
  assert index['skipped'] == []
  assert sorted(_features(raw)) == [b'a', b'b', b'c']
  assert sorted(index['counts']) == (
      ['3'] if folder == 'images' else ['0', '1', '2', '3'])


def test_index_counts_pixels(raw, capsys):
  index = _convert(raw, label_map={0: 'ground', 1: 'disc', 2: 'ring',
                                   3: 'star'}, num_shards=1)
  # 35 pixels in turns of three.
  assert index['counts'] == {'0': 12, '1': 12, '2': 35}
  output = capsys.readouterr().out
  assert 'Pixels of each class: ring 35, ground 12, disc 12.' in output
  assert 'Classes without pixels here: star.' in output
  assert 'num_classes: 4' in output
  assert (raw / 'out' / 'train-label_map.csv').read_text() == (
      '0:ground\n1:disc\n2:ring\n3:star\n')
  assert json.loads((raw / 'out' / 'train-index.json').read_text()) == index


def test_a_list_of_names(raw):
  assert _convert(raw, names=['b'])['num_records'] == 1
  with pytest.raises(ValueError, match='1 names have no image.*such as z'):
    _convert(raw, names=['b', 'z'])


@pytest.mark.parametrize('prepare, reason', [
    (lambda raw: _save_label(raw / 'labels' / 'c.png', _classes(0)[:4]),
     'another size'),
    (lambda raw: (raw / 'labels' / 'c.png').write_text('x'),
     'label map cannot be read'),
    (lambda raw: Image.new('RGB', _SIZE[::-1], (9, 0, 0)).save(
        str(raw / 'labels' / 'c.png')), 'has colours'),
    (lambda raw: _save_label(raw / 'labels' / 'c.png', _classes(9)),
     'class 9 is not in the label map'),
    (lambda raw: None, 'has no label map'),
    (lambda raw: (raw / 'images' / 'c.jpg').write_text('x'), 'decoded')])
def test_what_cannot_be_used_is_named(raw, capsys, prepare, reason):
  prepare(raw)
  index = _convert(raw, names=['a', 'b', 'c'],
                   label_map={0: 'x', 1: 'y', 2: 'z'})
  assert [s['image'] for s in index['skipped']] == ['c']
  assert reason in index['skipped'][0]['reason']
  assert index['num_records'] == 2
  assert 'Left out 1 (' in capsys.readouterr().out


def test_images_and_label_maps_in_one_folder(raw):
  """The label map of a name is not a candidate for its image."""
  for name in ('a', 'b'):
    _save_image(raw / 'both' / (name + '.jpg'))
    _save_label(raw / 'both' / (name + '.png'), _classes(0, 1, 2))
  _save_image(raw / 'both' / 'alone.png')
  create_segmentation_tfrecord.convert(
      str(raw / 'both'), str(raw / 'both'), str(raw / 'out' / 'train'),
      num_processes=1)
  features = _features(raw)
  assert sorted(features) == [b'a', b'b']
  for value in features.values():
    assert value['image/format'].bytes_list.value[0] == b'jpeg'


def test_two_images_of_one_name_are_both_named(raw):
  _save_image(raw / 'images' / 'a.bmp')
  with pytest.raises(ValueError, match='a.bmp and a.jpg'):
    _convert(raw)
  # A list tells which one is meant.
  assert _convert(raw, names=['a.jpg', 'b'])['num_records'] == 2


def _masks_of_255(raw):
  for i, name in enumerate(('a.png', 'b.png')):
    _save_label(raw / 'labels' / name, _classes(0, 255, *[0] * i))


def test_masks_of_0_and_255_are_doubted(raw, capsys):
  _masks_of_255(raw)
  _convert(raw)
  output = capsys.readouterr().out
  # 17 and 12 of 35 pixels.
  assert '41.4 % of the pixels have no class (value 255' in output
  assert 'Warning: 2 of 2 label maps have the values 0 and 255 only' in output
  assert '--values=255:1' in output


def test_values_become_classes(raw, capsys):
  _masks_of_255(raw)
  index = _convert(raw, label_map={0: 'ground', 1: 'lesion'},
                   reading=create_segmentation_tfrecord.Reading(
                       values={255: 1}))
  assert index['counts'] == {'0': 41, '1': 29}
  assert 'Warning' not in capsys.readouterr().out


@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'LA'])
def test_equal_channels_are_one(raw, mode):
  for name in ('a.png', 'b.png'):
    Image.fromarray(_classes(0, 1)).convert(mode).save(
        str(raw / 'labels' / name))
  assert _convert(raw)['counts'] == {'0': 36, '1': 34}
  Image.fromarray(_classes(0, 1)).convert('RGBA').save(
      str(raw / 'labels' / 'a.png'))
  transparent = Image.new('RGBA', _SIZE[::-1], (1, 1, 1, 128))
  transparent.save(str(raw / 'labels' / 'b.png'))
  skip, = _convert(raw)['skipped']
  assert 'has colours' in skip['reason']


@pytest.mark.parametrize('classes, words', [
    ([1], 'all pixels have the same class, 1'),
    ([255], 'Nothing can be learnt')])
def test_label_maps_that_teach_nothing(raw, capsys, classes, words):
  for name in ('a.png', 'b.png'):
    _save_label(raw / 'labels' / name, _classes(*classes))
  _convert(raw)
  assert words in capsys.readouterr().out


@pytest.mark.parametrize('label_size', ['upright', 'stored'])
def test_the_size_of_a_label_map_tells_how_its_image_lies(raw, label_size):
  """Of orientation 6; the records of both are upright, and fit."""
  exif = Image.Exif()
  exif[0x0112] = 6
  pixels = np.zeros([16, 32, 3], np.uint8)
  pixels[:, :8] = 255
  Image.fromarray(pixels).save(str(raw / 'images' / 'a.jpg'),
                               exif=exif.tobytes())
  label = (pixels[..., 0] > 0).astype(np.uint8)
  if label_size == 'upright':
    label = np.rot90(label, -1)
  _save_label(raw / 'labels' / 'a.png', np.ascontiguousarray(label))
  assert _convert(raw, names=['a'])['num_records'] == 1
  features = _features(raw)[b'a']
  image, classes = [np.asarray(Image.open(io.BytesIO(
      features[key].bytes_list.value[0]))) for key in (
          'image/encoded', 'image/segmentation/class/encoded')]
  assert image.shape[:2] == classes.shape == (32, 16)
  np.testing.assert_array_equal(image[..., 0] > 127, classes > 0)


def test_names_with_blanks_and_second_columns(raw):
  _save_image(raw / 'images' / 'shot 1.jpg')
  _save_label(raw / 'labels' / 'shot 1.png', _classes(1))
  (raw / 'list.txt').write_bytes(b'\xef\xbb\xbfshot 1\r\na.jpg 1\n')
  names = create_segmentation_tfrecord._read_names(str(raw / 'list.txt'))
  assert _convert(raw, names=names)['num_records'] == 2


def test_nothing_in_common(raw):
  for path in (raw / 'labels').iterdir():
    path.rename(path.with_name('other_' + path.name))
  with pytest.raises(ValueError, match='No image in .* has a label map'):
    _convert(raw)


def test_processes_give_the_same(raw):
  _convert(raw, num_shards=2)
  one = [path.read_bytes() for path in sorted((raw / 'out').glob('*'))]
  _convert(raw, num_shards=2, num_processes=2)
  assert one == [path.read_bytes() for path in sorted((raw / 'out').glob('*'))]


def test_folder_instead_of_a_prefix(raw):
  with pytest.raises(ValueError, match='is a folder'):
    create_segmentation_tfrecord.convert(
        str(raw / 'images'), str(raw / 'labels'), str(raw / 'out') + '/')


@pytest.mark.one_runtime('tf1')
def test_as_a_program(raw):
  (raw / 'list.txt').write_text('a.jpg\nb\n')
  command = [sys.executable, '-m', 'tools.create_segmentation_tfrecord',
             '--image_dir=%s' % (raw / 'images'),
             '--label_dir=%s' % (raw / 'labels'),
             '--output=%s' % (raw / 'out' / 'val'), '--num_shards=1']
  output = subprocess.check_output(
      command + ['--list=%s' % (raw / 'list.txt')], cwd=docs_blocks.ROOT,
      universal_newlines=True, stderr=subprocess.STDOUT)
  assert 'Wrote 2 records to 1 shard.' in output
  process = subprocess.run(
      command + ['--list=%s' % (raw / 'none.txt')], cwd=docs_blocks.ROOT,
      text=True, stderr=subprocess.PIPE)
  assert process.returncode == 1
  assert process.stderr.strip().split('\n')[-1].startswith('Error: ')


@pytest.mark.parametrize('values, is_doubted', [
    ((0, 128), True), ((0, 1, 2, 250, 253), True), ((0, 1, 63), False),
    (range(30), False)])
def test_values_far_apart_are_doubted(raw, capsys, values, is_doubted):
  """As of masks, and of edges that were made smooth."""
  for name in ('a.png', 'b.png'):
    _save_label(raw / 'labels' / name, _classes(*values))
  _convert(raw)
  words = 'Warning: values reach %d, but only %d of them' % (
      max(values), len(values))
  assert (words in capsys.readouterr().out) == is_doubted
  _convert(raw, label_map={i: 'name %d' % i for i in range(255)})
  assert 'values reach' not in capsys.readouterr().out
