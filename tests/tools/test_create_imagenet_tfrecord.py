"""Tests of tools/create_imagenet_tfrecord.py."""

import glob
import io
import json
import shutil

import numpy as np
from PIL import Image
import pytest
import tensorflow.compat.v1 as tf

from tools import create_imagenet_tfrecord

_SHARDS = {'train': 2, 'validation': 3}


def _save(path, mode='RGB', image_format='JPEG', value=0):
  path.parent.mkdir(parents=True, exist_ok=True)
  channels = {'RGB': 3, 'CMYK': 4}[mode]
  pixels = np.full([5, 7, channels], value, np.uint8)
  Image.fromarray(pixels, mode).save(str(path), image_format)


@pytest.fixture
def raw(tmp_path):
  """Two classes, three training and two validation images."""
  folder = tmp_path / 'raw'
  _save(folder / 'train' / 'n02' / 'n02_1.JPEG')
  _save(folder / 'train' / 'n02' / 'n02_2.JPEG', image_format='PNG', value=90)
  _save(folder / 'train' / 'n01' / 'n01_1.JPEG', mode='CMYK')
  _save(folder / 'validation' / 'ILSVRC2012_val_1.JPEG')
  _save(folder / 'validation' / 'ILSVRC2012_val_2.JPEG')
  # As an editor on Windows writes it.
  (folder / 'synset_labels.txt').write_bytes('n02\r\nn01\r\n'.encode('utf-16'))
  return folder


def _convert(raw, tmp_path):
  return create_imagenet_tfrecord.convert(
      str(raw), str(tmp_path / 'out'), _SHARDS, num_processes=1)


def _read(tmp_path, name):
  """{file name: features} of a set."""
  result = {}
  for path in sorted(glob.glob(str(tmp_path / 'out' / name / '*-of-*'))):
    for record in tf.io.tf_record_iterator(path):
      features = tf.train.Example.FromString(record).features.feature
      result[features['image/filename'].bytes_list.value[0]] = features
  return result


def test_records(raw, tmp_path):
  assert _convert(raw, tmp_path) == {'train': 3, 'validation': 2}
  train = _read(tmp_path, 'train')
  assert sorted(train) == [b'n01_1.JPEG', b'n02_1.JPEG', b'n02_2.JPEG']
  features = train[b'n02_2.JPEG']
  assert {k: list(v.int64_list.value or v.bytes_list.value)
          for k, v in features.items() if k != 'image/encoded'} == {
              'image/height': [5], 'image/width': [7], 'image/channels': [3],
              'image/colorspace': [b'RGB'], 'image/class/label': [2],
              'image/class/synset': [b'n02'], 'image/format': [b'JPEG'],
              'image/filename': [b'n02_2.JPEG'],
              'image/source_id': [b'n02/n02_2.JPEG']}
  labels = {name: f['image/class/label'].int64_list.value[0]
            for name, f in _read(tmp_path, 'validation').items()}
  assert labels == {b'ILSVRC2012_val_1.JPEG': 2, b'ILSVRC2012_val_2.JPEG': 1}


def test_every_image_is_rgb_jpeg(raw, tmp_path):
  """The PNG and the CMYK one are encoded again."""
  _convert(raw, tmp_path)
  for features in _read(tmp_path, 'train').values():
    image = Image.open(io.BytesIO(
        features['image/encoded'].bytes_list.value[0]))
    assert (image.format, image.mode) == ('JPEG', 'RGB')


def test_names_of_the_files(raw, tmp_path):
  """Contiguous parts, so the last file of a small set is empty."""
  _convert(raw, tmp_path)
  names = sorted(p.name for p in (tmp_path / 'out' / 'validation').iterdir())
  assert names == ['validation-%05d-of-00003' % i for i in range(3)] + [
      'validation-index.json']
  assert (tmp_path / 'out' / 'validation' / names[2]).stat().st_size == 0
  assert (tmp_path / 'out' / 'label_map.csv').read_text() == '1:n01\n2:n02\n'


