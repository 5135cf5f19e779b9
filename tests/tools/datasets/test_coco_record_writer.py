"""Tests of tools/datasets/coco_record_writer.py."""

import functools
import json
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import records
from evaluation import annotations as annotations_lib
from tests.tools import coco_sets
from tools.datasets import coco_record_writer
from tools.datasets import written_order
from utils import label_map as label_maps

Options = coco_record_writer.Options


def _load(folder, image):
  with open(os.path.join(folder, image['file_name']), 'rb') as f:
    return f.read()


@pytest.fixture(name='write')
def _write(tmp_path):
  """Writes a set to tmp_path/out/train; returns the index."""
  _, images = coco_sets.write(tmp_path / 'source')

  def write(dataset=None, folder='out', load=None, label_map=None, **options):
    options = Options(**dict({'num_shards': 2, 'num_processes': 1,
                              'shuffle_seed': None}, **options))
    return coco_record_writer.write_dataset(
        dataset or coco_sets.dataset(), str(tmp_path / folder / 'train'),
        load or functools.partial(_load, images), options, label_map)
  return write


def _contents(folder):
  return {p.name: p.read_bytes() for p in folder.iterdir()}


def _examples(path):
  return [tf.train.Example.FromString(r).features.feature
          for r in tf.io.tf_record_iterator(str(path))]


def _ids(path):
  return [f['image/source_id'].bytes_list.value[0].decode()
          for f in _examples(path)]


def _many(count):
  """A set of images without objects."""
  return {'images': [{'id': i, 'file_name': 'a.jpg'} for i in range(count)],
          'annotations': [], 'categories': [{'id': 1, 'name': 'disc'}]}


def _size(folder, shard):
  return (folder / ('train-%05d-of-00002.tfrecord' % shard)).stat().st_size


def test_files_and_index(write, tmp_path, capsys):
  index = write()
  out = tmp_path / 'out'
  assert sorted(_contents(out)) == [
      'train-00000-of-00002.tfrecord', 'train-00001-of-00002.tfrecord',
      'train-annotations.json', 'train-index.json', 'train-label_map.csv']
  # As JSON, whose keys are text.
  stored = json.loads((out / 'train-index.json').read_text())
  assert stored == json.loads(json.dumps(index))
  assert stored == {
      'num_records': 3, 'num_objects': 4, 'max_num_objects': 3,
      'num_images_without_objects': 1, 'num_images_over_100_objects': 0,
      'num_objects_by_class': {'1': 3, '3': 1},
      'num_objects_by_size': {'small': 3, 'medium': 0, 'large': 0},
      'include_masks': True, 'cut_masks': False, 'category_id_shift': 0,
      'label_map': {'1': 'disc', '3': 'Box'},
      'notes': ['1 image: opaque alpha channel, left out on reading (b.png)'],
      'shards': [
          {'file': 'train-00000-of-00002.tfrecord', 'num_records': 2,
           'source_ids': ['7', '12'], 'num_bytes': _size(out, 0)},
          {'file': 'train-00001-of-00002.tfrecord', 'num_records': 1,
           'source_ids': ['scan/b'], 'num_bytes': _size(out, 1)}],
      'skipped': [], 'cut': []}
  assert label_maps.read_label_map(str(out / 'train-label_map.csv')) == {
      1: 'disc', 3: 'Box'}
  for shard in index['shards']:
    assert _ids(out / shard['file']) == shard['source_ids']
  assert 'Wrote 3 records with 4 objects of 2 classes and their masks' in (
      capsys.readouterr().out)


