"""Tests of evaluation/groundtruth_collector.py."""

import numpy as np
import pytest

from evaluation import groundtruth_collector


def _batch():
  return {'source_id': np.array([5, -1, 6]), 'height': np.array([50, 0, 60]),
          'width': np.array([40, 0, 30]), 'num_detections': np.array([1, 2, 0]),
          'boxes': np.array([[[1., 2., 11., 22.], [-1, -1, -1, -1]]] * 3),
          'classes': np.array([[3, -1]] * 3)}


def test_padded_arrays_become_annotations():
  collector = groundtruth_collector.GroundtruthCollector()
  assert collector.add(_batch()) == []
  collector.add(_batch())  # known already
  assert collector.annotations({4: 'name'}) == {
      'images': [{'id': 5, 'height': 50, 'width': 40},
                 {'id': 6, 'height': 60, 'width': 30}],
      'annotations': [{'id': 1, 'image_id': 5, 'category_id': 3, 'iscrowd': 0,
                       'bbox': [2., 1., 20., 10.]}],
      'categories': [{'id': 3}, {'id': 4}]}


def test_optional_arrays_and_masks():
  batch = dict(_batch(), is_crowds=np.ones([3, 2]), areas=np.full([3, 2], 7.))
  mask = np.zeros([50, 40])
  mask[3, 5] = 1
  batch['masks'] = [[mask, mask]] * 3
  collector = groundtruth_collector.GroundtruthCollector(
      include_mask=True, id_map={5: 'photo'})
  collector.add(batch)
  entry = collector.annotations()['annotations'][0]
  assert (entry['image_id'], entry['iscrowd'], entry['area']) == ('photo', 1, 7)
  assert entry['segmentation']['size'] == [50, 40]


def test_other_name_of_the_count():
  batch = _batch()
  batch['num_groundtruths'] = batch.pop('num_detections')[:, np.newaxis]
  collector = groundtruth_collector.GroundtruthCollector()
  collector.add(batch)
  assert len(collector.annotations()['annotations']) == 1


def test_too_large_a_count_is_told():
  batch = _batch()
  batch['num_detections'][2] = 9
  collector = groundtruth_collector.GroundtruthCollector()
  message, = collector.add(batch)
  assert 'Image 6 has 9 objects' in message and 'room for 2' in message


@pytest.mark.parametrize('key', ['source_id', 'height', 'boxes', 'classes',
                                 'num_detections'])
def test_missing_keys_are_named(key):
  batch = _batch()
  del batch[key]
  with pytest.raises(ValueError, match='no ' + key):
    groundtruth_collector.GroundtruthCollector().add(batch)


def test_missing_or_broken_masks_are_named():
  collector = groundtruth_collector.GroundtruthCollector(include_mask=True)
  with pytest.raises(ValueError, match='no masks'):
    collector.add(_batch())
  with pytest.raises(ValueError, match='not a PNG'):
    collector.add(dict(_batch(), masks=[[b'JFIF', b'']] * 3))
