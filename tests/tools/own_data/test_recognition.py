"""Recognition of data sets by their files."""

import json

import numpy as np
from PIL import Image
import pytest

from tests import voc_files
from tools.datasets import image_names
from tools.own_data import layouts
from tools.own_data import plan
from tools.own_data import recognition

RecognitionError = layouts.RecognitionError


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
  assert layouts.split_of(name) == split


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


def _write(path, content):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.mark.parametrize('name, content, message', [
    ('a.json', {'shapes': []}, 'labelme.*create_labelme_tfrecord'),
    ('via.json', {'a.jpg1': {'filename': 'a.jpg', 'regions': []}}, 'VIA.*COCO'),
    ('_annotations.csv', 'filename,width,height,class,xmin,ymin,xmax,ymax\n',
     'a table.*create_csv_tfrecord'),
    ('x.createml.json', [{'image': 'a.jpg', 'annotations': []}], 'CreateML'),
    ('result.json', [{'data': {}, 'annotations': []}], 'Label Studio'),
    ('a.jpg.json', {'size': {}, 'objects': []}, 'Supervisely'),
    ('a.xml', '<annotations/>', 'CVAT.*create_cvat_tfrecord'),
    ('person_keypoints.json', {'images': [], 'annotations': [
        {'keypoints': [1, 1, 2]}]}, 'only with `keypoints`'),
    ('all.json', {'images': [], 'annotations': []}, 'annotations` is empty')])
def test_annotations_of_another_command(tmp_path, name, content, message):
  """Not taken for images of the classes train and val."""
  for split in ('train', 'val'):
    _image(tmp_path / split / 'a.jpg')
    _write(tmp_path / split / name, content)
  with pytest.raises(RecognitionError, match=message):
    recognition.recognise(str(tmp_path))


def test_annotations_next_to_class_folders(tmp_path):
  for name in ('cat', 'dog'):
    _image(tmp_path / name / 'a.jpg')
    _write(tmp_path / name / 'a.json', {'shapes': []})
  with pytest.raises(RecognitionError, match='labelme.*--model=classification'):
    recognition.recognise(str(tmp_path))
  found = recognition.recognise(str(tmp_path), model='classification')
  assert found.kind == 'class folders'


def test_cvat_with_its_images(tmp_path):
  """Not an annotation of VOC."""
  _image(tmp_path / 'images' / 'a.jpg')
  _write(tmp_path / 'annotations.xml', '<annotations/>')
  with pytest.raises(RecognitionError, match='CVAT.*create_cvat_tfrecord'):
    recognition.recognise(str(tmp_path))


@pytest.mark.parametrize('names', [
    ('train', 'val'), ('train2017', 'test'), ('images', 'masks'),
    ('train', 'cat'), ('Training set', 'validation_set'), ('JPEGImages', 'gt')])
def test_parts_of_a_set_are_no_classes(tmp_path, names):
  for i, name in enumerate(names):
    _image(tmp_path / name / ('%d.jpg' % i))
  with pytest.raises(RecognitionError, match='such names are not classes'):
    recognition.recognise(str(tmp_path))
  with pytest.raises(RecognitionError, match='such names are not classes'):
    recognition.recognise(str(tmp_path), model='classification')


def test_class_folders_among_others(tmp_path):
  for name in ('bus', 'car', 'train', 'test_tube'):
    _image(tmp_path / name / 'a.jpg')
  assert recognition.recognise(str(tmp_path)).kind == 'class folders'
  _image(tmp_path / 'masks' / 'b.jpg')
  with pytest.raises(RecognitionError, match='bus and car, and masks and trai'):
    recognition.recognise(str(tmp_path), model='classification')


def test_one_class(tmp_path):
  _image(tmp_path / 'cat' / 'a.jpg')
  with pytest.raises(RecognitionError, match='one class folder, cat'):
    recognition.recognise(str(tmp_path))
  for split in ('train', 'val'):
    _image(tmp_path / 'set' / split / 'cat' / 'a.jpg')
  with pytest.raises(RecognitionError, match='one class folder, cat'):
    recognition.recognise(str(tmp_path / 'set'))


