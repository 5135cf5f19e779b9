"""Tests of tools/datasets/voc_images.py."""

import pytest

from tools.datasets import voc_images


def _find(tmp_path, given, *files):
  for file_name in files:
    path = tmp_path / file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b'x')
  return voc_images.find(str(tmp_path), given)


@pytest.mark.parametrize('given', ['a.jpg', 'a', '', 'gone.jpg',
                                   'C:\\x\\a.jpg'])
def test_image_of_the_same_name(tmp_path, given):
  found = _find(tmp_path, {'a': given}, 'a.jpg', '._a.jpg', 'a.txt', 'b.jpg')
  assert found == ({'a': 'a.jpg'}, {}, {})


@pytest.mark.parametrize('given, used', [
    ('b 1.png', 'b 1.png'), ('b%201.png', 'b 1.png'),
    ('sub\\c.png', 'sub/c.png'), ('/home/me/b 1.png', 'b 1.png'),
    ('b 1', 'b 1.png'), ('gone.png', 'gone.png'), ('', 'a')])
def test_image_of_another_name(tmp_path, given, used):
  found = _find(tmp_path, {'a': given}, 'b 1.png', 'sub/c.png')
  assert found == ({'a': used}, {}, {})


def test_a_copied_filename_does_not_decide(tmp_path):
  found = _find(tmp_path, {'a': 'a.png', 'b': 'a.png', 'c': 'a.png'},
                'a.png', 'b.png')
  assert found.used == {'a': 'a.png', 'b': 'b.png'}
  assert found.notes(['a', 'b', 'c']) == [
      '1 annotations name an image that is not called as they are: b.xml names '
      'a.png, and b.png is used.']
  assert found.notes(['a']) == []
  skip, = found.skips(['a', 'b', 'c'])
  assert (skip.image, skip.reason) == ('c', voc_images.TAKEN)
  assert skip.detail == 'c.xml and a.xml name a.png'


def test_the_first_of_strangers_keeps_the_image(tmp_path):
  found = _find(tmp_path, {'x': 'a.png', 'y': 'a.png'}, 'a.png')
  assert found.used == {'x': 'a.png'} and list(found.unusable) == ['y']


def test_files_of_one_stem(tmp_path):
  found = _find(tmp_path, {'a': 'a.png', 'b': 'gone.jpg'}, 'a.jpg', 'a.png',
                'b.jpg', 'b.PNG')
  assert found.used == {'a': 'a.png'}
  assert found.unusable == {'b': (voc_images.AMBIGUOUS, 'b.PNG and b.jpg')}


def test_subfolders(tmp_path):
  """Of annotations and images alike, of one of them, and of equal names."""
  found = _find(tmp_path, {'u/a': 'a.jpg', 'v/a': 'a.jpg', 'u/b': '', 'c': '',
                           'v/d': 'd.jpg'},
                'u/a.jpg', 'v/a.jpg', 'b.jpg', 'w/c.png', 'x/d.jpg', 'y/d.png')
  assert found.used == {'u/a': 'u/a.jpg', 'v/a': 'v/a.jpg', 'u/b': 'b.jpg',
                        'c': 'w/c.png'}
  assert found.unusable == {'v/d': (voc_images.AMBIGUOUS,
                                    'x/d.jpg and y/d.png')}


def test_annotations_in_subfolders(tmp_path):
  for name in ('a.xml', 'u/b.XML', 'u/v/c.xml', '.idea/w.xml', 'u/._b.xml'):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b'')
  assert sorted(voc_images.annotation_files(str(tmp_path))) == [
      'a', 'u/b', 'u/v/c']
  assert voc_images.has_annotations(str(tmp_path / 'u'))
  assert not voc_images.has_annotations(str(tmp_path / '.idea' / 'none'))
