"""Tests of tools/create_voc_tfrecord.py."""

import glob
import os

from absl import flags
import pytest
import tensorflow.compat.v1 as tf

from dataloader import records
from evaluation import annotations as annotations_lib
from tests import voc_files
from tools import create_voc_tfrecord
from tools.datasets import coco_record_writer
from tools.datasets import conversion_flags
from utils import label_map as label_maps

_OPTIONS = coco_record_writer.Options(num_shards=2, num_processes=1)
_IDS = {'Platelets': 1, 'RBC': 2, 'WBC': 3}
_FIRST, _SECOND = 'BloodImage_00000', 'BloodImage_00001'


@pytest.fixture(name='voc')
def _voc(tmp_path):
  """A set of 4 training and 3 validation images with 3 objects each."""
  voc_files.write(tmp_path / 'voc')
  return tmp_path / 'voc'


def _convert(voc, split='train', options=_OPTIONS, **more):
  return create_voc_tfrecord.convert(
      str(voc), split, str(voc.parent / 'out' / 'train'), options, **more)


def _features(voc):
  """{source id: features} of the written records."""
  features = {}
  for path in glob.glob(str(voc.parent / 'out' / 'train-*.tfrecord')):
    for record in tf.io.tf_record_iterator(path):
      values = tf.train.Example.FromString(record).features.feature
      features[values['image/source_id'].bytes_list.value[0].decode()] = values
  return features


def _objects(features):
  """[(class id, [xmin, ymin, xmax, ymax] in pixels of 64 x 48, is_crowd)]."""
  sides = [features['image/object/bbox/' + side].float_list.value
           for side in ('xmin', 'ymin', 'xmax', 'ymax')]
  boxes = [[round(v * size, 3) for v, size in zip(box, (64, 48, 64, 48))]
           for box in zip(*sides)]
  return list(zip(features['image/object/class/label'].int64_list.value, boxes,
                  features['image/object/is_crowd'].int64_list.value))


def _replace(voc, old, new, name=_FIRST, count=-1):
  """Changes the text of an annotation."""
  path = voc / 'Annotations' / (name + '.xml')
  text = path.read_text()
  assert old in text
  path.write_text(text.replace(old, new, count))


def _box(*corners):
  return ('<xmin>%s</xmin><ymin>%s</ymin><xmax>%s</xmax><ymax>%s</ymax>'
          % corners)


def _set_objects(voc, *objects, name=_FIRST):
  """Replaces the objects of an annotation by (class, corners, more XML)."""
  text = (voc / 'Annotations' / (name + '.xml')).read_text()
  head = text[:text.index('<object>')]
  (voc / 'Annotations' / (name + '.xml')).write_text(head + ''.join(
      '<object><name>%s</name><bndbox>%s</bndbox>%s</object>'
      % (class_name, _box(*corners), ''.join(more))
      for class_name, corners, *more in objects) + '</annotation>')


def test_records(voc):
  """Classes from 1 on in alphabetical order, boxes as they stand."""
  _set_objects(voc, ('WBC', (3, 4, 20, 30)), ('Platelets', (1, 1, 64, 48)),
               ('RBC', (5.5, 6, 7, 9)))
  index = _convert(voc)
  assert (index['num_records'], index['num_objects']) == (4, 12)
  assert index['label_map'] == {i: name for name, i in _IDS.items()}
  assert not index['skipped'] and not index['notes']
  assert not index['include_masks']
  features = _features(voc)
  assert sorted(features) == ['BloodImage_%05d' % i for i in range(4)]
  assert _objects(features[_FIRST]) == [
      (3, [3, 4, 20, 30], 0), (1, [1, 1, 64, 48], 0), (2, [5.5, 6, 7, 9], 0)]
  assert features[_FIRST]['image/filename'].bytes_list.value[0] == (
      b'BloodImage_00000.jpg')
  content = (voc / 'JPEGImages' / (_FIRST + '.jpg')).read_bytes()
  assert features[_FIRST]['image/encoded'].bytes_list.value[0] == content


