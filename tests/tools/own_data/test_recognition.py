"""Recognition of data sets by their files."""

import json

import numpy as np
from PIL import Image
import pytest

from tests import voc_files
from tools.own_data import plan
from tools.own_data import recognition

RecognitionError = recognition.RecognitionError


def _image(path, size=(8, 6)):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(np.zeros(size + (3,), np.uint8)).save(str(path))


def _mask(path, values):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(np.array([values], np.uint8)).save(str(path))


def _coco(path, names=('a.jpg',)):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(json.dumps({
      'images': [{'id': i, 'file_name': n} for i, n in enumerate(names)],
      'annotations': [{'id': 1, 'image_id': 0, 'category_id': 1,
                       'bbox': [0, 0, 2, 2]}],
      'categories': [{'id': 1, 'name': 'x'}]}))


@pytest.mark.parametrize('name, split', [
    ('instances_train2017.json', 'train'), ('val2014', 'val'),
    ('valid', 'val'), ('Validation', 'val'), ('test', 'test'),
    ('training', 'train'), ('my_dev.json', 'val'), ('trains', None),
    ('straining', None), ('interval', None), ('latest.json', None)])
def test_names_of_splits(name, split):
  assert recognition.split_of(name) == split


def test_coco_file(tmp_path):
  _coco(tmp_path / 'all.json')
  _image(tmp_path / 'images' / 'a.jpg')
  found = recognition.recognise(str(tmp_path / 'all.json'))
  assert found.kind == 'COCO' and not found.has_splits
  assert found.splits['all']['images'] == str(tmp_path / 'images')


def test_coco_folder_as_published(tmp_path):
  for split in ('train', 'val'):
    _coco(tmp_path / 'annotations' / ('instances_%s2017.json' % split))
    _coco(tmp_path / 'annotations' / ('person_keypoints_%s2017.json' % split))
    _image(tmp_path / (split + '2017') / 'a.jpg')
  found = recognition.recognise(str(tmp_path))
  assert found.has_splits
  for split in ('train', 'val'):
    assert found.splits[split] == {
        'annotations': str(tmp_path / 'annotations'
                           / ('instances_%s2017.json' % split)),
        'images': str(tmp_path / (split + '2017'))}


def test_coco_as_exported(tmp_path):
  """A folder for each split, its file and its images within."""
  for split in ('train', 'valid', 'test'):
    _coco(tmp_path / 'set' / split / '_annotations.coco.json')
    _image(tmp_path / 'set' / split / 'a.jpg')
  found = recognition.recognise(str(tmp_path))
  assert sorted(found.splits) == ['test', 'train', 'val']
  assert found.splits['val']['images'] == str(tmp_path / 'set' / 'valid')


def test_coco_files_about_the_same_images(tmp_path):
  _coco(tmp_path / 'b_clean.json')
  _coco(tmp_path / 'b.json')
  _image(tmp_path / 'a.jpg')
  found = recognition.recognise(str(tmp_path))
  assert found.splits['all']['annotations'] == str(tmp_path / 'b.json')
  assert 'same images' in found.notes[0]
  _coco(tmp_path / 'c.json', ['a.jpg', 'z.jpg'])
  with pytest.raises(RecognitionError, match='several COCO files'):
    recognition.recognise(str(tmp_path))


def test_coco_without_its_images(tmp_path):
  _coco(tmp_path / 'all.json')
  with pytest.raises(RecognitionError, match=r'a\.jpg.*--images'):
    recognition.recognise(str(tmp_path))
  found = recognition.recognise(str(tmp_path), images='elsewhere')
  assert found.splits['all']['images'] == 'elsewhere'


def test_voc(tmp_path):
  voc_files.write(tmp_path)
  found = recognition.recognise(str(tmp_path))
  assert found.kind == 'VOC' and found.has_splits
  (tmp_path / 'ImageSets' / 'Main' / 'val.txt').unlink()
  assert sorted(recognition.recognise(str(tmp_path)).splits) == ['all']


@pytest.mark.parametrize('names, divided', [
    (('trainval', 'test'), 'trainval'), (('train', 'test'), 'train'),
    (('train', 'trainval', 'test'), 'trainval')])
