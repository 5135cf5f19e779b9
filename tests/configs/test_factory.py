"""Models, levels, cross-checks, repairs, and all published files."""

import glob
import os

import pytest
import yaml

from configs import base
from configs import factory
from tests import golden
from tests.configs import published


def _leaves(data, path=''):
  """{dotted key: value} of nested plain dicts; empty blocks vanish."""
  leaves = {}
  for key, value in data.items():
    if isinstance(value, dict):
      leaves.update(_leaves(value, path + key + '.'))
    else:
      leaves[path + key] = value
  return leaves


def _load(override=None, model='retinanet', config_file=None):
  return factory.load_config(model, config_file, override)


def _error(override, model='retinanet', **kwargs):
  with pytest.raises(base.ConfigError) as error:
    factory.load_config(model, None, override, **kwargs)
  return str(error.value)


def _reference(name):
  return golden.load_json(golden.reference_files('config/' + name)[0])


@pytest.mark.parametrize('model', factory.MODELS)
def test_every_default_equals_the_reference(model):
  expected = _leaves(_reference('config_defaults.json')['models'][model]
                     ['config'])
  expected['type'] = model  # Deliberate: the cascade's own flag sets it.
  actual = _leaves(base.to_dict(factory.default_config(model)))
  assert {k: actual.get(k, 'missing') for k in expected} == expected


@pytest.mark.parametrize('model', factory.MODELS)
def test_restrictions_of_the_reference_are_ours(model):
  reference = _reference('config_defaults.json')['models'][model]
  config = factory.default_config(model)
  for restriction in reference['restrictions']:
    assert ' '.join(restriction.split()) in config.RESTRICTIONS


@pytest.mark.parametrize('model', factory.MODELS)
def test_keys_beyond_the_reference_are_the_documented_ones(model):
  reference = _reference('config_defaults.json')['models'][model]['config']
  ours = base.flatten(factory.default_config(model))
  extra = set(ours) - set(_leaves(reference))
  extra -= {'nasfpn.min_level', 'nasfpn.max_level',
            'architecture.multilevel_features'}  # in published files
  docs = os.path.join(published.ROOT, 'docs', 'configuration.md')
  with open(docs) as f:
    text = f.read()
  assert extra
  for key in extra:
    assert '`%s`' % key in text, key


@pytest.mark.parametrize('name', sorted(published.published_files()))
def test_every_published_file_loads_to_equal_values(name, tmp_path):
  entry = published.published_files()[name]
  model, content = entry['intended_model'], entry['parsed']
  path = tmp_path / 'published.yaml'
  path.write_text(yaml.safe_dump(content))
  if model in published.NOT_BUILT:
    with pytest.raises(base.ConfigError, match='not built yet'):
      _load(None, model, str(path))
    return
  config, notes = _load(None, model, str(path))
  expected = dict(_leaves(_reference('config_defaults.json')['models'][model]
                          ['config']), type=model)
  if name == published.BROKEN:
    content = published.repaired(content)
  expected.update(_leaves(content))
  actual = _leaves(base.to_dict(config))
  assert {k: actual.get(k, 'missing') for k in expected} == expected
  assert any('train:' in n for n in notes) == (name == published.BROKEN)


@pytest.mark.parametrize('name', sorted(published.published_files()))
def test_our_copies_hold_the_published_values(name):
  entry = published.published_files()[name]
  if entry['intended_model'] in published.NOT_BUILT:
    pytest.skip('not built yet')
  path = os.path.join(published.FOLDER, name)
  with open(path) as f:
    assert f.read() == published.text_to_write(name, entry)
  ours, _ = _load(None, None, path)
  theirs, _ = _load(entry['parsed'], entry['intended_model'])
  assert ours == theirs


@pytest.mark.parametrize('path', glob.glob(
    os.path.join(published.FOLDER, '**', '*.yaml'), recursive=True))
def test_every_shipped_file_names_its_model_and_loads(path):
  config, _ = factory.load_config(None, path)
  assert config.type in factory.MODELS


@pytest.mark.parametrize('path', [
    path for root in golden.reference_dirs()
    for path in glob.glob(os.path.join(root, 'models/*/*/params.yaml'))])
def test_complete_files_of_the_reference_load(path):
  config, _ = factory.load_config(None, path)
  with open(path) as f:
    expected = _leaves(yaml.safe_load(f))
  actual = _leaves(base.to_dict(config))
  assert {k: actual[k] for k in expected} == expected


