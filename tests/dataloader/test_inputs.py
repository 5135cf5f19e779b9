"""From an experiment to batches."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import base
from configs import factory as config_factory
from dataloader import inputs
from tests import runtimes
from tests.dataloader import examples
from utils import modes


@pytest.fixture(name='pattern')
def _pattern(tmp_path):
  examples.write(tmp_path / 'a.tfrecord', [
      examples.serialize(examples.image(20, 30, i), source_id='img_%d' % i,
                         boxes=[[.1, .1, .9, .9]][:i], classes=[1][:i])
      for i in range(2)])
  return str(tmp_path / '*.tfrecord')


def _config(pattern, model='retinanet', **changes):
  """A small experiment; changes are whole sections."""
  parser = {'retinanet': 'retinanet_parser',
            'shapemask': 'shapemask_parser'}.get(model, 'maskrcnn_parser')
  sections = {
      'architecture': {'max_level': 4, 'num_classes': 2, 'use_bfloat16': False},
      parser: {'output_size': [32, 32], 'aug_scale_min': .8,
               'aug_scale_max': 1.2},
      'train': {'train_file_pattern': pattern, 'transpose_input': False},
      'eval': {'eval_file_pattern': pattern}}
  for section, values in changes.items():
    sections.setdefault(section, {}).update(values)
  return base.override(config_factory.default_config(model), sections)


def _batch(config, mode, batch_size=3, **arguments):
  input_fn = inputs.build_input_fn(config, mode, **arguments)
  batch = tf.data.make_one_shot_iterator(
      input_fn({'batch_size': batch_size})).get_next()
  with tf.Session() as session:
    return session.run(batch)


def test_training_batch_with_an_image_without_objects(pattern):
  images, labels = _batch(_config(pattern), modes.TRAIN, 2)
  assert images.shape == (2, 32, 32, 3) and images.dtype == np.float32
  assert sorted(labels['num_positives'] > 0) == [False, True]
  assert labels['cls_targets'][3].shape == (2, 4, 4, 9)


def test_training_batch_for_an_accelerator(pattern):
  images, _ = _batch(_config(
      pattern, architecture={'use_bfloat16': True,
                             'space_to_depth_block_size': 2},
      train={'transpose_input': True}), modes.TRAIN, 2)
  assert images.shape == (16, 16, 2, 12)
  assert images.dtype == tf.bfloat16.as_numpy_dtype


@pytest.mark.parametrize('mode', [modes.EVAL, modes.PREDICT_WITH_GT,
                                  modes.PREDICT])
def test_other_modes(pattern, mode):
  batch = _batch(_config(pattern, train={'transpose_input': True}), mode)
  images, labels = (batch if mode == modes.EVAL else
                    (batch['images'], batch['labels']))
  assert images.shape == (3, 32, 32, 3)
  ids = labels.get('source_id', labels.get('groundtruths', {}).get('source_id'))
  assert ids[2] == -1 and min(ids[:2]) > 0


def test_eval_samples(pattern):
  config = _config(pattern, eval={'eval_samples': 1})
  labels = _batch(config, modes.PREDICT_WITH_GT)['labels']
  assert (labels['groundtruths']['source_id'] >= 0).tolist() == [True, False,
                                                                 False]
  # Another pattern is another set.
  labels = _batch(config, modes.PREDICT_WITH_GT, file_pattern=pattern)['labels']
  assert (labels['groundtruths']['source_id'] >= 0).tolist() == [True, True,
                                                                 False]


def test_predict_file_pattern(pattern):
  config = _config('nothing', predict={'predict_file_pattern': pattern})
  assert len(inputs.build_input_fn(config, modes.PREDICT).files) == 1


@pytest.mark.parametrize('mode,key', [
    (modes.TRAIN, 'train.train_file_pattern'),
    (modes.EVAL, 'eval.eval_file_pattern'),
    (modes.PREDICT_WITH_GT, 'eval.eval_file_pattern')])
def test_missing_file_pattern(mode, key):
  with pytest.raises(ValueError, match=key + ' is not set'):
    inputs.build_input_fn(_config(''), mode)


@pytest.mark.parametrize('mode', runtimes.alternate([modes.TRAIN,
                                                     modes.PREDICT_WITH_GT]))
def test_sstable_is_read_as_tfrecord(pattern, mode):
  """It is the default of ShapeMask; the configuration notes it."""
  config = _config(pattern, train={'train_dataset_type': 'sstable'},
                   eval={'eval_dataset_type': 'sstable'})
  assert _batch(config, mode, 2)


def test_training_batch_with_masks(tmp_path):
  mask = np.zeros([20, 30], np.uint8)
  mask[4:15, 6:24] = 255
  path = examples.write(tmp_path / 'a', [examples.serialize(
      examples.image(20, 30), [[.2, .2, .8, .8]] * i, [1] * i,
      masks=[mask] * i) for i in range(2)])
  _, labels = _batch(_config(path, 'mask_rcnn', maskrcnn_parser={
      'max_num_instances': 3}), modes.TRAIN, 2)
  assert labels['gt_masks'].shape == (2, 3, 112, 112)
  assert labels['gt_masks'].max() == 1.
  assert sorted((labels['gt_classes'] > 0).sum(axis=1)) == [0, 1]
  assert labels['rpn_score_targets'][2].shape == (2, 8, 8, 3)


def test_training_batch_with_masks_of_some_classes(tmp_path):
  mask = np.zeros([20, 30], np.uint8)
  mask[4:15, 6:24] = 255
  path = examples.write(tmp_path / 'a', [examples.serialize(
      examples.image(20, 30), [[.2, .2, .8, .8]] * 2, [1, 2],
      mask_pngs=[examples.encode(mask), b''])])
  changes = {'architecture': {'num_classes': 3},
             'shapemask_parser': {'mask_train_class': [1],
                                  'num_sampled_masks': 3}}
  _, labels = _batch(_config(path, 'shapemask', **changes), modes.TRAIN, 2)
  assert labels['mask_targets'].shape == (2, 3, 32, 32)
  assert labels['fine_mask_targets'].shape == (2, 3, 128, 128)
  np.testing.assert_array_equal(labels['mask_is_valid'].sum(axis=1), 1)
  np.testing.assert_array_equal(labels['mask_classes'].max(axis=1), 2)
  changes['shapemask_parser']['mask_train_class'] = 'all'
  with pytest.raises(ValueError, match='2 objects and 1 masks .*shapemask_'
                     'parser.mask_train_class needs one'):
    inputs.build_input_fn(_config(path, 'shapemask', **changes), modes.TRAIN)


def test_masks_that_are_missing_are_told_before_the_first_step(pattern):
  with pytest.raises(ValueError, match='train.train_file_pattern: .*a.tfrecord'
                     ': record 1 .*Image img_1 has 1 objects and 0 masks'):
    inputs.build_input_fn(_config(pattern, 'mask_rcnn'), modes.TRAIN)
  inputs.build_input_fn(_config(pattern, 'mask_rcnn', architecture={
      'include_mask': False}), modes.TRAIN)
  inputs.build_input_fn(_config(pattern, 'mask_rcnn'), modes.PREDICT)


def test_masks_that_losses_of_an_evaluation_lack_are_told(pattern,
                                                          monkeypatch):
  """It goes on without losses, unless they decide which checkpoint is best."""
  said = []
  monkeypatch.setattr(tf.logging, 'warning',
                      lambda text, *args: said.append(text % args))
  config = _config(pattern, 'mask_rcnn')
  labels = _batch(config, modes.PREDICT_WITH_GT)['labels']
  assert 'gt_boxes' not in labels and 'groundtruths' in labels
  told, = said
  for part in ('eval.eval_file_pattern: ', 'eval.skip_eval_loss=true',
               'the evaluation has no losses'):
    assert part in told
  for changes in ({'eval': {'skip_eval_loss': True}},
                  {'architecture': {'include_mask': False}}):
    inputs.build_input_fn(_config(pattern, 'mask_rcnn', **changes),
                          modes.PREDICT_WITH_GT)
  assert said == [told]
  with pytest.raises(ValueError, match='0 masks .*eval.skip_eval_loss'):
    inputs.build_input_fn(
        _config(pattern, 'mask_rcnn', eval={'best_metric': 'model_loss'}),
        modes.PREDICT_WITH_GT)


def _write_with_mask(path, class_id, size):
  mask = np.zeros([size, size], np.uint8)
  mask[:size // 2] = 1
  return examples.write(path, [examples.serialize(
      examples.image(size, size), [[0., 0., .5, 1.]], [class_id],
      masks=[mask])])


def _pasting_config(pattern, source):
  return _config(
      pattern, 'mask_rcnn', maskrcnn_parser={
          'max_num_instances': 3, 'copy_paste': True, 'aug_scale_min': 1.,
          'aug_scale_max': 1.}, train={'pre_parser_dataset': {
              'file_pattern': source}},
      architecture={'pre_parser': 'extract_objects_parser', 'num_classes': 9})


def test_copy_paste_takes_objects_of_the_second_data_set(tmp_path):
  path = _write_with_mask(tmp_path / 'target', 5, 32)
  source = _write_with_mask(tmp_path / 'source', 7, 24)
  _, labels = _batch(_pasting_config(path, source), modes.TRAIN, 2)
  for classes in labels['gt_classes']:
    # The same place: nothing is left of what was there, except when mirrored.
    assert 7 in classes and set(classes) <= {5, 7, -1}
  assert labels['gt_masks'].shape == (2, 3, 112, 112)


def test_copy_paste_without_a_second_data_set(tmp_path):
  path = _write_with_mask(tmp_path / 'target', 5, 32)
  with pytest.raises(ValueError, match='train.pre_parser_dataset.file_pattern'):
    inputs.build_input_fn(_pasting_config(path, ''), modes.TRAIN)
  # A model that was trained with it can be evaluated.
  inputs.build_input_fn(_pasting_config(path, ''), modes.PREDICT_WITH_GT)


def test_copy_paste_from_records_without_masks(tmp_path, pattern):
  path = _write_with_mask(tmp_path / 'target', 5, 32)
  pattern = pattern.replace('*', 'a')
  with pytest.raises(ValueError, match='pre_parser_dataset.file_pattern.* 0 m'):
    inputs.build_input_fn(_pasting_config(path, pattern), modes.TRAIN)


@pytest.mark.parametrize('model', runtimes.alternate(['mask_rcnn',
                                                      'retinanet']))
def test_a_seed_repeats_policies(tmp_path, model):
  path = _write_with_mask(tmp_path / 'a', 1, 32)
  def images(seed):
    parser = 'retinanet_parser' if model == 'retinanet' else 'maskrcnn_parser'
    return _batch(_config(path, model, train={'seed': seed}, **{parser: {
        'aug_policy': 'v0', 'aug_scale_preset': 'large'}}), modes.TRAIN, 4)[0]
  first = images(3)
  np.testing.assert_array_equal(first, images(3))
  assert np.any(first != images(4))
  assert np.any(first[0] != first[1])


@pytest.mark.parametrize('name', runtimes.alternate(['v0', 'randaug']))
def test_classifiers_are_augmented_in_training(tmp_path, name):
  record = tf.train.Example.FromString(examples.serialize(
      examples.image(20, 30)))
  record.features.feature['image/class/label'].int64_list.value.append(1)
  path = examples.write(tmp_path / 'a', [record.SerializeToString()])
  def images(name, mode):
    config = base.override(config_factory.default_config('classification'), {
        'classification_parser': {'autoaugment_name': name,
                                  'randaug_num_layers': 1,
                                  'output_size': [32, 32]},
        'architecture': {'use_bfloat16': False},
        'train': {'train_file_pattern': path, 'seed': 1,
                  'transpose_input': False},
        'eval': {'eval_file_pattern': path}})
    return _batch(config, mode, 4)[0]
  first = images(name, modes.TRAIN)
  np.testing.assert_array_equal(first, images(name, modes.TRAIN))
  assert np.any(first != images('', modes.TRAIN))
  np.testing.assert_array_equal(images(name, modes.EVAL),
                                images('', modes.EVAL))
