"""Tests of tools/inference/outputs.py."""

import json
import os
import types

import numpy as np
import pytest

from serving import networks
from serving import results
from tools.inference import outputs

_OPTIONS = types.SimpleNamespace(drawn='jpg', video='mp4', thumbnail_size=90,
                                 page_images=2)


def _result(height=60, width=100):
  return results.DetectionResult(
      [[5., 10., 40., 50.]], [.8], [1], image_size=(height, width),
      class_names={1: 'owl'}, image=np.zeros([height, width, 3], np.uint8))


@pytest.mark.parametrize('name, expected', [
    ('b/c.jpg', 'b_c.png'), ('../../etc/x.jpg', 'etc_x.png'), (139, '139.png'),
    ('K\u00e4se \u4e2d.jpg', 'K\u00e4se_\u4e2d.png'),
    ('a"<b>\n\'.jpg', 'a_b.png'),
    ('.jpg', 'jpg.png'), ('???', 'image.png'), ('-rf.jpg', 'rf.png')])
def test_names_of_files_are_safe(name, expected):
  assert outputs.Names().make(name, '.png') == expected


def test_names_of_files_differ():
  names = outputs.Names()
  made = [names.make(name, '.jpg') for name in (
      'a.jpg', 'a.png', 'A.jpg', 'a-2.jpg', 'x' * 300, 'x' * 301,
      '\u4e2d' * 99)]
  assert made[:4] == ['a.jpg', 'a-2.jpg', 'A-3.jpg', 'a-2-2.jpg']
  assert len({name.lower() for name in made}) == len(made)
  assert max(len(name.encode()) for name in made) < 140


def test_files_become_visible_when_complete(tmp_path):
  folder = tmp_path / 'out'
  with outputs.Outputs(str(folder), None, networks.DETECTION,
                       _OPTIONS) as made:
    made.add('a', _result(), [{'x': 1}])
    assert not (folder / 'detections.json').exists()
    made.add(5, _result(), [{'x': 2}, {'x': 3}])
  assert json.loads((folder / 'detections.json').read_text()) == [
      {'x': 1}, {'x': 2}, {'x': 3}]
  assert (folder / 'detections.csv').read_text().count('\n') == 3
  assert made.num_answered == 2 and made.found_text() == '2 objects'
  with pytest.raises(RuntimeError):
    with outputs.Outputs(str(folder), None, networks.DETECTION,
                         _OPTIONS) as made:
      made.add('b', _result(), [])
      raise RuntimeError
  assert json.loads((folder / 'detections.json').read_text())[0] == {'x': 1}
  assert sorted(os.listdir(str(folder))) == ['detections.csv',
                                             'detections.json', 'drawn']


def test_the_page_has_room_for_so_many(tmp_path):
  made = outputs.Outputs(None, str(tmp_path / 'p.html'), networks.DETECTION,
                         _OPTIONS)
  assert [made.has_room() for _ in range(5)] == [True, True] + 3 * [False]
  made.cards += [made.make_card('a', _result()), made.make_card('b', _result())]
  made.write_page('title', [])
  assert '3 more images' in (tmp_path / 'p.html').read_text()
  assert not made.draws


def test_links_lead_from_the_page(tmp_path):
  made = outputs.Outputs(str(tmp_path / 'out'), str(tmp_path / 'a' / 'p.html'),
                         networks.DETECTION, _OPTIONS)
  path, link = made.drawn_path('x.png')
  assert link == '../out/drawn/x.jpg'
  assert path == str(tmp_path / 'out' / 'drawn' / 'x.jpg')
  # A JPEG cannot be so wide.
  assert made.drawn_path('y', (1, 70000))[1].endswith('y.png')


def test_thumbnails_are_drawn_at_their_size():
  for size in ((600, 1000), (6, 10)):
    content, width, height = outputs.thumbnail(_result(*size), 90)
    assert (width, height) == (90, 54) and content.startswith(b'\xff\xd8')
  assert outputs.thumbnail(_result(1, 10000), 90)[1:] == (90, 1)


def test_objects_of_the_only_class_have_colours_of_their_own():
  masks = np.ones([2, 4, 4], np.float32)
  boxes = [[5., 5., 55., 45.], [5., 55., 55., 95.]]
  result = results.DetectionResult(
      boxes, [.9, .8], [1, 1], masks, image_size=(60, 100),
      class_names={1: 'owl'}, image=np.zeros([60, 100, 3], np.uint8))
  drawn = outputs.draw(result, 0)
  assert (drawn[50, 25] != drawn[50, 75]).any()
