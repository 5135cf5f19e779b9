"""Settings that pass alone and make nonsense together, or do nothing."""

import glob
import os

import pytest

from configs import base
from configs import factory
from configs import io
from tests import runtimes
from tests.configs import published


def _load(override, model='retinanet', **kwargs):
  return factory.load_config(model, None, override, **kwargs)


def _error(override, model='retinanet', **kwargs):
  with pytest.raises(base.ConfigError) as error:
    _load(override, model, **kwargs)
  return str(error.value)


_RATE = 'train.learning_rate.'
_PARTITION = 'train.input_partition_dims'


# Each part of the message: both keys with their values.
@pytest.mark.parametrize('model, override, parts', [
    ('mask_rcnn', 'roi_sampling.fg_iou_thresh=0.4',
     ['bg_iou_thresh_hi (0.5)', 'fg_iou_thresh (0.4)']),
    ('mask_rcnn', 'maskrcnn_parser.rpn_batch_size_per_im=128',
     ['rpn_score_loss.rpn_batch_size_per_im (256)',
      'maskrcnn_parser.rpn_batch_size_per_im (128)']),
    ('mask_rcnn', 'roi_sampling.num_samples_per_image=64',
     ['num_mask_samples_per_image (128)', 'num_samples_per_image (64)']),
    ('mask_rcnn', 'roi_sampling.fg_fraction=0', ['greater than 0']),
    ('mask_rcnn', 'roi_proposal.rpn_score_threshold=1', ['less than 1']),
    ('mask_rcnn', 'roi_proposal.test_rpn_score_threshold=1.5',
     ['less than 1']),
    ('retinanet', 'train.optimizer.momentum=1', ['less than 1']),
    ('retinanet', 'batch_norm_activation.batch_norm_momentum=1.',
     ['less than 1']),
    ('retinanet', 'retinanet_loss.normalizer_momentum=1', ['less than 1']),
    ('retinanet', 'retinanet_loss.focal_loss_alpha=1', ['less than 1']),
    ('retinanet', 'resnet.init_drop_connect_rate=1', ['less than 1']),
    ('retinanet', 'spinenet.init_drop_connect_rate=1', ['less than 1']),
    ('retinanet', 'nasfpn.init_drop_connect_rate=1', ['less than 1']),
    ('classification', 'classification_head.dropout_rate=1', ['less than 1']),
    ('classification', 'train.label_smoothing=1', ['less than 1']),
    ('segmentation', 'segmentation_loss.label_smoothing=1', ['less than 1']),
    ('retinanet', 'eval.test_time_augmentation.scales=[0.001]',
     ['eval.test_time_augmentation.scales', 'at least 0.1', '0.001']),
    ('retinanet', 'eval.test_time_augmentation.scales=[1, 5]',
     ['eval.test_time_augmentation.scales', 'at most 4', '5']),
    ('retinanet', 'eval.test_time_augmentation.scales=[1.5, 1.5]',
     ['eval.test_time_augmentation.scales: 1.5', '960 x 960', 'as 1.5 does']),
    ('retinanet', 'eval.test_time_augmentation.scales=[1.0004]',
     ['eval.test_time_augmentation.scales: 1.0004', '640 x 640', 'as 1 does']),
    ('classification', 'eval.test_time_augmentation.flip=true',
     ["unknown key 'eval.test_time_augmentation'"]),
    ('segmentation', 'eval.test_time_augmentation.scales=[2]',
     ["unknown key 'eval.test_time_augmentation'"]),
    ('retinanet', 'train.total_steps=0', ['train.total_steps (0)']),
    ('retinanet', _RATE + 'init_learning_rate=0', ['init_learning_rate (0)']),
    ('retinanet', _RATE + 'learning_rate_levels=[0.01,0]',
     ['learning_rate_levels [0.01, 0.0]', 'from step 20000 on',
      'train.total_steps (22500)']),
    ('retinanet', 'postprocess.score_threshold=1',
     ['postprocess.score_threshold (1)']),
    ('mask_rcnn', 'postprocess.score_threshold=1.2',
     ['postprocess.score_threshold (1.2)']),
    ('retinanet', 'eval.best_metric=mask_AP',
     ["eval.best_metric ('mask_AP')", "eval.type ('box')", 'AP50']),
    ('mask_rcnn', 'eval.best_metric=cls_loss', ["eval.best_metric ('cls_"]),
    ('mask_rcnn', 'eval.best_metric=APmax400', ["eval.best_metric ('APmax"]),
    ('classification', 'eval.best_metric=AP',
     ["eval.best_metric ('AP')", 'top_1_accuracy, top_5_accuracy']),
    ('segmentation', 'eval.best_metric=mIoU', ['miou']),
    ('retinanet', 'eval.best_metric=model_loss,eval.best_metric_mode=min,'
     'eval.skip_eval_loss=true',
     ["eval.best_metric ('model_loss')", 'eval.skip_eval_loss (true)']),
    ('mask_rcnn', 'eval.best_metric=mask_loss,architecture.include_mask=false,'
     'eval.type=box', ["eval.best_metric ('mask_loss')"]),
    ('mask_rcnn', 'eval.best_metric=mask_loss,eval.best_metric_mode=min,'
     'eval.skip_eval_loss=true',
     ["eval.best_metric ('mask_loss')", 'eval.skip_eval_loss (true)']),
    ('retinanet', 'architecture.min_level=1',
     ['architecture.min_level (1)', "architecture.backbone ('resnet')",
      '2 to 5']),
    ('mask_rcnn', 'architecture.min_level=6,architecture.backbone='
     'efficientnet-b0', ['architecture.min_level (6)', 'efficientnet-b0']),
    ('retinanet', 'architecture.multilevel_features=identity',
     ['architecture.max_level (7)', "('resnet')", "('identity')"]),
    ('retinanet', 'architecture.multilevel_features=nasfpn,'
     'architecture.max_level=6',
     ["architecture.multilevel_features ('nasfpn')", 'max_level (6)']),
    ('mask_rcnn', 'architecture.backbone=spinenet,'
     'architecture.multilevel_features=identity',
     ["architecture.backbone ('spinenet')", 'min_level (2)', 'max_level (6)']),
    ('classification', 'architecture.backbone=spinenet_mbconv,'
     'architecture.max_level=8', ["('spinenet_mbconv')", 'max_level (8)']),
    ('segmentation', 'segmentation_head.level=2',
     ['segmentation_head.level (2)', 'architecture.min_level (3)']),
    ('segmentation', 'segmentation_parser.output_size=[513, 520]',
     ['segmentation_parser.output_size [513, 520]', 'multiples of 32',
      'such as [544, 544]']),
    # 66 cells of level 3, 33 of level 4, 17 of level 5.
    ('segmentation', 'segmentation_parser.output_size=[512, 528]',
     ['[512, 528]', 'such as [512, 544]']),
    ('segmentation', 'segmentation_parser.output_size=[480, 512],'
     'architecture.multilevel_features=nasfpn',
     ['multiples of 128', '[512, 512]']),
    ('segmentation', 'architecture.num_classes=2,'
     'segmentation_loss.class_weights=[0, 0]', ['class_weights [0.0, 0.0]']),
    ('retinanet', 'anchor.aspect_ratios=[]', ['anchor.aspect_ratios []']),
    ('retinanet', _PARTITION + '=[[1, 2, 1, 1]],train.num_cores_per_replica=4',
     ['[1, 2, 1, 1] makes 2 parts', 'train.num_cores_per_replica is 4']),
    ('retinanet', _PARTITION + '=[[1, 0, 1, 1]],train.num_cores_per_replica=1',
     ['above 0', '[1, 0, 1, 1]']),
    ('retinanet', 'train.num_cores_per_replica=2',
     ['train.num_cores_per_replica (2)', _PARTITION]),
])
def test_impossible_settings_are_errors(model, override, parts):
  message = _error(override, model)
  assert 'things are wrong' not in message
  for part in parts:
    assert part in message