def test_annotations_are_those_of_the_records(write, tmp_path):
  """Evaluation from the file and from the records: the same ground truth."""
  write()
  pattern = str(tmp_path / 'out' / 'train-*.tfrecord')
  with open(str(tmp_path / 'out' / 'train-annotations.json')) as f:
    from_file = annotations_lib.load(json.load(f), include_mask=True)
  from_records = annotations_lib.load(
      records.read_groundtruth(pattern, include_mask=True), include_mask=True)
  for ground_truth in (from_file, from_records):
    assert sorted(ground_truth.image_ids, key=str) == [12, 7, 'scan/b']
    assert ground_truth.category_names == ['disc', 'Box']

  def rows(ground_truth):
    return sorted(zip(
        [str(ground_truth.image_ids[i]) for i in ground_truth.images],
        ground_truth.categories.tolist(), ground_truth.areas.tolist(),
        ground_truth.is_crowds.tolist(),
        ground_truth.boxes.round(3).tolist(),
        [rle['counts'] for rle in ground_truth.rles]))
  assert rows(from_file) == rows(from_records)
  assert len(from_file.rles) == 4


def test_records_go_round_the_shards(write, tmp_path):
  write(_many(7), num_shards=3)
  assert [_ids(tmp_path / 'out' / ('train-%05d-of-00003.tfrecord' % i))
          for i in range(3)] == [['0', '3', '6'], ['1', '4'], ['2', '5']]


def test_records_are_written_in_random_order(write, tmp_path):
  """Place and number have nothing to do with each other, at any time."""
  def written(folder, **options):
    index = write(_many(1000), folder=folder, **options)
    return [int(i) for shard in index['shards'] for i in shard['source_ids']]
  ids = written('a', num_shards=4, shuffle_seed=0)
  assert sorted(ids) == list(range(1000))
  assert abs(np.corrcoef(ids, np.arange(1000))[0, 1]) < .1
  assert ids == written('b', num_shards=4, shuffle_seed=0)
  assert ids != written('c', num_shards=4, shuffle_seed=1)
  assert [_ids(p) for p in sorted((tmp_path / 'a').glob('*.tfrecord'))] == [
      [str(i) for i in ids[k:k + 250]] for k in range(0, 1000, 250)]


def test_annotations_keep_their_order(write, tmp_path):
  write(shuffle_seed=3)
  content = json.loads(
      (tmp_path / 'out' / 'train-annotations.json').read_text())
  assert [i['file_name'] for i in content['images']] == [
      'a.jpg', 'b.png', 'c.jpg']
  assert [a['id'] for a in content['annotations']] == [1, 2, 4, 3]


@pytest.mark.parametrize('count, expected', [
    (1, 1), (20, 1), (320, 20), (32000, 32), (118287, 119)])
def test_large_sets_get_more_shards(count, expected):
  assert written_order.num_shards(count) == expected


@pytest.mark.parametrize('count, num_shards, expected', [
    (2, None, 1), (40, None, 2), (2, 4, 4)])
def test_number_of_shards(write, tmp_path, count, num_shards, expected):
  index = write(_many(count), num_shards=num_shards)
  shards = list((tmp_path / 'out').glob('*-of-%05d.tfrecord' % expected))
  assert len(shards) == len(index['shards']) == expected
  assert records.count_records([str(s) for s in shards]) == count


def test_same_files_whatever_the_number_of_processes(write, tmp_path):
  write(folder='one', num_processes=1)
  write(folder='two', num_processes=2)
  write(folder='again', num_processes=1)
  one = _contents(tmp_path / 'one')
  assert one == _contents(tmp_path / 'two') == _contents(tmp_path / 'again')


def _failing(image):
  raise KeyError(image['id'])


@pytest.mark.parametrize('num_processes', [1, 2])
def test_a_failure_leaves_the_folder_as_it_was(write, tmp_path, num_processes):
  write()
  before = _contents(tmp_path / 'out')
  with pytest.raises(KeyError):
    write(load=_failing, num_processes=num_processes)
  assert _contents(tmp_path / 'out') == before
  with pytest.raises(KeyError):
    write(load=_failing, folder='new', num_processes=num_processes)
  assert not _contents(tmp_path / 'new')


def test_shards_of_an_earlier_conversion_are_replaced(write, tmp_path, capsys):
  write(num_shards=3)
  write(num_shards=2)
  assert sorted(_contents(tmp_path / 'out'))[:2] == [
      'train-00000-of-00002.tfrecord', 'train-00001-of-00002.tfrecord']
  assert not list((tmp_path / 'out').glob('*-of-00003*'))
  assert capsys.readouterr().out.count('Removed') == 3


