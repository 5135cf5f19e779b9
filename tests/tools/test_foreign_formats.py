"""Converters of YOLO, labelme, CVAT, tables and folders of images.

Each gets the same two objects in its own form; what is written must agree.
"""

import base64
import io
import json
import os

from absl import flags
import numpy as np
from PIL import Image
import pytest
import tensorflow.compat.v1 as tf

from tools import create_csv_tfrecord
from tools import create_cvat_tfrecord
from tools import create_image_tfrecord
from tools import create_labelme_tfrecord
from tools import create_yolo_tfrecord
from tools.datasets import coco_record_writer
from tools.datasets import source_set
from tools.datasets import yolo_labels

SIZE = (40, 50)
BOXES = {'cat': [10., 4., 20., 16.], 'dog': [5., 20., 10., 10.]}  # xywh
OPTIONS = coco_record_writer.Options(num_shards=1, num_processes=1)
ConversionError = coco_record_writer.ConversionError


def _save(path, orientation=None):
  path.parent.mkdir(parents=True, exist_ok=True)
  pixels = np.random.RandomState(len(path.name)).randint(
      0, 255, SIZE + (3,)).astype(np.uint8)
  image = Image.fromarray(pixels)
  options = {}
  if orientation:
    options['exif'] = image.getexif()
    options['exif'][274] = orientation
  image.save(str(path), quality=95, **options)


@pytest.fixture(name='folder')
def _folder(tmp_path):
  for name in ('a.jpg', 'b.jpg', 'sub/c.jpg'):
    _save(tmp_path / 'images' / name)
  return tmp_path


def _written(folder):
  """({file name: {class name: box}}, content of annotations.json)."""
  content = json.loads((folder / 'out' / 'x-annotations.json').read_text())
  names = {c['id']: c['name'] for c in content['categories']}
  files = {i['id']: i['file_name'] for i in content['images']}
  found = {name: {} for name in files.values()}
  for a in content['annotations']:
    found[files[a['image_id']]][names[a['category_id']]] = [
        round(v, 3) for v in a['bbox']]
  return found, content


def _prefix(folder):
  return str(folder / 'out' / 'x')


def _yolo_line(index, box):
  x, y, w, h = box
  return '%d %.8f %.8f %.8f %.8f\n' % (
      index, (x + w / 2) / SIZE[1], (y + h / 2) / SIZE[0], w / SIZE[1],
      h / SIZE[0])


def _yolo(folder, text=None, names='[dog, cat]'):
  labels = folder / 'labels'
  labels.mkdir(exist_ok=True)
  (labels / 'a.txt').write_text(text or _yolo_line(1, BOXES['cat'])
                                + _yolo_line(0, BOXES['dog']))
  (folder / 'data.yaml').write_text(
      'path: .\ntrain: images\nval: images\nnames: %s\n' % names)
  return create_yolo_tfrecord.read_data_file(str(folder / 'data.yaml'), 'train')


def test_yolo(folder, capsys):
  images, names = _yolo(folder)
  index = create_yolo_tfrecord.convert(images, names, _prefix(folder), OPTIONS)
  found, content = _written(folder)
  assert found == {'a.jpg': BOXES, 'b.jpg': {}, 'sub/c.jpg': {}}
  assert [c['name'] for c in content['categories']] == ['dog', 'cat']
  assert index['num_records'] == 3 and not index['skipped']
  assert '2 images have no label file' in capsys.readouterr().out


def test_yolo_polygons_and_names_by_index(folder):
  images, names = _yolo(folder, '0 .2 .1 .6 .1 .6 .5 .2 .5\n',
                        '{0: dog, 1: cat}')
  index = create_yolo_tfrecord.convert(images, names, _prefix(folder), OPTIONS)
  found, content = _written(folder)
  assert found['a.jpg'] == {'dog': [10., 4., 20., 16.]}
  assert index['include_masks'] and content['annotations'][0]['area'] == 320


def test_yolo_shares_are_of_the_upright_image(folder):
  _save(folder / 'images' / 'a.jpg', orientation=6)
  images, names = _yolo(folder, '0 .5 .5 .2 .1\n')
  create_yolo_tfrecord.convert(images, names, _prefix(folder), OPTIONS)
  found, content = _written(folder)
  assert found['a.jpg'] == {'dog': [16., 22.5, 8., 5.]}
  assert {i['file_name']: (i['height'], i['width'])
          for i in content['images']}['a.jpg'] == (50, 40)