@pytest.mark.parametrize('model, override, parts', [
    ('classification', 'train.total_steps=100',
     [_RATE + 'warmup_steps (6255)', 'train.total_steps (100)',
      'init_learning_rate (0.4)']),
    ('retinanet', 'train.total_steps=20000',
     ['learning_rate_steps [15000, 20000]: 20000 is not reached',
      'train.total_steps (20000)']),
    ('classification', _RATE + 'learning_rate_steps=[1, 2, 3]',
     [_RATE + 'learning_rate_steps has no effect',
      "train.learning_rate.type is 'cosine'"]),
    ('classification', _RATE + 'learning_rate_levels=[1, 2],'
     + _RATE + 'learning_rate_steps=[1]',
     ['learning_rate_levels and train.learning_rate.learning_rate_steps have '
      'no effect']),
    ('retinanet', _RATE + 'warmup_steps=0,' + _RATE + 'warmup_learning_rate=1',
     ['warmup_learning_rate has no effect', 'warmup_steps is 0']),
    ('retinanet', 'train.optimizer.type=adam,train.optimizer.momentum=0.8',
     ['train.optimizer.momentum has no effect',
      "train.optimizer.type is 'adam'"]),
    ('retinanet', 'train.checkpoint.prefix=resnet50/',
     ['train.checkpoint.prefix has no effect',
      'train.checkpoint.path is empty']),
    ('retinanet', 'train.checkpoint.restore_optimizer_state=true',
     ['restore_optimizer_state has no effect']),
    ('retinanet', 'spinenet.model_id=96',
     ['spinenet has no effect', "architecture.backbone is 'resnet'"]),
    ('retinanet', 'nasfpn.num_repeats=3',
     ['nasfpn has no effect', "architecture.multilevel_features is 'fpn'"]),
    ('segmentation', 'nasfpn.num_repeats=3', ['nasfpn has no effect']),
    ('retinanet', 'architecture.backbone=spinenet,resnet.resnet_depth=101',
     ['resnet has no effect', "architecture.backbone is 'spinenet'"]),
    ('classification', 'architecture.backbone=efficientnet-b0,'
     'dropblock.dropblock_keep_prob=0.9,dropblock.dropblock_size=7',
     ['dropblock has no effect', "'efficientnet-b0'"]),
    ('mask_rcnn', 'architecture.include_mask=false,eval.type=box,'
     'mrcnn_head.num_convs=2',
     ['mrcnn_head has no effect', 'architecture.include_mask is false']),
    ('mask_rcnn', 'maskrcnn_parser.copy_paste_box_update_threshold=5',
     ['maskrcnn_parser.copy_paste is false']),
    ('mask_rcnn', 'postprocess.apply_sigmoid=false',
     ['postprocess.apply_sigmoid has no effect', 'softmax']),
    ('mask_rcnn', 'frcnn_head.cascade_class_ensemble=true',
     ["type is 'mask_rcnn'", 'cascade_iou_thresholds is null']),
    ('retinanet', 'train.save_checkpoints_steps=50',
     ['train.save_checkpoints_steps (50)',
      'train.iterations_per_loop (100)']),
    ('retinanet', 'retinanet_parser.randaugment_magnitude=9',
     ['retinanet_parser.randaugment_magnitude has no effect',
      "retinanet_parser.aug_policy is ''"]),
    ('shapemask', 'shapemask_parser.aug_scale_preset=large,'
     'shapemask_parser.aug_scale_min=0.5',
     ['shapemask_parser.aug_scale_min has no effect',
      "aug_scale_preset is 'large'"]),
    ('classification', 'classification_parser.randaug_magnitude=9',
     ['classification_parser.autoaugment_name is empty']),
    ('retinanet', 'eval.use_json_file=false,eval.val_json_file=a.json',
     ['eval.val_json_file has no effect', 'eval.use_json_file is false']),
    ('retinanet', 'postprocess.apply_nms=false,postprocess.nms_version=v2',
     ['postprocess.nms_version has no effect',
      'postprocess.apply_nms is false']),
    ('retinanet', 'postprocess.apply_nms=false,'
     'eval.test_time_augmentation.flip=true',
     ['eval.test_time_augmentation has no effect',
      'postprocess.apply_nms is false']),
    ('retinanet', 'eval.test_time_augmentation.scales=[1]',
     ['eval.test_time_augmentation.scales ([1.0]) has no effect']),
    ('retinanet', 'train.save_checkpoints_secs=60,'
     'train.save_checkpoints_steps=500', ['train.save_checkpoints_secs has']),
    ('retinanet', 'eval.use_moving_average=false',
     ['train.moving_average_decay is 0']),
    ('retinanet', 'train.l2_weight_decay=0,'
     'train.regularization_variable_regex=x', ['train.l2_weight_decay is 0']),
    ('mask_rcnn', 'train.pre_parser_dataset.file_pattern=x',
     ['train.pre_parser_dataset has no effect', 'pre_parser is null']),
    ('segmentation', 'segmentation_head.upsample_num_filters=32',
     ['segmentation_head.upsample_factor is 1']),
    ('retinanet', 'eval.best_metric=model_loss',
     ["eval.best_metric ('model_loss')", "eval.best_metric_mode is 'max'",
      'the lower']),
    ('retinanet', 'eval.best_metric=AP,eval.best_metric_mode=min',
     ["eval.best_metric ('AP')", "eval.best_metric_mode is 'min'"]),
    ('retinanet', 'eval.max_detections=400',
     ['eval.max_detections (400)', 'postprocess.max_total_size (100)']),
    ('retinanet', 'eval.max_detections=400,eval.type=lvis_box,'
     'postprocess.max_total_size=400',
     ['eval.max_detections has no effect', "eval.type is 'lvis_box'"]),
    ('retinanet', 'retinanet_parser.output_size=[64, 96]',
     ['architecture.max_level (7)', 'retinanet_parser.output_size [64, 96]',
      '128 pixels']),
    ('retinanet', 'postprocess.use_batched_nms=true,'
     'postprocess.nms_version=v2',
     ["nms_version ('v2') has no effect", 'use_batched_nms is true']),
    ('retinanet', 'eval.keep_best_max=3',
     ['eval.keep_best_max has no effect', 'eval.best_metric is empty']),
])
def test_what_has_no_effect_is_noted(model, override, parts):
  _, notes = _load(override, model)
  notes = [note for note in notes if 'sstable' not in note]
  assert len(notes) == 1, notes
  for part in parts:
    assert part in notes[0]


