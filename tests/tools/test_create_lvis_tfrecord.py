"""Tests of tools/create_lvis_tfrecord.py."""

import json
import os
import shutil

from absl import flags
import pytest
import tensorflow.compat.v1 as tf

from dataloader import records
from evaluation import annotations as annotations_lib
from evaluation import lvis_metrics
from tests.tools import coco_sets
from tools import create_lvis_tfrecord
from tools.datasets import coco_record_writer
from tools.datasets import conversion_flags

_OPTIONS = coco_record_writer.Options(num_shards=1, num_processes=1)
_LISTS = ([3], [1], []), ([1], [], [3])  # absent, not exhaustive


def _content():
  """The set of coco_sets as LVIS has it; ids of images are numbers there."""
  content = coco_sets.dataset()
  numbers = {old: 100 + i for i, old in enumerate(coco_sets.IMAGE_IDS)}
  for image, negative, unsure in zip(content['images'], *_LISTS):
    image.update(
        id=numbers[image['id']], neg_category_ids=negative,
        not_exhaustive_category_ids=unsure,
        coco_url='http://images.cocodataset.org/val2017/' + image.pop(
            'file_name'))
  for annotation in content['annotations']:
    annotation['image_id'] = numbers[annotation['image_id']]
    annotation.pop('iscrowd')
  # LVIS has boxes that reach beyond the image by a part of a pixel.
  content['annotations'][0]['bbox'][2] += 30.
  for category, frequency in zip(content['categories'], 'cf'):
    category['frequency'] = frequency
  return content


@pytest.fixture(name='paths')
def _paths(tmp_path):
  """(annotations, folder that holds the folder of the images)."""
  _, images = coco_sets.write(tmp_path / 'source')
  shutil.move(images, str(tmp_path / 'coco' / 'val2017'))
  annotations = tmp_path / 'lvis.json'
  annotations.write_text(json.dumps(_content()))
  return str(annotations), str(tmp_path / 'coco')


def _run(*arguments):
  values = flags.FlagValues()
  create_lvis_tfrecord.define_flags(values)
  rest = values(['program'] + list(arguments))[1:]
  conversion_flags.call(create_lvis_tfrecord.main, values, rest)


def _features(pattern):
  """{source id: features}."""
  result = {}
  for path in tf.gfile.Glob(pattern):
    for record in tf.io.tf_record_iterator(path):
      features = tf.train.Example.FromString(record).features.feature
      result[features['image/source_id'].bytes_list.value[0]] = features
  return result


def test_features_are_upstreams(paths, tmp_path):
  create_lvis_tfrecord.convert(*paths, str(tmp_path / 'val'), _OPTIONS)
  found = _features(str(tmp_path / 'val-*.tfrecord'))
  for i, name in enumerate((b'100', b'101', b'102')):
    features = found[name]
    assert list(features['image/image_neg_category_ids'].int64_list.value
               ) == _LISTS[0][i]
    assert list(features['image/not_exhaustive_category_ids'].int64_list.value
               ) == _LISTS[1][i]
    assert not any(features['image/object/is_crowd'].int64_list.value)
  assert len(found[b'100']['image/object/mask'].bytes_list.value) == 3
  assert found[b'100']['image/filename'].bytes_list.value[0] == b'val2017/a.jpg'
  # Cut at the border, where the image ends.
  assert max(found[b'100']['image/object/bbox/xmax'].float_list.value) == 1.


def test_ground_truth_of_records_and_of_the_file(paths, tmp_path):
  create_lvis_tfrecord.convert(*paths, str(tmp_path / 'val'), _OPTIONS)
  of_file = annotations_lib.read_json(str(tmp_path / 'val-annotations.json'))
  assert [c['frequency'] for c in of_file['categories']] == ['c', 'f']
  of_records = records.read_groundtruth(str(tmp_path / 'val-*.tfrecord'))
  federations = []
  for content in (of_file, of_records):
    annotations = annotations_lib.load(content)
    federations.append(lvis_metrics.load(content, annotations))
    assert annotations.image_ids == [100, 101, 102]
  for name in ('negatives', 'not_exhaustive'):
    first, second = (sorted(getattr(f, name).tolist()) for f in federations)
    assert first == second and first
  assert 'have no frequency' in federations[1].messages[0]


@pytest.mark.parametrize('nested', [True, False])
def test_spellings_of_upstream(paths, tmp_path, nested):
  annotations, images = paths
  if not nested:
    images = os.path.join(images, 'val2017')
  (tmp_path / 'records').mkdir()
  _run('--json_path=' + annotations, '--image_dir=' + images,
       '--dest_dir=%s' % (tmp_path / 'records'), '--split=val',
       '--noinclude_mask', '--num_processes=1')
  found = _features(str(tmp_path / 'records' / 'val-*.tfrecord'))
  assert len(found) == 3
  assert not any('image/object/mask' in f for f in found.values())


def test_label_map_moves_the_lists_too(paths, tmp_path):
  create_lvis_tfrecord.convert(*paths, str(tmp_path / 'val'), _OPTIONS,
                               label_map={1: 'Box', 2: 'disc'})
  found = _features(str(tmp_path / 'val-*.tfrecord'))
  assert list(found[b'100']['image/image_neg_category_ids'].int64_list.value
             ) == [1]
  assert list(found[b'101']['image/image_neg_category_ids'].int64_list.value
             ) == [2]


@pytest.mark.parametrize('change, message', [
    (lambda c: c['images'][1].pop('neg_category_ids'),
     'image 101 has no list neg_category_ids.*create_coco_tfrecord'),
    (lambda c: c['images'][1].update(neg_category_ids=[[]]),
     'Image 101: its neg_category_ids'),
    (lambda c: c.update(images=[3]), 'not an object: 3'),
    (lambda c: c.update(images=[]), 'no list of images')])
def test_what_is_wrong_with_annotations(paths, tmp_path, change, message):
  content = _content()
  change(content)
  with open(paths[0], 'w') as f:
    json.dump(content, f)
  with pytest.raises(ValueError, match='(?s)' + message):
    create_lvis_tfrecord.convert(*paths, str(tmp_path / 'val'), _OPTIONS)


@pytest.mark.parametrize('arguments, message', [
    (['--annotations=a'], 'Give --annotations=FILE'),
    (['--annotations=a', '--json_path=b'], '--annotations and --json_path'),
    (['--annotations=a', '--images=nowhere', '--output=x'],
     'no folder nowhere')])
def test_wrong_command_is_one_message(arguments, message):
  with pytest.raises(SystemExit, match=message):
    _run(*arguments)