def test_boxes_without_an_area_are_left_out_and_named(voc, capsys):
  """As BloodImage_00338 and 00343 of BCCD have them."""
  _set_objects(voc, ('RBC', (5, 6, 7, 9)), ('RBC', (50, 33, 50, 33)))
  index = _convert(voc)
  assert _objects(_features(voc)[_FIRST]) == [(2, [5, 6, 7, 9], 0)]
  skip, = index['skipped']
  assert (skip['image'], skip['reason']) == (_FIRST, 'box without an area')
  assert ('Left out 1 object (box without an area): image BloodImage_00000'
          in capsys.readouterr().out)


def test_balance_of_the_classes_is_told(voc, capsys):
  _set_objects(voc, ('RBC', (5, 6, 7, 9)), ('RBC', (50, 33, 55, 39)))
  _convert(voc)
  assert 'Objects of each class: RBC 5, Platelets 3, WBC 3.' in (
      capsys.readouterr().out)


@pytest.mark.parametrize('split, count', [('train', 4), ('val', 3), (None, 7)])
def test_class_ids_do_not_depend_on_the_split(voc, split, count):
  """WBC occurs in one image of val only."""
  for i in range(6):
    _set_objects(voc, ('RBC', (5, 6, 7, 9)), ('Platelets', (5, 6, 7, 9)),
                 name='BloodImage_%05d' % i)
  index = _convert(voc, split)
  assert index['num_records'] == count
  assert index['label_map'] == {1: 'Platelets', 2: 'RBC', 3: 'WBC'}


def test_label_map_of_other_spelling(voc):
  index = _convert(voc, label_map={4: 'rbc', 5: 'wbc', 6: 'platelets'})
  assert index['num_objects_by_class'] == {4: 4, 5: 4, 6: 4}
  assert len(index['notes']) == 3
  assert label_maps.read_label_map(
      str(voc.parent / 'out' / 'train-label_map.csv')) == {
          4: 'rbc', 5: 'wbc', 6: 'platelets'}


def test_two_spellings_of_a_class_are_told(voc):
  _set_objects(voc, ('rbc', (5, 6, 7, 9)))
  index = _convert(voc)
  assert len(index['label_map']) == 4
  assert "'RBC' and 'rbc' are different classes here" in index['notes'][0]


def test_the_path_of_the_authors_does_not_matter(voc):
  """<path> is one of their computer; <filename> is of this set."""
  _replace(voc, '/home/someone/%s.jpg' % _FIRST, '/etc/passwd')
  assert _convert(voc)['num_records'] == 4


@pytest.mark.parametrize('filename', ['', _FIRST, 'renamed.jpg',
                                      _FIRST + '.png'])
def test_image_called_like_the_annotation(voc, filename):
  """Where <filename> is missing or wrong."""
  _replace(voc, '<filename>%s.jpg<' % _FIRST, '<filename>%s<' % filename)
  assert _convert(voc)['num_records'] == 4


@pytest.mark.parametrize('name', ['../../outside.jpg', '{parent}/outside.jpg'])
def test_an_image_outside_of_the_folder_is_not_read(voc, name):
  first = voc / 'JPEGImages' / (_FIRST + '.jpg')
  first.rename(voc.parent / 'outside.jpg')
  _replace(voc, '<filename>%s.jpg<' % _FIRST,
           '<filename>%s<' % name.format(parent=voc.parent))
  index = _convert(voc)
  assert index['num_records'] == 3
  skip, = index['skipped']
  assert 'outside.jpg leads out of the folder' in skip['detail']


def test_missing_image_is_named(voc):
  (voc / 'JPEGImages' / (_FIRST + '.jpg')).unlink()
  index = _convert(voc)
  assert index['num_records'] == 3
  skip, = index['skipped']
  assert skip['kind'] == 'image' and _FIRST + '.jpg' in skip['detail']