@pytest.mark.parametrize('text, message', [
    ('0 .5 .5 .1 .1\n2 .5 .5 .1 .1', 'a.txt, line 2: the class is 2, but the '
     r'list of classes has 2 name.*Complete the list \(dog, cat\)'),
    ('0 .5 .5 .1 .1 .9', 'line 1 has 6 numbers. Is the last one the score'),
    ('0 .5 .5 .1', 'line 1 has 4 numbers'),
    ('0, .5, .5, .1, .1', "line 1 has commas: '0, .5.* by spaces"),
    ('0 20 10 5 5', 'line 1 has the coordinate 20'),
    ('0 .5 nan .1 .1', "line 1: 'nan' is not a number"),
    ('cat .5 .5 .1 .1', "line 1: 'cat' is not a number")])
def test_yolo_lines_that_cannot_be_used(folder, text, message):
  images, names = _yolo(folder, text)
  with pytest.raises(ConversionError, match=message):
    create_yolo_tfrecord.convert(images, names, _prefix(folder), OPTIONS)


def test_yolo_files_that_cannot_be_used(folder):
  for names, message in (('{1: a}', 'the indices are'), ('', 'no list `names`'),
                         ('[a, b]\nnc: 3', 'nc is 3')):
    with pytest.raises(ConversionError, match=message):
      _yolo(folder, names=names)
  images, names = _yolo(folder)
  (folder / 'labels' / 'a.txt').unlink()
  with pytest.raises(ConversionError, match='None of 3 images has a label'):
    create_yolo_tfrecord.convert(images, names, _prefix(folder), OPTIONS)
  with pytest.raises(ConversionError, match="no key 'test'.*it has path, "):
    create_yolo_tfrecord.read_data_file(str(folder / 'data.yaml'), 'test')


def _corners(box):
  x, y, w, h = box
  return x, y, x + w, y + h


def _plain(folder, more=''):
  rows = ['filename,width,height,class,xmin,ymin,xmax,ymax']
  rows += ['a.jpg,50,40,%s,%s' % (name, ','.join(map(str, _corners(box))))
           for name, box in BOXES.items()]
  (folder / 'boxes.csv').write_text('\ufeff' + '\n'.join(rows + [more]),
                                    encoding='utf-8')
  return str(folder / 'boxes.csv')


def test_plain_table(folder):
  path = _plain(folder, 'b.jpg,,,,,,,')
  images = str(folder / 'images')
  index = create_csv_tfrecord.convert(path, images, _prefix(folder), OPTIONS)
  assert _written(folder)[0] == {'a.jpg': BOXES, 'b.jpg': {}}
  assert index['label_map'] == {1: 'cat', 2: 'dog'}
  create_csv_tfrecord.convert(path, images, _prefix(folder), OPTIONS,
                              all_images=True)
  assert _written(folder)[0] == {'a.jpg': BOXES, 'b.jpg': {}, 'sub/c.jpg': {}}


@pytest.mark.parametrize('row, message', [
    ('a.jpg,50,40,cat,1,2,x,4', "line 4: xmax: 'x' is not a number"),
    ('a.jpg,50,40,,1,2,3,4', 'line 4: class is empty'),
    ('a.jpg,50,41,cat,1,2,3,4', 'a.jpg is 50 x 41 here and 50 x 40'),
    ('a.jpg,50,40,cat,1,2,3', 'line 4 has 7 values for 8 columns')])
def test_lines_of_a_table_that_cannot_be_used(folder, row, message):
  with pytest.raises(ConversionError, match=message):
    create_csv_tfrecord.convert(_plain(folder, row), str(folder / 'images'),
                                _prefix(folder), OPTIONS)


def test_table_without_a_first_line_of_names(folder):
  (folder / 'boxes.csv').write_text('a.jpg,50,40,cat,1,2,3,4\n')
  with pytest.raises(ConversionError, match='names the columns.*xmin'):
    create_csv_tfrecord.convert(
        str(folder / 'boxes.csv'), str(folder / 'images'), _prefix(folder),
        OPTIONS)


def test_open_images(folder):
  rows = ['ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsGroupOf']
  for name, is_group in (('cat', 0), ('dog', 1)):
    x0, y0, x1, y1 = _corners(BOXES[name])
    rows.append('a,x,/m/%s,1,%s,%s,%s,%s,%d' % (
        name, x0 / 50, x1 / 50, y0 / 40, y1 / 40, is_group))
  (folder / 'boxes.csv').write_text('\n'.join(rows))
  (folder / 'names.csv').write_text('/m/cat,cat\n/m/dog,dog\n')
  create_csv_tfrecord.convert(
      str(folder / 'boxes.csv'), str(folder / 'images'), _prefix(folder),
      OPTIONS, class_descriptions=str(folder / 'names.csv'))
  found, content = _written(folder)
  assert found == {'a.jpg': BOXES}
  assert {a['category_id']: a['iscrowd'] for a in content['annotations']} == {
      1: 0, 2: 1}