@pytest.mark.parametrize('name, content, message', [
    ('synset_labels.txt', 'n02\n', '1 lines for 2 validation images'),
    ('synset_labels.txt', 'n02\nn09\n', 'such as n09'),
])
def test_what_is_wrong_is_named(raw, tmp_path, name, content, message):
  (raw / name).write_text(content)
  with pytest.raises(ValueError, match=message):
    _convert(raw, tmp_path)


def test_missing_folder(tmp_path):
  with pytest.raises(ValueError, match='no folder .*train'):
    create_imagenet_tfrecord.convert(str(tmp_path), str(tmp_path / 'out'))


def test_validation_in_folders_of_its_classes(raw, tmp_path):
  for name in ('1', '2'):
    (raw / 'validation' / ('ILSVRC2012_val_%s.JPEG' % name)).unlink()
  _save(raw / 'validation' / 'n01' / 'a.JPEG')
  _convert(raw, tmp_path)
  features = _read(tmp_path, 'validation')[b'a.JPEG']
  assert list(features['image/class/label'].int64_list.value) == [1]
  assert features['image/source_id'].bytes_list.value[0] == b'n01/a.JPEG'


def test_a_class_that_training_does_not_have(raw, tmp_path):
  _save(raw / 'validation' / 'n09' / 'a.JPEG')
  for name in ('1', '2'):
    (raw / 'validation' / ('ILSVRC2012_val_%s.JPEG' % name)).unlink()
  with pytest.raises(ValueError, match='without a folder in train.*n09'):
    _convert(raw, tmp_path)


def test_training_set_alone(raw, tmp_path):
  shutil.rmtree(str(raw / 'validation'))
  assert _convert(raw, tmp_path) == {'train': 3}


def test_broken_images_are_left_out_and_named(raw, tmp_path, capsys):
  (raw / 'train' / 'n01' / 'n01_1.JPEG').write_text('no image')
  assert _convert(raw, tmp_path) == {'train': 2, 'validation': 2}
  output = capsys.readouterr().out
  assert 'Left out 1 (cannot be decoded' in output
  assert 'n01/n01_1.JPEG' in output
  assert 'Classes without images here: n01.' in output
  index = json.loads(
      (tmp_path / 'out' / 'train' / 'train-index.json').read_text())
  assert index['num_records'] == 2
  assert [s['image'] for s in index['skipped']] == ['n01/n01_1.JPEG']
  assert index['counts'] == {'2': 2}


def test_no_image_that_can_be_read(raw, tmp_path):
  for path in (raw / 'train').glob('*/*'):
    path.write_text('no image')
  with pytest.raises(ValueError, match='Not one of 3 images'):
    _convert(raw, tmp_path)
  assert not list((tmp_path / 'out' / 'train').iterdir())


def test_shards_of_another_number(raw, tmp_path, capsys):
  """Those of this program are replaced, those of others are an error."""
  _convert(raw, tmp_path)
  shards = {'train': 1, 'validation': 1}
  create_imagenet_tfrecord.convert(str(raw), str(tmp_path / 'out'), shards)
  names = sorted(p.name for p in (tmp_path / 'out' / 'train').iterdir())
  assert names == ['train-00000-of-00001', 'train-index.json']
  assert 'train-00001-of-00002 of an earlier conversion' in (
      capsys.readouterr().out)
  (tmp_path / 'out' / 'train' / 'train-index.json').unlink()
  with pytest.raises(ValueError, match='already there.*--overwrite'):
    create_imagenet_tfrecord.convert(str(raw), str(tmp_path / 'out'), shards)