def test_all_problems_at_once():
  message = _error('{train: {total_steps: 0, optimizer: {momentum: 1}, '
                   'totl_steps: 3}, anchor: {num_scales: 0}, model_dri: x}')
  for part in ('4 things are wrong', 'train.optimizer.momentum',
               "did you mean 'train.total_steps'", 'anchor.num_scales',
               "did you mean 'model_dir'"):
    assert part in message
  # What contradicts is found once every value can be read.
  message = _error('{train: {total_steps: 0}, eval: {best_metric: x}, '
                   'anchor: {aspect_ratios: []}}')
  for part in ('3 things are wrong', 'total_steps (0)', 'best_metric',
               'aspect_ratios'):
    assert part in message


def test_problems_of_all_levels_at_once(tmp_path):
  path = tmp_path / 'my.yaml'
  path.write_text('anchor: {num_scale: 3}\n')
  message = _error('train.total_stps=3', extra={'train.num_shards': 0}, **{
      'params_file': str(path)})
  for part in ('my.yaml:1', '--params_override', 'the flags'):
    assert part in message


@pytest.mark.parametrize('override', [
    'train.total_steps=0', _RATE + 'init_learning_rate=0',
    _RATE + 'learning_rate_steps=[1]', 'train.accumulation_steps=3',
    'train.optimizer.type=lars'])