def test_later_levels_win(tmp_path):
  path = tmp_path / 'my.yaml'
  path.write_text('train: {total_steps: 1, train_batch_size: 1}\nmodel_dir: x')
  config, _ = factory.load_config(
      'retinanet', str(path), 'train.total_steps=2,train.iterations_per_loop=2',
      {'train.iterations_per_loop': 3, 'train.num_shards': 4})
  assert config.train.train_batch_size == 1
  assert config.train.total_steps == 2
  assert config.train.iterations_per_loop == 3
  assert config.train.num_shards == 4
  assert config.model_dir == 'x'


def test_lists_are_replaced_and_blocks_are_merged():
  config, _ = _load('train.learning_rate.learning_rate_levels=[0.1],'
                    'train.learning_rate.learning_rate_steps=[7]')
  assert config.train.learning_rate.learning_rate_levels == (0.1,)
  assert config.train.learning_rate.init_learning_rate == 0.08


@pytest.mark.parametrize('text, key, value', [
    ('train.l2_weight_decay=4e-5', 'train.l2_weight_decay', 4e-5),
    ('train.total_steps=1e5', 'train.total_steps', 100000),
    ('{train: {l2_weight_decay: 1e-4}}', 'train.l2_weight_decay', 1e-4),
    ('spinenet.model_id=96', 'spinenet.model_id', '96'),
    ('eval.eval_timeout=null', 'eval.eval_timeout', None),
    ('train.gradient_clip_norm=10', 'train.gradient_clip_norm', 10.),
    ('train.train_file_pattern=[gs://a*,b]', 'train.train_file_pattern',
     ('gs://a*', 'b'))])
def test_values_get_the_type_of_the_key(text, key, value):
  config, _ = _load(text)
  assert base.lookup(config, key) == value
  assert type(base.lookup(config, key)) is type(value)


def test_model_sets_the_type():
  assert _load(model='cascade_mask_rcnn')[0].type == 'cascade_mask_rcnn'
  assert _load(model=None)[0].type == 'retinanet'
  assert _load('type=shapemask', model=None)[0].type == 'shapemask'


@pytest.mark.parametrize('model, other', [
    ('mask_rcnn', 'cascade_mask_rcnn'), ('cascade_mask_rcnn', 'mask_rcnn')])
def test_type_within_the_family_decides_with_a_note(model, other):
  config, notes = _load({'type': other}, model)
  assert config.type == other
  assert any(other in n and '--model=' + model in n for n in notes)


def test_type_of_another_family_is_an_error(tmp_path):
  path = tmp_path / 'my.yaml'
  path.write_text('\ntype: mask_rcnn\nmaskrcnn_parser: {copy_paste: true}\n')
  with pytest.raises(base.ConfigError) as error:
    _load(None, 'retinanet', str(path))
  for part in ("'retinanet'", "'mask_rcnn'", 'my.yaml:2'):
    assert part in str(error.value)


@pytest.mark.parametrize('model, override, part', [
    ('vild', None, 'not built yet'), (None, 'type=vild', 'not built yet'),
    ('attribute_mask_rcnn', None, 'not built yet'),
    ('retinane', None, "Did you mean 'retinanet'?"),
    (None, 'type=[1]', 'there is no model [1]'),
    ('faster_rcnn', None, 'cascade_mask_rcnn')])
def test_unknown_models(model, override, part):
  assert part in _error(override, model)


def test_unknown_key_names_path_source_and_nearest(tmp_path):
  path = tmp_path / 'my.yaml'
  path.write_text('anchor:\n  anchor_size: 3\n  num_scale: 2\n')
  with pytest.raises(base.ConfigError) as error:
    _load(None, 'retinanet', str(path))
  assert str(error.value).endswith(
      "my.yaml:3: unknown key 'anchor.num_scale'; did you mean "
      "'anchor.num_scales'?")


def test_the_typo_of_the_old_guide():
  message = _error('{train: {learnin_rate: {init_learning_rate: 0.1}}}')
  assert "'train.learning_rate'" in message
  assert '--params_override' in message


def test_block_of_another_model():
  message = _error('maskrcnn_parser.copy_paste=true')
  assert 'the model is retinanet' in message and 'mask_rcnn' in message