@pytest.mark.parametrize('index', [None, 'text', '[]', '{"shards": [1]}',
                                   '{"shards": []}'])
def test_strange_shards_are_not_replaced(write, tmp_path, index):
  """A reader's pattern would match them as well."""
  (tmp_path / 'out').mkdir()
  strange = tmp_path / 'out' / 'train-00000-of-00005.tfrecord'
  strange.write_text('')
  if index is not None:
    (tmp_path / 'out' / 'train-index.json').write_text(index)
  with pytest.raises(ValueError, match='train-00000-of-00005.*--overwrite'):
    write()
  assert len(_contents(tmp_path / 'out')) == 1 + (index is not None)
  write(overwrite=True)
  assert not strange.exists()
  assert len(_contents(tmp_path / 'out')) == 5


def test_other_prefixes_are_left_alone(write, tmp_path):
  (tmp_path / 'out').mkdir()
  other = tmp_path / 'out' / 'train-more-00000-of-00001.tfrecord'
  other.write_text('')
  write()
  assert other.exists()


def test_the_prefix_is_no_folder(tmp_path):
  with pytest.raises(ValueError, match='such as .*/train'):
    coco_record_writer.write_dataset(_many(1), str(tmp_path) + '/', _failing)


def test_label_map_gives_the_ids(write, tmp_path):
  index = write(label_map={1: 'Box', 2: 'disc', 3: 'star'})
  assert index['num_objects_by_class'] == {1: 1, 2: 3, 3: 0}
  example = _examples(tmp_path / 'out' / 'train-00000-of-00002.tfrecord')[0]
  assert list(example['image/object/class/label'].int64_list.value) == [1, 2, 2]


def test_raised_ids_are_raised_everywhere(write, tmp_path):
  dataset = coco_sets.dataset()
  dataset['categories'][0]['id'] = 0
  for annotation in dataset['annotations'][1:]:
    annotation['category_id'] = 0
  index = write(dataset)
  assert index['category_id_shift'] == 1 and 'raised by 1' in index['notes'][0]
  assert index['label_map'] == {1: 'disc', 4: 'Box'}
  annotations = json.loads(
      (tmp_path / 'out' / 'train-annotations.json').read_text())
  assert {c['id'] for c in annotations['categories']} == {1, 4}
  assert [a['category_id'] for a in annotations['annotations']] == [4, 1, 1, 1]
  example = _examples(tmp_path / 'out' / 'train-00000-of-00002.tfrecord')[0]
  assert list(example['image/object/class/label'].int64_list.value) == [4, 1, 1]


def test_sparse_ids_are_renumbered_everywhere(write, tmp_path):
  dataset = coco_sets.dataset()
  dataset['categories'][0]['id'] = 25000
  for annotation in dataset['annotations'][1:]:
    annotation['category_id'] = 25000
  index = write(dataset, class_ids='auto')
  assert index['label_map'] == {1: 'Box', 2: 'disc'}
  stored = json.loads((tmp_path / 'out' / 'train-annotations.json').read_text())
  assert [a['category_id'] for a in stored['annotations']] == [1, 2, 2, 2]


def _without_masks(dataset, ids):
  for annotation in dataset['annotations']:
    if annotation['id'] in ids:
      del annotation['segmentation']
  return dataset


@pytest.mark.parametrize('without, option, expected', [
    ([], None, True), ([], False, False), ([], True, True),
    ([1, 2, 3, 4], None, False), ([1], None, True)])
def test_masks_when_there_are_any(write, capsys, without, option, expected):
  index = write(_without_masks(coco_sets.dataset(), without),
                include_masks=option)
  assert index['include_masks'] == expected
  left_out = [s['reason'] for s in index['skipped']]
  assert left_out == (['no mask'] if without == [1] else [])
  assert ('--noinclude_masks' in capsys.readouterr().out) == bool(left_out)


