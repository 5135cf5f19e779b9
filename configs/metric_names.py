"""Names of the metrics of an evaluation, for keys that name one.

A test compares them with what the evaluators return.
"""

from typing import Sequence

from configs import base

_COCO = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'ARmax1', 'ARmax10',
         'ARmax100', 'ARs', 'ARm', 'ARl')
_LVIS = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'APr', 'APc', 'APf',
         'AR@300', 'ARs@300', 'ARm@300', 'ARl@300')
# With eval.max_detections.
_LIMITED = ('APmax%d', 'AP50max%d', 'AP75max%d', 'ARmax%d')
# With eval.mask_eval_class.
_GROUPS = ('novel_mask_', 'seen_mask_')
# Prefixes of these names, by eval.type.
_PREFIXES = {'box': ('',), 'box_and_mask': ('', 'mask_'),
             'shapemask_box_and_mask': ('', 'mask_'), 'lvis_box': ('',),
             'lvis_box_and_mask': ('', 'mask_')}
# Of eval.type customized, by type.
_CUSTOMIZED = {'classification': ('top_1_accuracy', 'top_5_accuracy'),
               'segmentation': ('miou',)}
# How names of metrics of one class begin; the data say which classes there are.
_OF_CLASSES = {'classification': ('eval/accuracy_class_',),
               'segmentation': ('eval/iou_class_',)}
_OF_CATEGORIES = ('Precision ', 'Recall ', 'mask_Precision ', 'mask_Recall ')
# Losses that evaluation reports, unless eval.skip_eval_loss is set, by type.
_DENSE_LOSSES = ('cls_loss', 'box_loss', 'model_loss')
_LOSSES = {'retinanet': _DENSE_LOSSES,
           'shapemask': _DENSE_LOSSES + (
               'shapemask_prior_loss', 'shapemask_coarse_mask_loss',
               'shapemask_fine_mask_loss'),
           'classification': ('model_loss',), 'segmentation': ('model_loss',)}
_TWO_STAGE = ('mask_rcnn', 'cascade_mask_rcnn')
_BOX_HEAD_LOSSES = ('fast_rcnn_class_loss', 'fast_rcnn_box_loss')


def of_experiment(config: base.Config) -> Sequence[str]:
  """Names of the metrics of an evaluation, but for those of one class.

  Args:
    config: experiment.

  Returns:
    [name]; empty where they are not known here.
  """
  section = config.eval
  if section.type == 'customized':
    return list(_CUSTOMIZED.get(config.type, ()))
  prefixes = _PREFIXES.get(section.type, ())
  is_lvis = section.type.startswith('lvis')
  names = _LVIS if is_lvis else _COCO
  if section.max_detections and not is_lvis:
    names += tuple(name % section.max_detections for name in _LIMITED)
  result = [prefix + name for prefix in prefixes for name in names]
  if getattr(section, 'mask_eval_class', 'all') != 'all':
    result += [group + name for group in _GROUPS for name in _COCO]
  return result


def losses(config: base.Config) -> Sequence[str]:
  """Names of the losses that an evaluation of the experiment can report."""
  if config.type not in _TWO_STAGE:
    return _LOSSES.get(config.type, ())
  names = ('rpn_score_loss', 'rpn_box_loss') + _BOX_HEAD_LOSSES
  if config.architecture.include_mask:
    names += ('mask_loss',)
  if config.type == 'cascade_mask_rcnn':
    thresholds = config.roi_sampling.cascade_iou_thresholds or ()
    names += tuple('%s_%d' % (name, stage)
                   for stage in range(1 + len(thresholds))
                   for name in _BOX_HEAD_LOSSES)
  return names + ('model_loss',)


def is_of_one_class(config: base.Config, name: str) -> bool:
  """Whether a name is made like those of the metrics of one class."""
  return name.startswith(_OF_CLASSES.get(config.type, _OF_CATEGORIES))


def is_extra(config: base.Config, name: str) -> bool:
  """Whether a name is made like those of eval.extra_metrics."""
  return name.startswith(tuple(
      '%s%s_' % (prefix, extra) for prefix in ('', 'mask_')
      for extra in getattr(config.eval, 'extra_metrics', ())))