# Both keys and both values of each contradiction.
@pytest.mark.parametrize('model, override, parts', [
    ('retinanet', 'architecture.min_level=8',
     ['architecture.min_level (8)', 'architecture.max_level (7)']),
    ('retinanet', 'train.learning_rate.learning_rate_steps=[5]',
     ['learning_rate_levels [0.008, 0.0008] (2)', 'learning_rate_steps [5]']),
    ('retinanet', 'retinanet_parser.unmatched_threshold=0.6',
     ['unmatched_threshold (0.6)', 'match_threshold (0.5)']),
    ('retinanet', 'retinanet_parser.aug_scale_min=2',
     ['aug_scale_min (2.0)', 'aug_scale_max (1.0)']),
    ('retinanet', 'eval.type=box_and_mask',
     ["eval.type ('box_and_mask')", "type ('retinanet')"]),
    ('retinanet', 'dropblock.dropblock_keep_prob=0.9',
     ['dropblock_keep_prob (0.9)', 'dropblock_size (None)']),
    ('retinanet', 'architecture.space_to_depth_block_size=2,'
     'architecture.backbone=spinenet',
     ['space_to_depth_block_size (2)', "'spinenet'"]),
    ('retinanet', 'train.input_partition_dims=[[1,2,1,1]]',
     ['[[1, 2, 1, 1]]', 'num_cores_per_replica', 'null']),
    ('retinanet', 'train.input_partition_dims=[[1,2]],'
     'train.num_cores_per_replica=2', ['four integers', '[1, 2]']),
    ('segmentation', 'segmentation_loss.ignore_label=0',
     ['segmentation_loss.ignore_label (0)',
      'segmentation_parser.ignore_label (255)']),
    ('segmentation', 'segmentation_loss.class_weights=[1, 2]',
     ['class_weights [1.0, 2.0] (2)', 'num_classes (21)']),
    ('shapemask', 'shapemask_head.mask_crop_size=16',
     ['shapemask_head.mask_crop_size (16)',
      'shapemask_parser.mask_crop_size (32)']),
    ('shapemask', 'shapemask_parser.upsample_factor=2',
     ['shapemask_head.upsample_factor (4)',
      'shapemask_parser.upsample_factor (2)']),
    ('shapemask', 'architecture.outer_box_scale=1.5',
     ['shapemask_parser.outer_box_scale (1.25)',
      'architecture.outer_box_scale (1.5)']),
    ('shapemask', 'shapemask_parser.mask_train_class=vok',
     ['shapemask_parser.mask_train_class', "'nonvoc' or a list", "'voc'?"]),
    ('shapemask', 'eval.mask_eval_class=[]', ['eval.mask_eval_class ([])']),
    ('shapemask', 'eval.mask_eval_class=[3, 91]',
     ['eval.mask_eval_class ([3, 91])', 'classes from 1 to 90']),
    ('shapemask', 'shapemask_parser.use_category=false,'
     'shapemask_parser.mask_train_class=voc',
     ['use_category is false', 'mask_train_class (voc)']),
    ('mask_rcnn', 'roi_sampling.bg_iou_thresh_lo=0.7',
     ['bg_iou_thresh_lo (0.7)', 'bg_iou_thresh_hi (0.5)']),
    ('cascade_mask_rcnn',
     'roi_sampling.cascade_iou_thresholds=[0.6,0.7,0.8]',
     ['[0.6, 0.7, 0.8]', 'two at most']),
])
def test_contradictions_are_errors(model, override, parts):
  message = _error(override, model)
  for part in parts:
    assert part in message


def test_lengths_do_not_matter_to_the_cosine_schedule():
  _load('train.learning_rate.type=cosine,'
        'train.learning_rate.learning_rate_steps=[]')


def test_sizes_need_not_be_multiples_of_the_stride():
  _load('retinanet_parser.output_size=[100, 130]')


@pytest.mark.parametrize('key, value', [
    ('architecture.backbone', 'resnt'), ('train.optimizer.type', 'sgd'),
    ('architecture.multilevel_features', 'bifpn'), ('eval.type', 'coco'),
    ('train.learning_rate.type', 'linear'), ('postprocess.nms_version', 'v3'),
    ('train.train_dataset_type', 'csv'), ('resnet.resnet_depth', 51),
    ('retinanet_parser.aug_policy', 'v9'), ('nasfpn.block_fn', 'x'),
    ('batch_norm_activation.activation', 'elu'), ('spinenet.model_id', '50'),
    ('architecture.parser', 'maskrcnn_parser')])
def test_choices(key, value):
  message = _error('%s=%s' % (key, value))
  assert repr(key) in message and 'must be one of' in message
  assert repr(value) in message


