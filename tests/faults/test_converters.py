"""Annotations with random faults: converted, or refused in words.

FAULTS=N in the environment tries N faults of each kind instead of a few.
"""

import contextlib
import io
import json
import os

import numpy as np
from PIL import Image
import pytest

from tests import voc_files
from tests.faults import mutations
from tests.tools import coco_sets
from tools import create_coco_tfrecord
from tools import create_csv_tfrecord
from tools import create_cvat_tfrecord
from tools import create_labelme_tfrecord
from tools import create_voc_tfrecord
from tools import create_yolo_tfrecord
from tools.datasets import coco_record_writer
from utils import text_files

_NUM_FAULTS = int(os.environ.get('FAULTS', 25))
_OPTIONS = coco_record_writer.Options(num_shards=1, num_processes=1)


def _images(folder, names=('a.png', 'b.png')):
  folder.mkdir(parents=True, exist_ok=True)
  for seed, name in enumerate(names):
    Image.fromarray(np.random.RandomState(seed).randint(
        0, 255, [48, 64, 3]).astype(np.uint8)).save(str(folder / name))


class _Coco:
  """An annotation file."""

  def __init__(self, folder):
    self._path, self._images = coco_sets.write(folder / 'source')
    self._data = coco_sets.dataset()

  def write(self, seed):
    data = self._data if seed is None else mutations.mutate(self._data, seed)[0]
    with open(self._path, 'w') as f:
      json.dump(data, f)

  def convert(self, prefix):
    return create_coco_tfrecord.convert(self._path, self._images, prefix,
                                        _OPTIONS)


class _Labelme:
  """A file of one image."""

  def __init__(self, folder):
    self._folder = folder
    _images(folder)
    shapes = [('dog', 'polygon', [[2, 2], [30, 4], [20, 30]]),
              ('dog', 'rectangle', [[5, 5], [25, 40]]),
              ('cat', 'circle', [[30, 20], [35, 25]]),
              ('cat', 'line', [[1, 1], [5, 5]])]
    self._data = {
        'version': '5.0', 'imagePath': 'a.png', 'imageData': None,
        'imageHeight': 48, 'imageWidth': 64,
        'shapes': [{'label': label, 'shape_type': kind, 'points': points,
                    'group_id': None, 'flags': {}}
                   for label, kind, points in shapes]}

  def write(self, seed):
    data = self._data if seed is None else mutations.mutate(self._data, seed)[0]
    (self._folder / 'a.json').write_text(json.dumps(data))

  def convert(self, prefix):
    return create_labelme_tfrecord.convert(str(self._folder), prefix, _OPTIONS)


class _Text:
  """A file of text, made of words, tags or cells."""

  def __init__(self, path, text, convert):
    self._path, self._text, self.convert = path, text, convert

  def write(self, seed):
    text = self._text
    if seed is not None:
      text = mutations.mutate_text(text, seed)
    self._path.write_bytes(text.encode('utf-8'))


def _voc(folder):
  voc_files.write(folder / 'voc')
  path = sorted((folder / 'voc' / 'Annotations').iterdir())[0]
  return _Text(path, path.read_text(), lambda prefix: (
      create_voc_tfrecord.convert(str(folder / 'voc'), 'train', prefix,
                                  _OPTIONS)))


def _yolo(folder):
  _images(folder / 'images')
  (folder / 'labels').mkdir()
  (folder / 'data.yaml').write_text(
      'path: .\ntrain: images\nnames: [dog, cat]\n')
  return _Text(folder / 'labels' / 'a.txt',
               '0 0.5 0.5 0.25 0.5\n1 0.1 0.1 0.6 0.1 0.3 0.8\n',
               lambda prefix: create_yolo_tfrecord.convert(
                   *create_yolo_tfrecord.read_data_file(
                       str(folder / 'data.yaml'), 'train'), prefix, _OPTIONS))


def _yolo_set(folder):
  converter = _yolo(folder)
  converter.write(None)
  return _Text(folder / 'data.yaml',
               'path: .\ntrain: images\nval: images\nnames:\n  0: dog\n'
               '  1: cat\n',
               converter.convert)


def _csv(folder):
  _images(folder)
  return _Text(folder / 'a.csv',
               'filename,width,height,class,xmin,ymin,xmax,ymax\na.png,64,48,dog,1,2,30,40\nb.png,64,48,cat,5,6,20,20\n',
               lambda prefix: create_csv_tfrecord.convert(
                   str(folder / 'a.csv'), str(folder), prefix, _OPTIONS))


def _cvat(folder):
  _images(folder)
  text = '''<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><task><labels><label><name>dog</name></label><label><name>cat</name></label>
</labels></task></meta>
<image id="0" name="a.png" width="64" height="48">
<box label="dog" occluded="0" xtl="1" ytl="2" xbr="30" ybr="40"></box>
<polygon label="cat" points="1.0,2.0;30.5,4.0;20.0,40.0" z_order="0"></polygon>
<mask label="cat" rle="3, 2, 3" left="4" top="5" width="4" height="2"></mask>
</image></annotations>'''
  return _Text(folder / 'a.xml', text, lambda prefix: (
      create_cvat_tfrecord.convert(str(folder / 'a.xml'), str(folder), prefix,
                                   _OPTIONS)))


_KINDS = {'coco': _Coco, 'labelme': _Labelme, 'voc': _voc, 'yolo': _yolo,
          'yolo set': _yolo_set, 'csv': _csv, 'cvat': _cvat}


@pytest.mark.parametrize('kind', sorted(_KINDS))
def test_faults_in_annotations(kind, tmp_path):
  (tmp_path / 'set').mkdir()
  source = _KINDS[kind](tmp_path / 'set')
  source.write(None)
  assert source.convert(str(tmp_path / 'whole' / 'records'))['num_records'] > 0
  raw = []
  for seed in range(_NUM_FAULTS):
    source.write(seed)
    folder = tmp_path / ('out%d' % seed)
    folder.mkdir()
    try:
      with contextlib.redirect_stdout(io.StringIO()):
        index = source.convert(str(folder / 'records'))
      assert index['num_records'] > 0
      text_files.read_json(str(folder / 'records-annotations.json'))
    except Exception as error:  # pylint: disable=broad-except
      if not mutations.is_for_people(error):
        raw.append((seed, repr(error)[:200]))
      # A refused set leaves nothing behind that could be taken for records.
      assert not list(folder.iterdir())
  assert not raw