def test_16_bits_other_formats_and_what_is_passed_over(raw, tmp_path, capsys):
  """16 bit values were clipped: all white."""
  folder = raw / 'train' / 'n01'
  gray = (np.arange(48).reshape([6, 8]) * 1000).astype(np.uint16)
  Image.fromarray(gray).save(str(folder / 'deep.png'))
  Image.fromarray(np.full([6, 8, 3], 70, np.uint8)).save(
      str(folder / 'other.webp'))
  (folder / 'notes.txt').write_text('x')
  (folder / '._n01_1.JPEG').write_text('left by macOS')
  assert _convert(raw, tmp_path)['train'] == 5
  encoded = _read(tmp_path, 'train')[b'deep.png'][
      'image/encoded'].bytes_list.value[0]
  pixels = np.asarray(Image.open(io.BytesIO(encoded)))
  np.testing.assert_allclose(pixels[..., 0].astype(int), gray >> 8, atol=3)
  output = capsys.readouterr().out
  assert '.txt 1, such as notes.txt' in output
  assert 'WEBP re-encoded as JPEG' in output


def test_turned_images_and_one_class(raw, tmp_path, capsys):
  shutil.rmtree(str(raw / 'train' / 'n02'))
  shutil.rmtree(str(raw / 'validation'))
  exif = Image.Exif()
  exif[0x0112] = 6
  Image.fromarray(np.zeros([16, 32, 3], np.uint8)).save(
      str(raw / 'train' / 'n01' / 'n01_1.JPEG'), exif=exif.tobytes())
  _convert(raw, tmp_path)
  features = _read(tmp_path, 'train')[b'n01_1.JPEG']
  assert features['image/height'].int64_list.value[0] == 32
  output = capsys.readouterr().out
  assert 'turned upright' in output and 'There is only one class' in output


def test_other_places(raw, tmp_path):
  """A list of images, whose folders are the classes, and a folder."""
  path = tmp_path / 'train.txt'
  path.write_text('raw/train/n02/n02_1.JPEG\n%s\n'
                  % (raw / 'train' / 'n01' / 'n01_1.JPEG'))
  places = {'train': str(path), 'validation': str(raw / 'train')}
  counts = create_imagenet_tfrecord.convert(
      None, str(tmp_path / 'out'), _SHARDS, num_processes=1, places=places)
  assert counts == {'train': 2, 'validation': 3}
  assert (tmp_path / 'out' / 'label_map.csv').read_text() == '1:n01\n2:n02\n'
  features = _read(tmp_path, 'train')[b'n02_1.JPEG']
  assert features['image/class/label'].int64_list.value[0] == 2
  path.write_text('raw/train/n02/n02_1.JPEG\n')
  with pytest.raises(ValueError, match='without a folder in train.* n01'):
    create_imagenet_tfrecord.convert(None, str(tmp_path / 'more'), _SHARDS,
                                     num_processes=1, places=places)


def test_folders_within_class_folders(tmp_path, capsys):
  """The first folder is the class, in a folder and in lists of it."""
  root = tmp_path / 'set'
  for i, name in enumerate(('a/1.jpg', 'a/deep/2.jpg', 'b/deep/2.jpg',
                            'b/x/y/3.jpg', 'stray.jpg')):
    _save(root / name, value=40 * i)
  lists = {}
  for name, lines in (('train', ['a/1.jpg', 'b/deep/2.jpg', 'b/x/y/3.jpg']),
                      ('validation', ['a/deep/2.jpg', 'stray.jpg'])):
    lists[name] = str(tmp_path / (name + '.txt'))
    (tmp_path / (name + '.txt')).write_text(
        ''.join('%s\n' % (root / line) for line in lines))
  for places, counts in (({'train': str(root)}, {'train': 4}),
                         (lists, {'train': 3, 'validation': 1})):
    assert create_imagenet_tfrecord.convert(
        None, str(tmp_path / 'out'), _SHARDS, num_processes=1, places=places,
        class_root=str(root)) == counts
    assert '1 images are not used, since they are in no class folder' in (
        capsys.readouterr().out)
    classes = {f['image/source_id'].bytes_list.value[0]:
               f['image/class/label'].int64_list.value[0]
               for f in _read(tmp_path, 'train').values()}
    assert classes[b'b/x/y/3.jpg'] == 2 and set(classes.values()) == {1, 2}