@pytest.mark.parametrize('size, num_records', [
    ('<size><width>0</width><height>0</height></size>', 4), ('', 4),
    ('<size><width>64.0</width><height>48</height></size>', 4),
    ('<size><width>48</width><height>64</height></size>', 3)])
def test_size(voc, size, num_records):
  """Taken from the image where the annotation has none."""
  _replace(voc, '<size><width>64</width><height>48</height><depth>3</depth>'
           '</size>', size)
  assert _convert(voc)['num_records'] == num_records


def _difficult(voc):
  _set_objects(voc, ('RBC', (5, 6, 7, 9), '<difficult>1</difficult>'),
               ('RBC', (50, 33, 55, 39), '<difficult>0</difficult>'))


@pytest.mark.parametrize('difficult, crowds', [
    ('keep', [0, 0]), ('crowd', [1, 0]), ('skip', [0])])
def test_difficult_objects(voc, difficult, crowds):
  _difficult(voc)
  index = _convert(voc, difficult=difficult)
  assert [o[2] for o in _objects(_features(voc)[_FIRST])] == crowds
  assert index['notes'] == ['1 objects are marked difficult: --difficult=%s.'
                            % difficult]


def test_the_mark_difficult_reaches_the_metrics(voc):
  """In the annotations and in the records, as far as the latter are read."""
  _difficult(voc)
  _convert(voc)
  feature = _features(voc)[_FIRST]['image/object/difficult']
  assert list(feature.int64_list.value) == [1, 0]
  others = [f for name, f in _features(voc).items() if name != _FIRST]
  assert not any('image/object/difficult' in f for f in others)
  prefix = str(voc.parent / 'out' / 'train')
  for content in (prefix + '-annotations.json',
                  records.read_groundtruth(prefix + '-*.tfrecord')):
    assert annotations_lib.load(content).is_difficult.sum() == 1


def test_image_without_objects(voc):
  _set_objects(voc)
  index = _convert(voc)
  assert (index['num_records'], index['num_images_without_objects']) == (4, 1)


def test_lists_of_single_classes(voc):
  """Such as aeroplane_train.txt: -1 behind images that lack the class."""
  (voc / 'ImageSets' / 'Main' / 'RBC_train.txt').write_text(
      'BloodImage_00001  1\nBloodImage_00002 -1\n\n')
  assert _convert(voc, 'RBC_train')['num_records'] == 2


def test_repeated_line_counts_once(voc):
  path = voc / 'ImageSets' / 'Main' / 'train.txt'
  path.write_text(path.read_text() + _FIRST + '\n')
  index = _convert(voc)
  assert (index['num_records'], index['num_objects']) == (4, 12)
  assert '1 lines of train.txt repeat an image' in index['notes'][0]


def test_names_with_blanks(voc):
  for folder, end in (('Annotations', '.xml'), ('JPEGImages', '.jpg')):
    os.rename(str(voc / folder / (_FIRST + end)),
              str(voc / folder / ('my cells 1' + end)))
  (voc / 'ImageSets' / 'Main' / 'mine.txt').write_text('my cells 1\n')
  _convert(voc, 'mine')
  assert list(_features(voc)) == ['my cells 1']


def test_same_files_whatever_the_number_of_processes(voc):
  contents = []
  for count in (1, 2):
    _convert(voc, options=_OPTIONS._replace(num_processes=count))
    contents.append({p.name: p.read_bytes()
                     for p in (voc.parent / 'out').iterdir()})
  assert contents[0] == contents[1] and len(contents[0]) == 5