def test_rules_about_training_hold_where_there_is_training(override):
  assert _error(override)
  assert _load(override, trains=False)[1] == []


def test_keys_of_training_are_not_noted_where_there_is_none():
  assert _load('train.optimizer.type=adam,train.optimizer.momentum=0.8',
               trains=False)[1] == []


@pytest.mark.parametrize('model, override', [
    ('retinanet', 'postprocess.apply_sigmoid=false,'
     'postprocess.score_threshold=3'),
    ('retinanet', 'eval.best_metric=model_loss,eval.best_metric_mode=min'),
    ('retinanet', 'eval.best_metric=Precision mAP ByCategory/cat'),
    ('retinanet', 'eval.extra_metrics=[voc],eval.best_metric=voc_AP50'),
    ('mask_rcnn', 'eval.extra_metrics=[voc],eval.best_metric=mask_voc_AP50'),
    ('retinanet', 'eval.type=lvis_box,eval.best_metric=APr'),
    ('mask_rcnn', 'eval.best_metric=mask_APs'),
    ('mask_rcnn', 'postprocess.max_total_size=400,eval.max_detections=400,'
     'eval.best_metric=mask_APmax400'),
    ('shapemask', 'eval.best_metric=novel_mask_AP,eval.mask_eval_class=voc'),
    ('classification', 'eval.best_metric=eval/accuracy_class_3'),
    ('retinanet', 'postprocess.use_batched_nms=true'),
    ('mask_rcnn', 'eval.test_time_augmentation.flip=true,'
     'eval.test_time_augmentation.scales=[0.75, 1, 1.5]'),
    ('segmentation', 'segmentation_parser.output_size=[480, 511]'),
    ('segmentation', 'segmentation_parser.output_size=[500, 333],'
     'architecture.backbone=spinenet,'
     'architecture.multilevel_features=identity'),
    ('retinanet', 'train.num_cores_per_replica=1'),
    ('retinanet', _PARTITION + '=[[1, 2, 2, 1], null],'
     'train.num_cores_per_replica=4'),
    ('mask_rcnn', 'roi_sampling.fg_iou_thresh=0.5'),
])
def test_possible_settings(model, override):
  _, notes = _load(override, model)
  assert [note for note in notes if 'sstable' not in note] == []