def _labelme(folder, shapes, name='a', **more):
  (folder / 'images' / (name + '.json')).write_text(json.dumps(dict({
      'imagePath': 'C:\\work\\%s.jpg' % name, 'imageHeight': 40,
      'imageWidth': 50, 'shapes': shapes}, **more)))
  return str(folder / 'images')


def _png(mask):
  stream = io.BytesIO()
  Image.fromarray(mask).save(stream, 'PNG')
  return base64.b64encode(stream.getvalue()).decode()


def _shape(label, kind, points, **more):
  return dict({'label': label, 'shape_type': kind, 'points': points,
               'group_id': None}, **more)


def test_labelme(folder):
  x0, y0, x1, y1 = _corners(BOXES['cat'])
  path = _labelme(folder, [
      _shape('cat', 'rectangle', [[x1, y1], [x0, y0]]),
      _shape('dog', 'mask', [[5, 20], [15, 30]],
             mask=_png(np.full([10, 10], 255, np.uint8))),
      _shape('disc', 'circle', [[30, 30], [30, 35]]),
      _shape('pair', 'polygon', [[0, 0], [4, 0], [4, 4], [0, 4]], group_id=1),
      _shape('pair', 'polygon', [[6, 0], [9, 0], [9, 4], [6, 4]], group_id=1),
      _shape('path', 'line', [[0, 0], [4, 0]])])
  index = create_labelme_tfrecord.convert(path, _prefix(folder), OPTIONS)
  found, content = _written(folder)
  assert set(found) == {'a.jpg'}
  objects, = found.values()
  assert objects['cat'] == BOXES['cat'] and objects['dog'] == BOXES['dog']
  np.testing.assert_allclose(objects['disc'], [25, 25, 10, 10], atol=1.1)
  assert objects['pair'] == [0, 0, 9, 4]
  areas = {index['label_map'][a['category_id']]: a['area']
           for a in content['annotations']}
  assert areas['pair'] == 28
  assert [s['reason'] for s in index['skipped']] == ['shape without an area']


def test_labelme_file_with_the_image_inside(folder):
  data = base64.b64encode((folder / 'images' / 'a.jpg').read_bytes()).decode()
  path = _labelme(folder, [_shape('cat', 'rectangle', [[1, 2], [9, 8]])],
                  name='inside', imageData=data)
  index = create_labelme_tfrecord.convert(path, _prefix(folder), OPTIONS)
  assert index['num_records'] == 1 and index['num_objects'] == 1


@pytest.mark.parametrize('shape, message', [
    (_shape('', 'polygon', [[0, 0]]), r'shapes\[0\] has no label'),
    (_shape('a', 'polygon', [[0, 0]]), r'shapes\[0\]: a polygon has 3 points'),
    (_shape('a', 'rectangle', [[0, 0]]), 'a rectangle has 2 corners'),
    (_shape('a', 'polygon', [[0, 0], [1], [2, 2]]), r'points\[1\]'),
    (_shape('a', 'polygon', None), 'has no points'),
    (_shape('a', 'mask', [[0, 0], [1, 1]], mask='x'), 'mask is not an image'),
    (_shape('a', 'mask', [[45, 0], [60, 1]],
            mask=_png(np.ones([5, 15], np.uint8))), 'beyond the image')])
def test_labelme_shapes_that_cannot_be_used(folder, shape, message):
  with pytest.raises(ConversionError, match='a.json.*' + message):
    create_labelme_tfrecord.convert(_labelme(folder, [shape]),
                                    _prefix(folder), OPTIONS)


def test_json_of_another_program(folder):
  (folder / 'images' / 'a.json').write_text('[]')
  with pytest.raises(ConversionError, match='a.json is not a file of labelme'):
    create_labelme_tfrecord.convert(str(folder / 'images'), _prefix(folder),
                                    OPTIONS)


def _cvat(folder, shapes):
  (folder / 'cvat.xml').write_text(
      '<annotations><meta><task><labels><label><name>dog</name></label>'
      '<label><name>cat</name></label></labels></task></meta>'
      '<image id="0" name="a.jpg" width="50" height="40">%s</image>'
      '<image id="1" name="sub/c.jpg" width="50" height="40"/></annotations>'
      % shapes)
  return str(folder / 'cvat.xml'), str(folder / 'images')


def test_cvat(folder, capsys):
  runs = ','.join(['0', '100'])
  paths = _cvat(folder, '<box label="cat" xtl="10" ytl="4" xbr="30" ybr="20">'
                '<attribute name="age">3</attribute></box>'
                '<mask label="dog" left="5" top="20" width="10" height="10" '
                'rle="%s"/><points label="cat" points="1,2"/>' % runs)
  index = create_cvat_tfrecord.convert(
      *paths, _prefix(folder), OPTIONS._replace(include_masks=False))
  assert _written(folder)[0] == {'a.jpg': BOXES, 'sub/c.jpg': {}}
  assert index['label_map'] == {1: 'dog', 2: 'cat'}
  assert [s['reason'] for s in index['skipped']] == ['shape without an area']
  assert '1 attributes' in capsys.readouterr().out