@pytest.mark.parametrize('model, override, part', [
    ('retinanet', 'train.space_to_depth_block_size=2',
     'architecture.space_to_depth_block_size decides'),
    ('retinanet', 'retinanet_head.anchors_per_location=9',
     'retinanet_head.anchors_per_location: 9 has no effect'),
    ('mask_rcnn', 'rpn_head.anchors_per_location=3', 'anchor.num_scales'),
    ('retinanet', 'nasfpn.min_level=3', 'architecture.min_level decides'),
    ('classification', 'architecture.multilevel_features=identity',
     "architecture.multilevel_features: 'identity' has no effect"),
    ('mask_rcnn', 'vild_parser.copy_paste=true', "'vild_parser'"),
    ('segmentation', 'segmentation_parser.aug_policy=v0', 'no policy'),
    ('retinanet', 'train.train_dataset_type=sstable', 'read as tfrecord'),
    ('retinanet', 'train.learning_rate.learning_rate_steps=[5,3]',
     'do not increase'),
    ('mask_rcnn', 'architecture.include_mask=false', 'set eval.type: box'),
    ('mask_rcnn', 'roi_sampling.cascade_iou_thresholds=[0.6]',
     'not cascade_mask_rcnn'),
    ('retinanet', 'model_dir=a,model_dir=b', 'given twice'),
    ('retinanet', '{model_dir: a, model_dir: b}', 'written twice')])
def test_notes(model, override, part):
  _, notes = _load(override, model)
  assert len(notes) == 1
  assert part in notes[0]


def test_no_notes_without_reason():
  for model in set(factory.MODELS) - {'shapemask'}:
    assert _load(None, model)[1] == []
  notes = _load(None, 'shapemask')[1]
  assert len(notes) == 2 and all('sstable' in n for n in notes)


def test_classes_that_have_masks():
  config, notes = _load('shapemask_parser.mask_train_class=[1, 2],'
                        'eval.mask_eval_class=nonvoc', 'shapemask')
  assert config.shapemask_parser.mask_train_class == (1, 2)
  assert config.eval.mask_eval_class == 'nonvoc'
  assert any('mask_train_class ([1, 2]) leaves out classes' in n for n in notes)
  _, notes = _load('shapemask_parser.mask_train_class=[1, 2],'
                   'shapemask_head.use_category_for_mask=false', 'shapemask')
  assert not any('leaves out' in n for n in notes)
  for wrong in ('[0]', '[a]', '3', '[1.5]'):
    assert 'shapemask_parser.mask_train_class' in _error(
        'shapemask_parser.mask_train_class=' + wrong, 'shapemask')


def test_repair_names_the_six_keys_and_leaves_its_input():
  entry = published.published_files()[published.BROKEN]
  config, notes = _load(entry['parsed'], 'mask_rcnn')
  assert config.train.total_steps == 270000
  assert config.train.learning_rate.learning_rate_steps == (
      243000, 256500, 263250)
  assert all(key in notes[0] for key in published.MISPLACED)
  assert 'total_steps' in entry['parsed']['architecture']


def test_fewer_misplaced_keys_are_an_error_with_the_right_key():
  message = _error('architecture.total_steps=5', 'mask_rcnn')
  assert "did you mean 'train.total_steps'?" in message


def test_duplicate_blocks_as_in_the_pascal_files(tmp_path):
  path = tmp_path / 'pascal.yaml'
  path.write_text('batch_norm_activation: {activation: swish}\n'
                  'batch_norm_activation: {use_sync_bn: true}\n')
  config, notes = _load(None, 'segmentation', str(path))
  assert config.batch_norm_activation.activation == 'relu'
  assert config.batch_norm_activation.use_sync_bn
  assert 'pascal.yaml:2' in notes[0] and 'batch_norm_activation' in notes[0]


@pytest.mark.parametrize('changes, words', [
    ('train.accumulation_steps=3', ('train.train_batch_size (64)',
                                    'train.accumulation_steps (3)')),
    ('train.optimizer.type=lars', ('train.optimizer.lars.weight_decay',
                                   'train.l2_weight_decay (0.0001)')),
    ('eval.early_stop_patience=3', ('eval.early_stop_patience (3)',
                                    'eval.best_metric')),
    ('eval.num_parts=2,eval.part=2', ('eval.part (2) counts from 0',)),
    ('eval.best_metric=AP,eval.early_stop_min_delta=0.1', (
        'eval.early_stop_min_delta (0.1)', 'eval.early_stop_patience')),
])
def test_contradictions_of_training_features(changes, words):
  message = _error(changes)
  for word in words:
    assert word in message


def test_notes_of_training_features():
  _, notes = _load('train.optimizer.lars.epsilon=0.1,eval.keep_best_max=2')
  assert any('train.optimizer.lars has no effect' in n for n in notes)
  assert any('eval.keep_best_max has no effect' in n for n in notes)
  config, notes = _load('train.optimizer.type=lars,train.l2_weight_decay=0,'
                        'eval.best_metric=AP,eval.early_stop_patience=2')
  assert config.train.optimizer.lars.trust_coefficient == 0.001
  assert not any('no effect' in n for n in notes)