@pytest.mark.parametrize('text, message', [
    ('<annotation>', 'BloodImage_00000.xml is not XML'),
    ('<?xml version="1.0" encoding="martian"?><annotation/>',
     'BloodImage_00000.xml is not XML'),
    ('<annotation><object><bndbox/></object></annotation>',
     'object in BloodImage_00000.xml has no name'),
    ('<annotation><size><width>wide</width></size></annotation>',
     "<size> in BloodImage_00000.xml: 'width' is not a number of pixels"),
    ('<html/>', 'not an annotation of Pascal VOC: its root is <html>'),
])
def test_annotation_that_cannot_be_used_is_named(voc, text, message):
  (voc / 'Annotations' / (_FIRST + '.xml')).write_text(text)
  with pytest.raises(ValueError, match=message):
    _convert(voc)


def test_corner_that_is_no_number(voc):
  _set_objects(voc, ('RBC', (5, 6, 'far', 9)))
  skip, = _convert(voc)['skipped']
  assert skip['reason'] == 'box that is not four numbers'


def test_annotation_that_is_missing(voc):
  (voc / 'Annotations' / (_FIRST + '.xml')).unlink()
  with pytest.raises(ValueError, match='1 images of the split train .*'
                     'BloodImage_00000.xml'):
    _convert(voc)


def test_split_that_is_missing(voc):
  with pytest.raises(ValueError, match='no .*test.txt. The splits are: train, '
                     'val.'):
    _convert(voc, 'test')


def test_folder_that_is_no_voc(voc):
  with pytest.raises(ValueError, match='no .xml file in .*Annotations'):
    _convert(voc.parent)


def test_masks_are_not_in_the_annotations(voc):
  with pytest.raises(ValueError, match='no object has one'):
    _convert(voc, options=_OPTIONS._replace(include_masks=True))


def _run(*arguments):
  """Runs the program in this process."""
  values = flags.FlagValues()
  create_voc_tfrecord.define_flags(values)
  rest = values(['program'] + list(arguments))[1:]
  conversion_flags.call(create_voc_tfrecord.main, values, rest)


def test_command(voc, capsys):
  _difficult(voc)
  (voc.parent / 'labels.csv').write_text('1:RBC\n2:WBC\n3:Platelets\n')
  _run('--data_dir=%s' % voc, '--split=val', '--output=%s' % (
      voc.parent / 'out' / 'train'), '--num_shards=3', '--difficult=skip',
       '--num_processes=1', '--label_map=%s' % (voc.parent / 'labels.csv'))
  assert 'Wrote 3 records with 9 objects of 3 classes to 3 shards.' in (
      capsys.readouterr().out)
  assert _objects(_features(voc)['BloodImage_00004'])[0][0] == 1


@pytest.mark.parametrize('arguments, message', [
    ([], 'Give --data_dir=FOLDER'), (['--data_dir=x', '--output=y'],
                                     'no .xml file in x/Annotations'),
    (['--data_dir', 'x', 'y'], "Unexpected argument 'y'")])
def test_wrong_command_is_one_message(arguments, message):
  with pytest.raises(SystemExit) as error:
    _run(*arguments)
  assert error.value.code.startswith('Error: ') and message in error.value.code


def _copy_filename(voc):
  """The second annotation names the image of the first."""
  _replace(voc, '<filename>%s.jpg<' % _SECOND, '<filename>%s.jpg<' % _FIRST,
           _SECOND)


def test_image_of_the_annotation_goes_before_a_copied_filename(voc):
  _copy_filename(voc)
  index = _convert(voc)
  assert index['num_records'] == 4
  content = (voc / 'JPEGImages' / (_SECOND + '.jpg')).read_bytes()
  assert _features(voc)[_SECOND]['image/encoded'].bytes_list.value[0] == content
  assert '%s.xml names %s.jpg, and %s.jpg is used' % (
      _SECOND, _FIRST, _SECOND) in index['notes'][0]


def test_annotation_of_an_image_of_another_is_left_out(voc):
  _copy_filename(voc)
  (voc / 'JPEGImages' / (_SECOND + '.jpg')).unlink()
  index = _convert(voc)
  assert (index['num_records'], index['num_objects']) == (3, 9)
  skip, = index['skipped']
  assert skip['image'] == _SECOND and 'of another annotation' in skip['reason']


