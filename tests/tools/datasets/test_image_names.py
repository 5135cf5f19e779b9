"""Tests of tools/datasets/image_names.py."""

import unicodedata

import pytest
import tensorflow.compat.v1 as tf

from tools.datasets import image_names


def _find(tmp_path, names, *files):
  for file_name in files:
    path = tmp_path / file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b'x')
  images, notes = image_names.find(
      str(tmp_path), [{'id': i, 'file_name': n} for i, n in enumerate(names)])
  return [image['file_name'] for image in images], notes


_NFC = unicodedata.normalize('NFC', 'Käfer.png')
_NFD = unicodedata.normalize('NFD', 'Käfer.png')


@pytest.mark.parametrize('name, file_name, how', [
    ('sub\\a.png', 'sub/a.png', image_names.SEPARATORS),
    ('a%20b.png', 'a b.png', image_names.ESCAPES),
    ('sub%2Fa%5B1%5D.png', 'sub/a[1].png', image_names.ESCAPES),
    ('sub\\a%20b.png', 'sub/a b.png', image_names.ESCAPES),
    (_NFC, _NFD, image_names.ACCENTS), (_NFD, _NFC, image_names.ACCENTS),
    ('C:\\Users\\me\\a.png', 'a.png', image_names.FOLDERS),
    ('/home/somebody/else/a.png', 'a.png', image_names.FOLDERS),
    ('train2017/a%20b.png', 'a b.png', image_names.FOLDERS),
])
def test_other_spellings_of_a_file(tmp_path, name, file_name, how):
  names, (note,) = _find(tmp_path, [name], file_name)
  assert names == [file_name]
  assert note.startswith('1 file names') and how in note
  assert repr(name) in note and repr(file_name) in note


@pytest.mark.parametrize('name', ['a\\b.png', 'a%20b.png', 'sub/a.png', _NFD])
def test_a_file_of_exactly_the_name_goes_first(tmp_path, name):
  names, notes = _find(tmp_path, [name], name, 'a/b.png', 'a b.png', 'a.png',
                       _NFC)
  assert names == [name] and not notes


def test_no_file_is_taken_for_two_names(tmp_path):
  """Each of the files is meant by another entry, or by two alike."""
  given = ['x\\a.png', 'x/a.png', 'y%20z.png', 'y z.png', 'one/b.png',
           'two/b.png']
  names, notes = _find(tmp_path, given, 'x/a.png', 'y z.png', 'b.png')
  assert names == given and not notes


def test_missing_and_odd_names_stay(tmp_path):
  names, notes = _find(tmp_path, ['no\\a.png', '%', '..\\', '/'], 'b.png')
  assert names == ['no\\a.png', '%', '..\\', '/'] and not notes
  odd = [3, {'file_name': 5}, {}]
  assert image_names.find(str(tmp_path), odd) == (odd, [])
  assert image_names.find(str(tmp_path), None) == (None, [])


def test_one_file_of_two_images_is_told(tmp_path):
  names, (note,) = _find(tmp_path, ['a.png', 'a.png', 'b.png'], 'a.png')
  assert names == ['a.png', 'a.png', 'b.png']
  assert note.startswith('1 files are named by more than one image, such as '
                         'a.png by the images 0, 1')


def _escapes(tmp_path):
  """A folder of images beside a file that annotations must not reach."""
  (tmp_path / 'images').mkdir()
  (tmp_path / 'secret.jpg').write_bytes(b'secret')
  return str(tmp_path / 'images'), [
      '../secret.jpg', '..\\secret.jpg', '%2e%2e/secret.jpg',
      str(tmp_path / 'secret.jpg')]


def test_names_that_lead_out_of_the_folder(tmp_path):
  folder, names = _escapes(tmp_path)
  found, _ = image_names.meant(folder, names)
  assert not found
  for name in names:
    assert not image_names.is_file(folder, name)
    with pytest.raises((OSError, tf.errors.NotFoundError)):
      image_names.read(folder, name)


def test_a_file_of_the_last_part_of_such_a_name(tmp_path):
  folder, _ = _escapes(tmp_path)
  (tmp_path / 'images' / 'secret.jpg').write_bytes(b'inside')
  found, notes = image_names.meant(folder, ['../secret.jpg'])
  assert image_names.read(folder, found['../secret.jpg']) == b'inside'
  assert image_names.FOLDERS in notes[0]
