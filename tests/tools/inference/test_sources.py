"""Tests of tools/inference/sources.py."""

import json

import pytest

from tools.inference import sources


@pytest.fixture(name='folder')
def _folder(tmp_path):
  for name in ('a.jpg', 'b/a.jpg', 'b/c.PNG', 'b/.hidden.jpg', '.d/e.jpg',
               'clip.MP4', 'notes.md', 'set [v2]/f.jpg', 'odd[1].jpg',
               'out/drawn/a.jpg'):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(b'')
  return tmp_path


def _ids(*inputs, **kwargs):
  return [s.image_id for s in sources.find([str(i) for i in inputs],
                                           **kwargs)[0]]


def test_folders_are_read_to_the_ground(folder):
  found, notes = sources.find([str(folder)], output=str(folder / 'out'))
  assert [(s.image_id, s.kind) for s in found] == [
      ('a.jpg', 'image'), ('clip.MP4', 'video'), ('odd[1].jpg', 'image'),
      ('b/a.jpg', 'image'), ('b/c.PNG', 'image'), ('set [v2]/f.jpg', 'image')]
  assert len(notes) == 1 and '1 other files' in notes[0]


def test_files_are_taken_as_they_are_called(folder):
  assert _ids(folder / 'notes.md', folder / 'odd[1].jpg') == [
      'notes.md', 'odd[1].jpg']
  assert _ids(folder / 'a.jpg', folder / 'b' / '..' / 'a.jpg') == ['a.jpg']


def test_patterns(folder):
  assert _ids(folder / 'b' / '*') == ['a.jpg', 'c.PNG']
  assert _ids(folder / 'set [v2]' / '*.jpg') == ['f.jpg']
  assert _ids(folder / 'b' / '**' / '*.jpg') == ['a.jpg']
  assert _ids(folder / '*' / '*.jpg') == ['b/a.jpg', 'set [v2]/f.jpg']


def test_equal_names_are_told_apart(folder):
  assert _ids(folder / 'a.jpg', folder / 'b' / 'a.jpg') == [
      str(folder / 'a.jpg'), str(folder / 'b' / 'a.jpg')]


def test_lists(folder, monkeypatch):
  monkeypatch.chdir(str(folder))
  (folder / 'list.txt').write_text('\ufeffa.jpg\r\n\r\nb\r\n', 'utf-8')
  assert _ids('list.txt') == ['a.jpg', 'b/a.jpg', 'c.PNG']
  (folder / 'list.txt').write_text('a.jpg\nnone.jpg')
  with pytest.raises(sources.SourceError, match='list.txt, line 2: There is'):
    sources.find(['list.txt'])
  (folder / 'list.txt').write_text('\n')
  with pytest.raises(sources.SourceError, match='is empty'):
    sources.find(['list.txt'])
  (folder / 'list.txt').write_bytes(b'\xff\x00')
  with pytest.raises(sources.SourceError, match='cannot be read'):
    sources.find(['list.txt'])


def test_the_home_folder(folder, monkeypatch):
  monkeypatch.setenv('HOME', str(folder))
  assert _ids('~/a.jpg') == ['a.jpg']


def test_nothing_is_an_error(folder):
  (folder / 'bare').mkdir()
  with pytest.raises(sources.SourceError, match='no image and no video'):
    sources.find([str(folder / 'bare')])
  with pytest.raises(sources.SourceError, match='a pattern such as'):
    sources.find([str(folder / 'x\ny')])
  with pytest.raises(sources.SourceError, match='There is no file://'):
    sources.find(['file://%s/x*' % folder])


def test_files_beyond_the_file_system(folder):
  found, _ = sources.find(['file://%s/b/*.jpg' % folder])
  assert [s.image_id for s in found] == ['a.jpg']
  found, _ = sources.find(['file://%s/b' % folder])
  assert [s.image_id for s in found] == ['a.jpg', 'c.PNG']
  assert found[0].path == 'file://%s/b/a.jpg' % folder


def test_ids_of_annotations(folder):
  path = folder / 'a.json'
  path.write_text(json.dumps({'images': [
      {'id': 7, 'file_name': 'b/a.jpg'}, {'id': 'x1', 'file_name': 'a.jpg'},
      {'id': 9, 'file_name': 'val/c.PNG'}]}))
  found, _ = sources.find([str(folder / 'b'), str(folder / 'odd[1].jpg')])
  found, notes = sources.with_ids(found, str(path))
  assert [s.image_id for s in found] == ['x1', 9, 'odd[1].jpg']
  assert len(notes) == 1 and '1 of 3 images' in notes[0]
  found, notes = sources.with_ids(sources.find(
      [str(folder)], str(folder / 'out'))[0][:4], str(path))
  assert [s.image_id for s in found] == ['x1', 'clip.MP4', 'odd[1].jpg', 7]
  path.write_text('[')
  with pytest.raises(sources.SourceError, match='not valid JSON'):
    sources.with_ids(found, str(path))


def test_names_are_shown_on_one_line():
  assert sources.shown('a\nb') == 'a\\nb'
  assert sources.shown('a\udcff') == 'a\ufffd'
  assert len(sources.shown('x' * 999)) == 200
  assert sources.shown('K\u00e4se.jpg') == 'K\u00e4se.jpg'