def test_cvat_masks(folder):
  paths = _cvat(folder, '<mask label="dog" left="3" top="2" width="4" '
                'height="2" rle="1,2,2,3"/><ellipse label="cat" cx="20" '
                'cy="20" rx="10" ry="5"/><polygon label="cat" '
                'points="30,30;40,30;40,38"/>')
  create_cvat_tfrecord.convert(*paths, _prefix(folder), OPTIONS)
  areas = [a['area'] for a in _written(folder)[1]['annotations']]
  assert areas[0] == 5 and abs(areas[1] - np.pi * 50) < 10
  assert abs(areas[2] - 40) < 8


@pytest.mark.parametrize('shape, message', [
    ('<box label="cat" xtl="a" ytl="4" xbr="3" ybr="2"/>', "xtl: 'a' is not"),
    ('<box label="cow" xtl="1" ytl="1" xbr="3" ybr="2"/>', "the label 'cow'"),
    ('<polygon label="cat" points="1,2;3"/>', "points: '3' is not x,y"),
    ('<mask label="cat" left="0" top="0" width="2" height="2" rle="1,2"/>',
     'the runs of rle are 3 pixels, the mask has 4'),
    ('<mask label="cat" left="49" top="0" width="2" height="2" rle="4"/>',
     'beyond the image')])
def test_cvat_shapes_that_cannot_be_used(folder, shape, message):
  with pytest.raises(ConversionError, match="image 'a.jpg'.*" + message):
    create_cvat_tfrecord.convert(*_cvat(folder, shape), _prefix(folder),
                                 OPTIONS)


def test_cvat_for_video(folder):
  (folder / 'cvat.xml').write_text('<annotations><track/></annotations>')
  with pytest.raises(ConversionError, match='tracks of a video'):
    create_cvat_tfrecord.convert(str(folder / 'cvat.xml'),
                                 str(folder / 'images'), _prefix(folder),
                                 OPTIONS)


def test_images_without_annotations(folder):
  index = create_image_tfrecord.convert(str(folder / 'images'),
                                        _prefix(folder), OPTIONS)
  assert index['num_records'] == 3 and index['num_objects'] == 0
  assert sorted(index['shards'][0]['source_ids']) == [
      'a.jpg', 'b.jpg', 'sub/c.jpg']
  path = str(folder / 'out' / index['shards'][0]['file'])
  assert len(list(tf.io.tf_record_iterator(path))) == 3


def _box_names(folder, *names):
  """Path of a table in which each of these files has the object `cat`."""
  (folder / 'boxes.csv').write_bytes('\r\n'.join(
      ['filename,class,xmin,ymin,xmax,ymax'] + [
          '%s,cat,%g,%g,%g,%g' % ((name,) + _corners(BOXES['cat']))
          for name in names]).encode('utf-16'))
  return str(folder / 'boxes.csv')


def test_names_from_windows_and_the_web(folder, capsys):
  _save(folder / 'images' / 'sub' / 'd e.jpg')
  path = _box_names(folder, 'sub\\c.jpg', 'sub/c.jpg', 'C:\\my\\b.jpg',
                    'sub/d%20e.jpg')
  create_csv_tfrecord.convert(path, str(folder / 'images'), _prefix(folder),
                              OPTIONS)
  objects = {'cat': BOXES['cat']}
  assert _written(folder)[0] == {
      'sub/c.jpg': objects, 'b.jpg': objects, 'sub/d e.jpg': objects}
  assert 'backslashes are read as /' in capsys.readouterr().out


def test_cvat_names_and_an_editor_that_saves_utf16(folder):
  path, images = _cvat(folder, '')
  text = (folder / 'cvat.xml').read_text().replace('sub/c.jpg', 'sub\\c.jpg')
  (folder / 'cvat.xml').write_bytes(
      ('<?xml version="1.0" encoding="utf-8"?>' + text).encode('utf-16'))
  create_cvat_tfrecord.convert(path, images, _prefix(folder), OPTIONS)
  assert _written(folder)[0] == {'a.jpg': {}, 'sub/c.jpg': {}}
  (folder / 'cvat.xml').write_text(text.replace('id="1"', 'id="0"'))
  with pytest.raises(ConversionError, match="id '0': a.jpg and sub/c.jpg"):
    create_cvat_tfrecord.convert(path, images, _prefix(folder), OPTIONS)