def test_label_maps_with_a_suffix(tmp_path):
  for kind, label in (('images', 'a.png'), ('masks', 'a_mask.png')):
    _mask(tmp_path / 'two' / kind / label, [0, 1])
  found = recognition.recognise(str(tmp_path / 'two'))
  assert found.kind == 'label maps'
  for split in ('train', 'valid'):
    _image(tmp_path / 'one' / split / 'a.jpg')
    _mask(tmp_path / 'one' / split / 'a_mask.png', [0, 1])
  found = recognition.recognise(str(tmp_path / 'one'))
  assert found.kind == 'label maps' and found.has_splits
  with pytest.raises(RecognitionError, match='in one folder.*own'):
    recognition.recognise(str(tmp_path / 'one' / 'train'))


def test_label_maps_that_lose_their_values(tmp_path):
  for kind in ('images', 'masks'):
    _image(tmp_path / kind / 'a.jpg')
  with pytest.raises(RecognitionError, match='JPEG.*masks/a.jpg.*as PNG'):
    recognition.recognise(str(tmp_path))


@pytest.mark.parametrize('name', [
    'images\\a.jpg', '/label-studio/data/upload/1/a.jpg', 'https://x.y/a.jpg',
    'export/images/a.jpg', '../images/a.jpg', 'a%2Ejpg'])
def test_names_of_images_as_the_converter_reads_them(tmp_path, name):
  _coco(tmp_path / 'result.json', [name])
  _image(tmp_path / 'images' / 'a.jpg')
  found = recognition.recognise(str(tmp_path))
  assert found.kind == 'COCO'
  folder = found.splits['all']['images']
  assert image_names.is_file(folder, image_names.meant(folder, [name])[0][name])


def test_coco_files_with_entries_of_other_kinds(tmp_path):
  (tmp_path / 'all.json').write_text(json.dumps({
      'images': [None, {'file_name': 3}, {'file_name': 'a.jpg'}],
      'annotations': [None, {}, {'bbox': [0, 0, 2, 2]}]}))
  _image(tmp_path / 'a.jpg')
  found = recognition.recognise(str(tmp_path))
  assert found.splits['all']['images'] == str(tmp_path)


def test_yolo_labels_next_to_images(tmp_path):
  """As labelImg leaves them, with the classes among them."""
  _yolo(tmp_path, label='images/a.txt')
  (tmp_path / 'images' / 'classes.txt').write_text('cat\n')
  (tmp_path / 'other').mkdir()
  found = recognition.recognise(str(tmp_path))
  assert found.kind == 'YOLO'
  assert found.splits == {'all': {'images': str(tmp_path / 'images')}}
  assert found.classes == str(tmp_path / 'images' / 'classes.txt')


def test_yolo_labels_are_no_class_folders(tmp_path):
  for name in ('cam0', 'cam1'):
    _yolo(tmp_path, name + '/a.jpg', name + '/a.txt')
  (tmp_path / 'classes.txt').write_text('cat\n')
  found = recognition.recognise(str(tmp_path))
  assert found.kind == 'YOLO'
  assert found.splits == {'all': {'images': str(tmp_path)}}


def test_folders_around_splits_are_no_set(tmp_path):
  for split in ('train', 'val'):
    _yolo(tmp_path, 'set/%s/a.jpg' % split, 'set/%s/a.txt' % split)
  (tmp_path / 'set' / 'classes.txt').write_text('cat\n')
  assert recognition.recognise(str(tmp_path)).has_splits


def test_yolo_splits_with_subfolders(tmp_path):
  for split in ('train', 'val'):
    _yolo(tmp_path, 'images/%s/cam0/a.jpg' % split,
          'labels/%s/cam0/a.txt' % split)
  (tmp_path / 'classes.txt').write_text('cat\n')
  found = recognition.recognise(str(tmp_path))
  assert found.kind == 'YOLO' and found.has_splits


@pytest.mark.parametrize('label', [None, ''])
def test_yolo_val_without_objects(tmp_path, label):
  """Without label files, or with empty ones, it is evaluated all the same."""
  _yolo(tmp_path, 'images/train/a.jpg', 'labels/train/a.txt')
  _image(tmp_path / 'images' / 'val' / 'b.jpg')
  (tmp_path / 'classes.txt').write_text('cat\n')
  if label is not None:
    _write(tmp_path / 'labels' / 'val' / 'b.txt', label)
  found = recognition.recognise(str(tmp_path))
  assert found.splits['val'] == {'images': str(tmp_path / 'images' / 'val')}