def test_a_test_list_of_voc_is_left_alone(tmp_path, names, divided):
  voc_files.write(tmp_path)
  lists = tmp_path / 'ImageSets' / 'Main'
  members = (lists / 'train.txt').read_text()
  for path in lists.iterdir():
    path.unlink()
  for name in names:
    (lists / (name + '.txt')).write_text(members)
  found = recognition.recognise(str(tmp_path))
  assert list(found.splits) == ['all']
  assert found.splits['all']['among'] == str(lists / (divided + '.txt'))
  assert 'others are left alone' in found.notes[0]
  options = plan.Options(str(tmp_path), None, None, 1, str(tmp_path / 'out'), 0,
                         None, [])
  assert '--list=%s' % (lists / (divided + '.txt')) in plan.Plan(
      found, options).stages[0].arguments
  for name in set(names) - {'test'}:
    (lists / (name + '.txt')).unlink()
  with pytest.raises(RecognitionError, match=r'only test\.txt'):
    recognition.recognise(str(tmp_path))


def test_voc_lists_and_another_folder_of_images(tmp_path):
  voc_files.write(tmp_path / 'set')
  (tmp_path / 'set' / 'JPEGImages').rename(tmp_path / 'photos')
  found = recognition.recognise(str(tmp_path / 'set'), str(tmp_path / 'photos'))
  assert found.has_splits
  assert found.splits['val'] == {
      'annotations': str(tmp_path / 'set' / 'Annotations'),
      'images': str(tmp_path / 'photos'),
      'list': str(tmp_path / 'set' / 'ImageSets' / 'Main' / 'val.txt')}


def test_voc_in_subfolders(tmp_path):
  (tmp_path / 'Annotations' / 'cam0').mkdir(parents=True)
  (tmp_path / 'Annotations' / 'cam0' / 'a.xml').write_text('<annotation/>')
  _image(tmp_path / 'JPEGImages' / 'cam0' / 'a.jpg')
  assert recognition.recognise(str(tmp_path)).kind == 'VOC'


@pytest.mark.parametrize('annotations', ['Annotations', 'annotations', 'xmls'])
def test_voc_folders_of_splits(tmp_path, annotations):
  for split in ('train', 'val'):
    path = tmp_path / annotations / split / 'a.xml'
    path.parent.mkdir(parents=True)
    path.write_text('<annotation/>')
    _image(tmp_path / 'images' / split / 'a.jpg')
  found = recognition.recognise(str(tmp_path))
  assert found.kind == 'VOC' and found.has_splits
  assert found.splits['val'] == {
      'annotations': str(tmp_path / annotations / 'val'),
      'images': str(tmp_path / 'images' / 'val')}
  (tmp_path / annotations / 'train').rename(tmp_path / annotations / 'test')
  with pytest.raises(RecognitionError, match='no folder train'):
    recognition.recognise(str(tmp_path))


def test_voc_annotations_outside_of_the_only_split(tmp_path):
  for name in ('a', 'test/b'):
    _image(tmp_path / (name + '.jpg'))
    (tmp_path / (name + '.xml')).write_text('<annotation/>')
  with pytest.raises(RecognitionError, match='move those to train on into'):
    recognition.recognise(str(tmp_path))


def test_voc_as_exported(tmp_path):
  voc_files.write(tmp_path / 'source')
  for split in ('train', 'valid'):
    _image(tmp_path / 'set' / split / 'a.jpg')
    (tmp_path / 'set' / split / 'a.xml').write_text('<annotation/>')
  found = recognition.recognise(str(tmp_path / 'set'))
  assert found.kind == 'VOC' and found.has_splits
  assert found.splits['train'] == {'annotations': str(tmp_path / 'set/train'),
                                   'images': str(tmp_path / 'set/train')}


def _yolo(folder, image='images/a.jpg', label='labels/a.txt'):
  _image(folder / image)
  (folder / label).parent.mkdir(exist_ok=True, parents=True)
  (folder / label).write_text('0 0.5 0.5 0.2 0.2\n')


def test_yolo_folders(tmp_path):
  _yolo(tmp_path)
  with pytest.raises(RecognitionError, match=r'classes\.txt'):
    recognition.recognise(str(tmp_path))
  (tmp_path / 'classes.txt').write_text('cat\n')
  found = recognition.recognise(str(tmp_path))
  assert found.kind == 'YOLO' and found.classes
  assert found.splits == {'all': {'images': str(tmp_path / 'images')}}