def test_cvat_rotation(folder):
  paths = _cvat(folder, '<box label="cat" xtl="10" ytl="10" xbr="30" ybr="20" '
                'rotation="90"/><box label="dog" xtl="10" ytl="10" xbr="20" '
                'ybr="20" rotation="0.0"/>')
  create_cvat_tfrecord.convert(*paths, _prefix(folder), OPTIONS)
  assert _written(folder)[0]['a.jpg'] == {
      'cat': [15., 5., 10., 20.], 'dog': [10., 10., 10., 10.]}
  paths = _cvat(folder, '<ellipse label="cat" cx="20" cy="20" rx="10" ry="5" '
                'rotation="90"/>')
  create_cvat_tfrecord.convert(*paths, _prefix(folder), OPTIONS)
  assert _written(folder)[0]['a.jpg'] == {'cat': [15., 10., 10., 20.]}


def test_groups_of_open_images(folder):
  header = 'ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf\n'
  for text, expected in (('1', 1), ('1.0', 1), ('True', 1), ('0', 0),
                         ('-1', 0), ('', 0)):
    (folder / 'boxes.csv').write_text(
        header + 'a,cat,.1,.5,.1,1.00004,%s\n' % text)
    create_csv_tfrecord.convert(str(folder / 'boxes.csv'), str(
        folder / 'images'), _prefix(folder), OPTIONS)
    objects = _written(folder)[1]['annotations']
    assert [a['iscrowd'] for a in objects] == [expected]
  (folder / 'boxes.csv').write_text(header + 'a,cat,.1,.5,.1,.5,many\n')
  with pytest.raises(ConversionError, match="IsGroupOf: 'many' is not 0 or 1"):
    create_csv_tfrecord.convert(str(folder / 'boxes.csv'), str(
        folder / 'images'), _prefix(folder), OPTIONS)


def test_two_columns_of_one_name(folder):
  (folder / 'boxes.csv').write_text(
      'filename,class,xmin,ymin,xmax,ymax,Class\na.jpg,cat,1,2,3,4,dog\n')
  with pytest.raises(ConversionError, match='two columns have the name class'):
    create_csv_tfrecord.convert(str(folder / 'boxes.csv'), str(
        folder / 'images'), _prefix(folder), OPTIONS)


def test_yolo_files_from_windows(folder, capsys):
  images, names = _yolo(folder)
  (folder / 'labels' / 'a.txt').rename(folder / 'labels' / 'a.TXT')
  (folder / 'labels' / 'lost.txt').write_text('0 .5 .5 .1 .1\n')
  (folder / 'data.yaml').write_bytes(
      'train: images\\\nnc: "2"\nnames: {"0": dog, 1: cat}\n'.encode('utf-16'))
  images, names = create_yolo_tfrecord.read_data_file(
      str(folder / 'data.yaml'), 'train')
  create_yolo_tfrecord.convert(images, names, _prefix(folder), OPTIONS)
  assert _written(folder)[0]['a.jpg'] == BOXES
  assert '1 label file(s) without an image' in capsys.readouterr().out
  (folder / 'train.txt').write_text(
      'images\\a.jpg\n./images/a.jpg\nimages/sub%2Fc.jpg\n')
  (folder / 'data.yaml').write_text('train: train.txt\nnames: [dog, cat]\n')
  images, _ = create_yolo_tfrecord.read_data_file(
      str(folder / 'data.yaml'), 'train')
  assert [name for _, name in images] == ['images/a.jpg', 'images/sub/c.jpg']


def test_labels_of_another_split_are_not_reported(folder, capsys):
  _yolo(folder)
  (folder / 'labels' / 'b.txt').write_text('0 .5 .5 .1 .1\n')
  create_yolo_tfrecord.convert([(str(folder / 'images'), 'a.jpg')],
                               ['dog', 'cat'], _prefix(folder), OPTIONS)
  assert 'label file' not in capsys.readouterr().out


def test_yolo_images_that_share_a_label_file(folder, capsys):
  _save(folder / 'images' / 'a.png')
  images, names = _yolo(folder)
  create_yolo_tfrecord.convert(images, names, _prefix(folder), OPTIONS)
  assert 'a.jpg and a.png have the same label file' in capsys.readouterr().out


def test_yolo_boxes_at_the_border(folder):
  """Six digits may say that a box ends just beyond the image."""
  images, names = _yolo(folder, '0 .500001 .5 1.000000 .200000\n')
  create_yolo_tfrecord.convert(images, names, _prefix(folder), OPTIONS)
  assert _written(folder)[0]['a.jpg'] == {'dog': [0., 16., 50., 8.]}


@pytest.mark.parametrize('names', ['[yes, b]', '[a, ~]', '[a, [b]]', '[a, ""]'])
def test_yolo_names_that_yaml_reads_as_something_else(folder, names):
  with pytest.raises(ConversionError, match='names: the name of class'):
    _yolo(folder, names=names)