@pytest.mark.parametrize('line, is_yolo', [
    ('0.0 0.5 0.5 0.2 0.2', True), ('0 1.0E-01 5e-1 2E-1 0.2', True),
    ('0 .5 .5 .2', False), ('0.5 .5 .5 .2 .2', False), ('a dog', False),
    ('Car 0.00 0 1.57 599 156', False), ('-1 .5 .5 .2 .2', False)])
def test_lines_of_yolo(tmp_path, line, is_yolo):
  _yolo(tmp_path)
  (tmp_path / 'labels' / 'a.txt').write_text(line + '\n')
  (tmp_path / 'classes.txt').write_text('cat\n')
  if is_yolo:
    assert recognition.recognise(str(tmp_path)).kind == 'YOLO'
  else:
    with pytest.raises(RecognitionError, match='nothing was recognised'):
      recognition.recognise(str(tmp_path))


def test_classes_of_darknet(tmp_path):
  for split in ('train', 'valid'):
    _yolo(tmp_path, split + '/a.jpg', split + '/a.txt')
    (tmp_path / split / '_darknet.labels').write_text('cat\ndog\n')
  found = recognition.recognise(str(tmp_path))
  assert found.classes == str(tmp_path / 'train' / '_darknet.labels')
  (tmp_path / 'valid' / '_darknet.labels').write_text('dog\ncat\n')
  with pytest.raises(RecognitionError, match='name different classes'):
    recognition.recognise(str(tmp_path))


def test_data_yaml_that_is_not_yaml(tmp_path):
  _yolo(tmp_path)
  (tmp_path / 'classes.txt').write_text('cat\n')
  (tmp_path / 'other.yaml').write_text('a: [\n')
  assert recognition.recognise(str(tmp_path)).kind == 'YOLO'
  (tmp_path / 'data.yaml').write_text('train: images\n\tnames: [a]\n')
  with pytest.raises(RecognitionError, match='data.yaml is not YAML'):
    recognition.recognise(str(tmp_path))


@pytest.mark.parametrize('name, content, message', [
    ('cam0/a.txt', 'Car 0.00 0 1.57', 'cam0/a.txt has the name of an image'),
    ('cam0/a.xml', '<annotation/>', 'a.xml has .* Pascal VOC: give its folder'),
    ('meta/all.json', {'images': [], 'annotations': [{'bbox': []}]},
     'all.json has .* COCO: give its folder or file')])
def test_annotations_in_places_that_are_not_read(tmp_path, name, content,
                                                 message):
  """They are not silently left out, with the folders as classes."""
  for folder in ('cam0', 'cam1'):
    _image(tmp_path / folder / 'a.jpg')
  _write(tmp_path / name, content)
  with pytest.raises(RecognitionError, match=message + '.*=classification'):
    recognition.recognise(str(tmp_path))
  found = recognition.recognise(str(tmp_path), model='classification')
  assert found.kind == 'class folders'


def test_images_for_evaluation_without_annotations(tmp_path):
  _image(tmp_path / 'images' / 'train' / 'a.jpg')
  _mask(tmp_path / 'masks' / 'train' / 'a.png', [0, 1])
  _image(tmp_path / 'images' / 'val' / 'b.jpg')
  found = recognition.recognise(str(tmp_path))
  assert sorted(found.splits) == ['train']
  assert 'images/val is not used' in found.notes[0]


def _coco_set(folder):
  _coco(folder / 'all.json')
  _image(folder / 'images' / 'a.jpg')


def _yolo_set(folder):
  for split in ('train', 'val'):
    _yolo(folder, 'images/%s/a.jpg' % split, 'labels/%s/a.txt' % split)
  (folder / 'classes.txt').write_text('cat\n')


def _label_map_set(folder):
  _image(folder / 'images' / 'a.jpg')
  _mask(folder / 'masks' / 'a.png', [0, 1])