def test_names_of_a_data_yaml_without_images(tmp_path):
  _yolo(tmp_path)
  (tmp_path / 'data.yaml').write_text('nc: 1\nnames: [cat]\n')
  found = recognition.recognise(str(tmp_path))
  assert found.kind == 'YOLO'
  assert found.classes == str(tmp_path / 'data.yaml')
  with pytest.raises(RecognitionError, match='no key `train`'):
    recognition.recognise(str(tmp_path / 'data.yaml'))


def test_yolo_in_subfolders(tmp_path):
  for name in ('patient1', 'patient2'):
    _yolo(tmp_path, 'images/%s/a.jpg' % name, 'labels/%s/a.txt' % name)
  (tmp_path / 'classes.txt').write_text('cat\n')
  found = recognition.recognise(str(tmp_path))
  assert found.kind == 'YOLO'
  assert found.splits == {'all': {'images': str(tmp_path / 'images')}}


def test_the_folder_around_is_named(tmp_path):
  _yolo(tmp_path)
  (tmp_path / 'classes.txt').write_text('cat\n')
  with pytest.raises(RecognitionError, match='But %s holds YOLO: give' % (
      tmp_path)):
    recognition.recognise(str(tmp_path / 'images'))


def test_yolo_labels_that_are_all_empty(tmp_path):
  _yolo(tmp_path)
  (tmp_path / 'classes.txt').write_text('cat\n')
  (tmp_path / 'labels' / 'a.txt').write_text('')
  with pytest.raises(RecognitionError, match='labels: .* are empty'):
    recognition.recognise(str(tmp_path))


@pytest.mark.parametrize('inside', ['images/%s/a.jpg', '%s/images/a.jpg'])
def test_yolo_splits(tmp_path, inside):
  for split in ('train', 'val'):
    image = inside % split
    _yolo(tmp_path, image,
          image.replace('images', 'labels').replace('.jpg', '.txt'))
  (tmp_path / 'classes.txt').write_text('cat\n')
  found = recognition.recognise(str(tmp_path))
  assert found.kind == 'YOLO' and found.has_splits


def test_data_yaml(tmp_path):
  path = tmp_path / 'data.yaml'
  path.write_text('train: images\nval: images\nnames: [cat]\n')
  found = recognition.recognise(str(path))
  assert list(found.splits) == ['all'] and 'same images' in found.notes[0]
  path.write_text('train: a\nval: b\ntest:\nnames: [cat]\n')
  found = recognition.recognise(str(tmp_path))
  assert sorted(found.splits) == ['train', 'val']


@pytest.mark.parametrize('labels', ['masks', 'labels', 'annotations'])
def test_label_maps(tmp_path, labels):
  _image(tmp_path / 'images' / 'a.jpg')
  _mask(tmp_path / labels / 'a.png', [0, 255])
  found = recognition.recognise(str(tmp_path))
  assert found.kind == 'label maps'
  assert found.splits['all']['labels'] == str(tmp_path / labels)


def test_class_folders(tmp_path):
  for name in ('cat', 'dog'):
    _image(tmp_path / 'pets' / name / 'a.jpg')
  found = recognition.recognise(str(tmp_path))  # A folder around them.
  assert found.kind == 'class folders'
  assert found.splits == {'all': {'folder': str(tmp_path / 'pets')}}


def test_class_folders_with_splits(tmp_path):
  for split in ('train', 'valid'):
    for name in ('cat', 'dog'):
      _image(tmp_path / split / name / 'a.jpg')
  found = recognition.recognise(str(tmp_path))
  assert found.kind == 'class folders' and found.has_splits


def test_nothing(tmp_path):
  (tmp_path / 'notes.txt').write_text('x')
  with pytest.raises(RecognitionError, match='Looked for'):
    recognition.recognise(str(tmp_path))
  with pytest.raises(RecognitionError, match='there is no file'):
    recognition.recognise(str(tmp_path / 'gone'))
  with pytest.raises(RecognitionError, match='neither a COCO file'):
    recognition.recognise(str(tmp_path / 'notes.txt'))


def test_a_model_decides(tmp_path):
  """VOC has boxes and label maps of the same images."""
  voc_files.write(tmp_path)
  for image in (tmp_path / 'JPEGImages').iterdir():
    _mask(tmp_path / 'SegmentationClass' / (image.stem + '.png'), [0, 1])
  assert recognition.recognise(str(tmp_path)).kind == 'VOC'
  found = recognition.recognise(str(tmp_path), model='segmentation')
  assert found.kind == 'label maps'