def test_yolo_classes_are_counted_by_lines(folder):
  (folder / 'classes.txt').write_text('\ufeffcat\n\ndog\n', encoding='utf-8')
  with pytest.raises(ConversionError, match='line 2: the name of class 1'):
    create_yolo_tfrecord.read_classes(str(folder / 'classes.txt'))
  (folder / 'classes.txt').write_text('cat\ndog\n\n')
  assert create_yolo_tfrecord.read_classes(
      str(folder / 'classes.txt')) == ['cat', 'dog']


def test_labelme_files_that_name_the_image_of_another(folder, capsys):
  shapes = [_shape('cat', 'rectangle', [[10, 4], [30, 20]])]
  path = _labelme(folder, shapes)
  for name, image in (('b', 'a.jpg'), ('a', '')):
    content = json.loads((folder / 'images' / 'a.json').read_text())
    content['imagePath'] = image
    (folder / 'images' / (name + '.json')).write_text(json.dumps(content))
  create_labelme_tfrecord.convert(path, _prefix(folder), OPTIONS)
  assert set(_written(folder)[0]) == {'a.jpg', 'b.jpg'}
  content['imagePath'] = 'a.jpg'
  (folder / 'images' / 'a.json').write_text(json.dumps(content))
  create_labelme_tfrecord.convert(path, _prefix(folder), OPTIONS)
  assert set(_written(folder)[0]) == {'a.jpg', 'b.jpg'}
  assert 'b.json names a.jpg, and b.jpg is used' in capsys.readouterr().out


def test_labelme_kinds_that_are_no_text(folder):
  index = create_labelme_tfrecord.convert(_labelme(folder, [
      _shape('cat', ['polygon'], [[1, 1], [5, 1], [5, 5]]),
      _shape('cat', 'polygon', [['1', 1], [5, 1], [5, 5]])]), _prefix(folder),
                                          OPTIONS)
  assert index['num_objects'] == 1
  assert index['skipped'][0]['reason'] == 'shape without an area'


def test_hidden_folders(tmp_path, monkeypatch):
  for name in ('.data/a.jpg', '.data/.git/x/b.jpg', '.data/c/d.jpg'):
    _save(tmp_path / name)
  names, _ = source_set.walk_images(str(tmp_path / '.data'))
  assert names == ['a.jpg', 'c/d.jpg']
  monkeypatch.chdir(tmp_path / '.data')
  assert source_set.walk_images('.')[0] == names


def test_yolo_folder_with_a_backslash(tmp_path):
  """On this system it is a sign like others."""
  assert yolo_labels.label_path('/a\\b/images/c.jpg') == (
      '/a\\b/labels/c.txt')


def test_yolo_list_of_another_place(folder, tmp_path):
  """Its ids do not tell where the images were; the names come from YAML."""
  _yolo(folder)
  path = tmp_path / 'lists' / 'part.txt'
  path.parent.mkdir()
  path.write_text('%s\n' % (folder / 'images' / 'a.jpg'))
  images = create_yolo_tfrecord._images_of(str(path))
  names = create_yolo_tfrecord.read_classes(str(folder / 'data.yaml'))
  create_yolo_tfrecord.convert(images, names, _prefix(folder), OPTIONS)
  found, _ = _written(folder)
  assert found == {'a.jpg': BOXES}


@pytest.mark.parametrize('arguments, times', [
    (['--data={yaml}'], 1), (['--data={yaml}', '--classes={yaml}'], 1),
    (['--images={images}', '--classes={yaml}'], 1),
    (['--images={images}', '--classes={classes}'], 0)])
def test_a_data_yaml_is_parsed_once(folder, monkeypatch, arguments, times):
  """Of thousands of classes it takes seconds."""
  _yolo(folder)
  (folder / 'classes.txt').write_text('dog\ncat\n')
  parsed, load = [], create_yolo_tfrecord.yaml.safe_load
  monkeypatch.setattr(create_yolo_tfrecord.yaml, 'safe_load',
                      lambda text: parsed.append(text) or load(text))
  values = flags.FlagValues()
  create_yolo_tfrecord.define_flags(values)
  values(['x', '--output=%s' % _prefix(folder)] + [a.format(
      yaml=folder / 'data.yaml', images=folder / 'images',
      classes=folder / 'classes.txt') for a in arguments])
  create_yolo_tfrecord.main(values)
  assert len(parsed) == times
  assert _written(folder)[0]['a.jpg'] == BOXES


def _pose_line(index, box, size, points=((.1, .2), (.9, .8))):
  """A box, and points in it, each with its visibility if size is 3."""
  x, y, w, h = box
  shares = [value for i, (px, py) in enumerate(points)
            for value in ((x + px * w) / SIZE[1], (y + py * h) / SIZE[0],
                          2 - i)[:size]]
  return _yolo_line(index, box)[:-1] + ''.join(' %g' % s for s in shares) + '\n'