def test_what_other_systems_leave(voc):
  """Hidden files of macOS, of Windows a mark before the text; brackets."""
  (voc / 'Annotations' / ('._%s.xml' % _FIRST)).write_bytes(b'\0\5\x16\7')
  (voc / 'JPEGImages' / ('._%s.jpg' % _FIRST)).write_bytes(b'\0\5\x16\7')
  (voc / 'JPEGImages' / 'Thumbs.db').write_bytes(b'x')
  for path in (voc / 'ImageSets' / 'Main' / 'train.txt',
               voc / 'Annotations' / (_FIRST + '.xml')):
    path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes())
  os.rename(str(voc), str(voc.parent / 'set [v2]'))
  index = create_voc_tfrecord.convert(
      str(voc.parent / 'set [v2]'), 'train', str(voc.parent / 'out' / 'train'),
      _OPTIONS)
  assert (index['num_records'], index['skipped']) == (4, [])


def test_names_in_lists_of_other_programs(voc):
  for folder, end in (('Annotations', '.xml'), ('JPEGImages', '.jpg')):
    os.rename(str(voc / folder / (_FIRST + end)),
              str(voc / folder / ('my cells' + end)))
  (voc / 'ImageSets' / 'Main' / 'mine.txt').write_text(
      'my cells -1\n%s.jpg\nC:\\x\\BloodImage_00002.jpg 1\n' % _SECOND)
  assert _convert(voc, 'mine')['num_records'] == 3
  assert sorted(_features(voc)) == [_SECOND, 'BloodImage_00002', 'my cells']


@pytest.mark.parametrize('mark, crowds', [
    ('1', 1), (' 1 ', 1), ('1.0', 1), ('0', 0), ('', 0), ('Unspecified', 0)])
def test_marks_of_difficult_objects(voc, mark, crowds):
  _set_objects(voc, ('RBC', (5, 6, 7, 9),
                     '<difficult>%s</difficult>' % mark))
  _convert(voc, difficult='crowd')
  assert [o[2] for o in _objects(_features(voc)[_FIRST])] == [crowds]


def test_mark_that_means_nothing(voc):
  _set_objects(voc, ('RBC', (5, 6, 7, 9), '<difficult>very</difficult>'))
  with pytest.raises(ValueError, match=_FIRST + r".xml: 'very' is not 0 or 1"):
    _convert(voc)


def test_folders_and_a_list_elsewhere(voc, tmp_path):
  """The same records as by the names of VOC's own folders."""
  path = tmp_path / 'part-train.txt'
  path.write_text((voc / 'ImageSets' / 'Main' / 'train.txt').read_text())
  source = create_voc_tfrecord.Source(
      str(voc / 'Annotations'), str(voc / 'JPEGImages'), str(path))
  assert create_voc_tfrecord.source_of(str(voc), 'train')._replace(
      list=str(path)) == source
  index = create_voc_tfrecord.convert_source(
      source, str(tmp_path / 'listed'), coco_record_writer.Options())
  usual = create_voc_tfrecord.convert(
      str(voc), 'train', str(tmp_path / 'usual'), coco_record_writer.Options())
  assert index['num_objects_by_class'] == usual['num_objects_by_class']
  assert index['num_records'] == usual['num_records'] > 0


def test_subfolders(voc):
  """All images count, those in a folder as well as the rest."""
  for folder, ending in (('Annotations', '.xml'), ('JPEGImages', '.jpg')):
    (voc / folder / 'cam0').mkdir()
    (voc / folder / (_FIRST + ending)).rename(
        voc / folder / 'cam0' / (_FIRST + ending))
  assert _convert(voc, None)['num_records'] == 7
  assert _objects(_features(voc)['cam0/' + _FIRST])
  # The list names the file alone.
  assert _convert(voc)['num_records'] == 4