def test_masks_that_nobody_has(write):
  dataset = _without_masks(coco_sets.dataset(), [1, 2, 3, 4])
  with pytest.raises(ValueError, match='no object has one'):
    write(dataset, include_masks=True)


def test_masks_of_a_set_without_objects(write):
  """Upstream's script asks for masks of test sets too."""
  assert write(_many(2), include_masks=True)['num_objects'] == 0


def test_what_is_left_out_is_in_the_index(write):
  dataset = coco_sets.dataset()
  dataset['images'][1]['file_name'] = 'missing.png'
  dataset['images'].append({'id': 99, 'file_name': 'c.jpg', 'height': 4,
                            'width': 5})
  dataset['annotations'][0]['bbox'] = [10, 5, 0, 0]
  index = write(dataset)
  assert [(s['kind'], s['image'], s['annotation'], s['reason'])
          for s in index['skipped']] == [
              ('object', 7, 1, 'box without an area'),
              ('image', 'scan/b', None, 'file that cannot be read'),
              ('image', 99, None, 'size that is not the annotated one')]
  assert 'missing.png' in index['skipped'][1]['detail']
  assert [s['source_ids'] for s in index['shards']] == [['7'], ['12']]


@pytest.mark.parametrize('change, message', [
    (lambda d: d.update(images=[]), 'The list of images is empty'),
    (lambda d: [i.update(file_name='no.jpg') for i in d['images']],
     'Not one of 3 images could be used. The first one: file that cannot be '
     'read: no.jpg'),
    (lambda d: [a.update(bbox=[1, 2, 0, 0]) for a in d['annotations']],
     'Not one of 4 objects could be used. The first one, of image 7: box '
     'without an area'),
    (lambda d: [a.update(image_id=70) for a in d['annotations']],
     'Not one of 4 objects could be used. The first one, of image 70: its '
     'image is not listed'),
])
def test_nothing_usable(write, tmp_path, change, message):
  dataset = coco_sets.dataset()
  change(dataset)
  with pytest.raises(ValueError, match=message):
    write(dataset)
  assert not _contents(tmp_path / 'out')


def test_ids_that_become_the_same_number(write, tmp_path):
  dataset = coco_sets.dataset()
  dataset['images'][2]['id'] = '007'
  with pytest.raises(ValueError, match="the id 7 \\(the other '007'\\)"):
    write(dataset)
  assert not (tmp_path / 'out').exists()


def test_crowded_image_is_told(write, capsys):
  dataset = coco_sets.dataset()
  dataset['annotations'] = [
      coco_sets.rectangle(i + 1, 12, 1, (i // 15, 3 * (i % 15), i // 15 + 1,
                                         3 * (i % 15) + 2))
      for i in range(140)]
  index = write(dataset)
  assert (index['max_num_objects'], index['num_images_over_100_objects']) == (
      140, 1)
  assert 'to at least 140' in capsys.readouterr().out


def test_boxes_written_as_corners_are_suspected(write):
  dataset = coco_sets.dataset()
  dataset['annotations'] = [
      coco_sets.rectangle(i, 7, 1, (0, 0, 1, 1), bbox=[30, 20, 45, 35])
      for i in range(1, 5)] + [coco_sets.rectangle(9, 7, 1, (0, 0, 5, 5))]
  assert '4 of the 4 boxes' in write(dataset)['notes'][-1]


def test_boxes_that_are_cut_are_counted(write, capsys):
  dataset = coco_sets.dataset()
  dataset['annotations'][0]['bbox'] = [30, 5, 500, 15]
  index = write(dataset, clip_boxes=True, include_masks=False)
  assert index['skipped'] == []
  assert index['cut'] == [{'image': 7, 'annotation': 1,
                           'detail': 'box [30, 5, 500, 15]'}]
  output = capsys.readouterr().out
  assert ('1 of 4 boxes reached beyond their image and were cut at its border: '
          'image 7, annotation 1 (box [30, 5, 500, 15]). So many') in output
  index = write(clip_boxes=True)
  assert index['cut'] == [] and 'beyond' not in capsys.readouterr().out