def _converted(folder, text, **options):
  images, names = _yolo(folder, text)
  create_yolo_tfrecord.convert(images, names, _prefix(folder), OPTIONS,
                               **options)
  return _written(folder)[0]['a.jpg']


@pytest.mark.parametrize('size', [2, 3])
def test_boxes_before_keypoints(folder, size):
  text = ''.join(_pose_line(i, BOXES[name], size)
                 for i, name in enumerate(('dog', 'cat')))
  # A line may have no keypoints.
  both = text + _yolo_line(1, BOXES['cat'])
  assert _converted(folder, both, keypoints=(2, size)) == BOXES
  with pytest.raises(ConversionError, match='like a box and 2 keypoint.*'
                     r'kpt_shape: \[2, %d\].*--keypoints=2,%d' % (size, size)):
    _converted(folder, text * 5)
  with pytest.raises(ConversionError, match='line 1 has %d numbers; with 5 ' % (
      5 + 2 * size)):
    _converted(folder, text, keypoints=(5, size))


def test_large_boxes_before_keypoints(folder):
  """Width and height could be a corner among the keypoints."""
  box = [10., 8., 30., 24.]
  text = _pose_line(0, box, 2, [(.1, .1), (.9, .9), (.5, .2)])
  with pytest.raises(ConversionError, match='looks like a box and 3 keypoint'):
    _converted(folder, text * 10)


@pytest.mark.parametrize('lines', [
    # Rotated rectangles, where they could be boxes with keypoints.
    '0 .4 .4 .5 .4 .5 .5 .4 .5\n' * 20,
    '0 .4 .45 .45 .4 .5 .45 .45 .5\n' * 20,
    # Quadrilaterals all over the image.
    ''.join('0 %g %g %g %g %g %g %g %g\n' % (
        x, .1, x + .12, .12, x + .1, .22, x, .2)
            for x in np.linspace(.05, .85, 20)),
    # Triangles, and polygons of several lengths.
    '0 .1 .1 .3 .1 .3 .3\n0 .7 .7 .9 .7 .9 .9\n',
    '0 .2 .1 .6 .1 .6 .5 .2 .5\n0 .2 .1 .6 .1 .6 .5\n'],
                         ids=['upright', 'rotated', 'quadrilaterals',
                              'triangles', 'lengths'])
def test_polygons_are_not_taken_for_keypoints(folder, lines):
  images, names = _yolo(folder, lines)
  index = create_yolo_tfrecord.convert(images, names, _prefix(folder), OPTIONS)
  assert index['num_objects'] == lines.count('\n')


def test_what_looks_like_keypoints_may_be_polygons(folder):
  text = _pose_line(0, BOXES['dog'], 2)
  assert _converted(folder, text, keypoints=(0, 2))['dog'] != BOXES['dog']


@pytest.mark.parametrize('shape, expected', [
    ('[17, 3]', (17, 3)), ('["2", 2.0]', (2, 2)), ('[0, 2]', (0, 2)),
    ('', None)])
def test_shape_of_keypoints(folder, shape, expected):
  _yolo(folder, names='[a]\nkpt_shape: %s' % shape)
  path = str(folder / 'data.yaml')
  assert create_yolo_tfrecord.read_keypoints(path) == expected
  assert create_yolo_tfrecord.read_keypoints('classes.txt') is None
  for wrong in ('17', '[17]', '[2, 4]', '[a, 3]', '[-1, 2]'):
    (folder / 'data.yaml').write_text('names: [a]\nkpt_shape: ' + wrong)
    with pytest.raises(ConversionError, match='kpt_shape is'):
      create_yolo_tfrecord.read_keypoints(path)


@pytest.mark.parametrize('in_file', [False, True])
def test_keypoints_of_a_list_of_images(folder, in_file):
  """As tools.split_data writes it; what is known comes with the classes."""
  _yolo(folder, _pose_line(0, BOXES['dog'], 3),
        names='[dog]' + '\nkpt_shape: [2, 3]' * in_file)
  (folder / 'part.txt').write_text('images/a.jpg\n')
  values = flags.FlagValues()
  create_yolo_tfrecord.define_flags(values)
  values(['x', '--images=%s' % (folder / 'part.txt'), '--num_shards=1',
          '--classes=%s' % (folder / 'data.yaml'),
          '--output=%s' % _prefix(folder)]
         + ['--keypoints=2,3'] * (not in_file))
  create_yolo_tfrecord.main(values)
  assert _written(folder)[0] == {'images/a.jpg': {'dog': BOXES['dog']}}


@pytest.mark.parametrize('image, label', [
    ('images/a.jpg', 'images/a.txt'), ('images/set/a.jpg', 'images/set/a.txt'),
    ('a.jpg', 'labels/a.txt'), ('photos/x/a.jpg', 'labels/x/a.txt'),
    ('images/x/a.jpg', 'labels/x/a.TXT')])