def _class_set(folder):
  for name in ('cat', 'dog'):
    _image(folder / name / 'a.jpg')


def _divided_class_set(folder):
  _class_set(folder / 'train')
  _class_set(folder / 'val')


_SETS = {'COCO': _coco_set, 'VOC': voc_files.write, 'YOLO': _yolo_set,
         'label maps': _label_map_set, 'class folders': _class_set,
         'class folders, divided': _divided_class_set}


@pytest.mark.parametrize('name', sorted(_SETS))
@pytest.mark.parametrize('others', [[], ['docs/a.pdf', '.git/x',
                                         'code/src/main.py']])
def test_a_folder_around_the_data(tmp_path, name, others):
  """Next to which other folders may lie; which one is used is told."""
  place = tmp_path / 'download' / 'dataset_v2'
  place.mkdir(parents=True)
  _SETS[name](place)
  for other in others:
    _write(tmp_path / 'download' / other, 'x')
  found = recognition.recognise(str(tmp_path))
  assert found.kind == name.split(',')[0]
  assert found.has_splits == recognition.recognise(str(place)).has_splits
  assert found.notes[0].startswith('%s is used, the only folder in %s' % (
      place, tmp_path))
  assert all(str(place) in path for parts in found.splits.values()
             for path in parts.values() if '/' in path)
  assert not recognition.recognise(str(place)).notes


@pytest.mark.parametrize('name', sorted(_SETS))
def test_several_folders_that_may_be_meant(tmp_path, name):
  for place in ('old set', 'v2'):
    (tmp_path / place).mkdir()
    _SETS[name](tmp_path / place)
  with pytest.raises(RecognitionError) as error:
    recognition.recognise(str(tmp_path))
  lines = str(error.value).splitlines()
  assert lines[1:3] == [
      "  python -m tools.train_on --data='%s/old set' ...  # %s" % (
          tmp_path, name.split(',')[0]),
      '  python -m tools.train_on --data=%s/v2 ...  # %s' % (
          tmp_path, name.split(',')[0])]
  assert ('themselves the classes' in lines[-1]) == name.startswith('class')


def test_a_set_next_to_what_cannot_be_used(tmp_path):
  _label_map_set(tmp_path / 'good')
  _yolo(tmp_path / 'other')  # Without a list of its classes.
  found = recognition.recognise(str(tmp_path))
  assert found.kind == 'label maps'
  assert 'passed over: %s/other holds labels of YOLO' % tmp_path in (
      found.notes[-1])
  (tmp_path / 'good' / 'masks' / 'a.png').unlink()
  with pytest.raises(RecognitionError, match='no list of the classes'):
    recognition.recognise(str(tmp_path))


@pytest.mark.parametrize('part', ['val', 'test', 'set_for_test'])
def test_what_is_judged_by_is_not_trained_on(tmp_path, part):
  _label_map_set(tmp_path / part)
  _write(tmp_path / 'train' / 'notes.txt', 'x')
  with pytest.raises(RecognitionError):
    plan.Plan(recognition.recognise(str(tmp_path)), plan.Options(
        str(tmp_path), None, None, 1, 'out', 0, None, []))


def test_a_class_with_folders_is_not_the_set(tmp_path):
  """Of cat/a, cat/b and dog, not a and b are the classes."""
  for name in ('cat/a', 'cat/b', 'dog'):
    _image(tmp_path / name / '1.jpg')
  with pytest.raises(RecognitionError, match='also images in dog'):
    recognition.recognise(str(tmp_path))


def test_images_one_folder_below_their_class(tmp_path):
  for name in ('cat', 'dog'):
    for split in ('train', 'val'):
      _image(tmp_path / split / name / 'images' / 'a.jpg')
  assert recognition.recognise(str(tmp_path)).has_splits
  found = recognition.recognise(str(tmp_path / 'train'))
  assert found.splits == {'all': {'folder': str(tmp_path / 'train')}}
  _write(tmp_path / 'train' / 'cat' / 'images' / 'a.txt', 'Car 0.00 0 1.57')
  with pytest.raises(RecognitionError, match='has the name of an image next'):
    recognition.recognise(str(tmp_path / 'train'))