def _ours():
  return sorted(glob.glob(os.path.join(published.FOLDER, '**', '*.yaml'),
                          recursive=True))


@pytest.mark.parametrize('source', runtimes.alternate(
    list(factory.MODELS) + _ours()))
def test_every_file_and_default_and_its_params_file(source, tmp_path):
  """None of them contradicts itself or holds a key that does nothing."""
  if source in factory.MODELS:
    config, notes = factory.load_config(source)
  else:
    config, notes = factory.load_config(None, source)
  old = ('sstable', 'decide', 'has no decoder')  # which upstream wrote
  assert [n for n in notes if 'effect' in n and not any(
      word in n for word in old)] == []
  path = tmp_path / 'params.yaml'
  path.write_text(io.dump_yaml(config))
  for levels in ({'config_file': str(path)}, {'params_file': str(path)}):
    again, notes = factory.load_config(**levels)
    assert again == config
    assert [n for n in notes if 'sstable' not in n] == []


def test_a_flag_counts_beside_a_params_file(tmp_path):
  path = tmp_path / 'params.yaml'
  path.write_text(io.dump_yaml(factory.default_config('retinanet')))
  _, notes = factory.load_config(
      None, str(path), 'spinenet.model_id=96', {'train.total_steps': 10})
  assert any(n.startswith('spinenet has no effect') for n in notes)
  assert any('warmup_steps (500)' in n for n in notes)


def test_efficientnet_says_what_does_not_reach_it():
  override = ('architecture.backbone=efficientnet-b0, '
              'batch_norm_activation.batch_norm_momentum=0.9, '
              'batch_norm_activation.use_sync_bn=true, '
              'batch_norm_activation.batch_norm_trainable=false')
  note, = _load(override)[1]
  assert 'batch_norm_activation.batch_norm_momentum (0.9)' in note
  assert 'efficientnet.batch_norm_momentum (0.99)' in note
  assert 'use_sync_bn' not in note and 'trainable' not in note
  assert not _load('batch_norm_activation.batch_norm_momentum=0.9')[1]
  note, = _load('efficientnet.activation=relu')[1]
  assert "efficientnet has no effect: architecture.backbone is 'resnet'" in note