def test_places_of_yolo_labels(tmp_path, image, label):
  """Of labelImg among others; `images` may be a folder around the set."""
  _save(tmp_path / image)
  (tmp_path / label).parent.mkdir(parents=True, exist_ok=True)
  (tmp_path / label).write_text(_yolo_line(0, BOXES['dog']))
  create_yolo_tfrecord.convert([(str(tmp_path), image)], ['dog'],
                               _prefix(tmp_path), OPTIONS)
  assert _written(tmp_path)[0][image] == {'dog': BOXES['dog']}
  assert create_yolo_tfrecord.classes_of(str(tmp_path / image)) == {'0': 1}
  # Where YOLO looks goes first.
  first = yolo_labels.label_path(str(tmp_path / image))
  if not label.endswith('.TXT') and first != str(tmp_path / label):
    os.makedirs(os.path.dirname(first), exist_ok=True)
    with open(first, 'w') as f:
      f.write('')
    assert not create_yolo_tfrecord.classes_of(str(tmp_path / image))


def test_yolo_folders_with_equal_names(folder, capsys):
  for name in ('b', 'b/sub'):
    (folder / name / 'images').mkdir(parents=True)
    _save(folder / name / 'images' / 'a.jpg')
  _yolo(folder)
  (folder / 'b' / 'labels').mkdir()
  (folder / 'b' / 'labels' / 'a.txt').write_text(
      _yolo_line(0, BOXES['dog']))
  (folder / 'data.yaml').write_text(
      'train: [images, b/images, ./images]\nval: b/sub/images\n'
      'names: [dog, cat]\n')
  images, names = create_yolo_tfrecord.read_data_file(
      str(folder / 'data.yaml'), 'train')
  assert '3 images are in several of the folders' in capsys.readouterr().out
  create_yolo_tfrecord.convert(images, names, _prefix(folder), OPTIONS)
  found, _ = _written(folder)
  assert found['images/a.jpg'] == BOXES
  assert found['b/images/a.jpg'] == {'dog': BOXES['dog']}
  assert sorted(found) == ['b/images/a.jpg', 'images/a.jpg', 'images/b.jpg',
                           'images/sub/c.jpg']


@pytest.mark.parametrize('by_file', [False, True])
def test_yolo_images_that_are_all_background(folder, by_file, capsys):
  """Those of val have no object, as the label files of train lie right."""
  _save(folder / 'images' / 'val' / 'd.jpg')
  _yolo(folder)
  source = str(folder / ('data.yaml' if by_file else 'images/val'))
  images = [(str(folder / 'images' / 'val'), 'd.jpg')]
  def convert():
    create_yolo_tfrecord.convert(images, ['dog', 'cat'], _prefix(folder),
                                 OPTIONS, source=source)
  convert()
  assert _written(folder)[0] == {'d.jpg': {}}
  assert '1 images have no label file' in capsys.readouterr().out
  (folder / 'labels' / 'valid').mkdir()
  (folder / 'labels' / 'valid' / 'd.txt').write_text('0 .5 .5 .1 .1\n')
  with pytest.raises(ConversionError, match='But there is .*valid/d.txt'):
    convert()


def test_yolo_paths_of_another_computer(folder, capsys):
  _yolo(folder)
  path = folder / 'data.yaml'
  for entry in ('/home/joe/set/images/sub', 'C:\\joe\\set\\images\\sub'):
    path.write_text("train: '%s'\nnames: [a]\n" % entry)
    images, _ = create_yolo_tfrecord.read_data_file(str(path), 'train')
    assert [name for _, name in images] == ['c.jpg']
    assert 'there is no' in capsys.readouterr().out
  path.write_text('train: /home/joe/images\nnames: [a]\n')
  with pytest.raises(ConversionError, match='there is no /home/joe/images'):
    create_yolo_tfrecord.read_data_file(str(path), 'train')


def test_yolo_labels_are_not_told_to_be_unused(folder, capsys):
  (folder / 'images' / 'a.txt').write_text('0 .5 .5 .1 .1\n')
  (folder / 'images' / 'notes.pdf').write_text('')
  create_yolo_tfrecord._images_of(str(folder / 'images'))
  assert '1 files in %s are not used' % (
      folder / 'images') in capsys.readouterr().out


def test_yolo_lists_of_another_computer(folder):
  (folder / 'train.txt').write_text('data/images/sub/c.jpg\n')
  images = create_yolo_tfrecord._images_of(str(folder / 'train.txt'))
  assert images == [(str(folder), 'images/sub/c.jpg')]
  (folder / 'train.txt').write_text('data/images/gone.jpg\n')
  with pytest.raises(ConversionError, match='None of the 1 images in the list'):
    create_yolo_tfrecord._images_of(str(folder / 'train.txt'))
