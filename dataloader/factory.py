"""The parsers of all models.

A parser consists of a function that decodes a record, a list of steps and a
labeller. Each list below has its conditions on the left: `_chosen` keeps the
parts that apply.
"""

import functools

from configs import families
from configs import parts
from dataloader import classification
from dataloader import detection
from dataloader import labellers
from dataloader import mask_crops
from dataloader import maskrcnn_labels
from dataloader import parser as parsing
from dataloader import pasting
from dataloader import retinanet_labels
from dataloader import segmentation
from dataloader import shapemask_labels
from dataloader import steps
from dataloader.augment import autoaugment
from dataloader.augment import policies
from ops import anchors as anchor_ops
from ops import preprocess
from utils import class_sets
from utils import fields
from utils import modes
from utils import registry
from utils import views

_ALWAYS = True
_WITH_GROUNDTRUTHS = (modes.EVAL, modes.PREDICT_WITH_GT)
_PREDICTING = (modes.PREDICT, modes.PREDICT_WITH_GT)
_ADVICE_OF_MASKRCNN = (
    'architecture.include_mask is true, so every object needs one: convert '
    'again with --include_masks, or use boxes only with '
    'architecture.include_mask=false, eval.type=box.')
_ADVICE_OF_SHAPEMASK = (
    'Every object of the classes of shapemask_parser.mask_train_class needs '
    'one: convert again with --include_masks, or list the classes that have '
    'masks there.')
_ADVICE_OF_LOSSES = (
    'The losses of an evaluation need one for every object that masks are '
    'learnt from: convert again with --include_masks, or leave the losses out '
    'with eval.skip_eval_loss=true.')
# classification_parser.autoaugment_name: policy.
_POLICIES_OF_CLASSIFIERS = {'v0': 'imagenet',
                            'randaug': autoaugment.RANDAUGMENT}


def _chosen(*rows):
  """[part] of the rows (condition, part) whose condition holds."""
  return [part for condition, part in rows if condition]


def _detection_steps(config, section, mode, size, has_targets):
  """The steps of every parser of objects, Sample -> Sample, before the labels.

  Args:
    config: an experiment.
    section: its section of the parser.
    mode: one of utils.modes.
    size: (height, width), ints, of the network input.
    has_targets: whether the labels hold targets of a loss.

  Returns:
    [Sample -> Sample], in their order.
  """
  is_training = mode == modes.TRAIN
  return _chosen(
      # The targets of an evaluation are those of training: its loss is
      # comparable. The ground truth of the metrics keeps crowds.
      (has_targets and section.skip_crowd_during_training, steps.drop_crowds),
      (is_training and section.aug_policy, functools.partial(
          steps.augment, policy=section.aug_policy,
          num_layers=section.randaugment_num_layers,
          magnitude=section.randaugment_magnitude,
          legacy=section.legacy_augmentation)),
      (is_training and section.aug_rand_hflip, steps.flip),
      (_ALWAYS, steps.to_pixels),
      (_ALWAYS, functools.partial(
          steps.resize_and_crop, output_size=section.output_size,
          padded_size=size,
          scale_range=policies.scale_range(section) if is_training else None,
          to_border=config.architecture.clip_boxes_to_border)),
      (_ALWAYS, steps.drop_empty))


def _has_losses(config, mode):
  """Whether predictions come with losses, for which labels hold targets."""
  return mode == modes.PREDICT_WITH_GT and not config.eval.skip_eval_loss


def _has_views(config, mode):
  """Whether predictions look at an image more than once."""
  return mode in _PREDICTING and bool(views.of_section(config.eval))


def _views(config, section):
  return labellers.Views(
      views.of_section(config.eval), section.output_size,
      2 ** config.architecture.max_level, _dtype(config))


def _build_retinanet_parser(config, mode):
  section, anchors = config.retinanet_parser, _anchors(config)
  size = _padded_size(section, anchors)
  has_targets = (mode in (modes.TRAIN, modes.EVAL)
                 or _has_losses(config, mode))
  return parsing.Parser(
      mode,
      decode=_objects_decoder(config, section, mode),
      steps=_detection_steps(config, section, mode, size, has_targets),
      labeller=labellers.Labels(*_chosen(
          (_ALWAYS, labellers.ImageInfo(size)),
          (has_targets, retinanet_labels.AnchorTargets(section, anchors, size)),
          (mode in _WITH_GROUNDTRUTHS, _groundtruths(config, section, mode)),
          (mode == modes.PREDICT, labellers.SourceId()),
          (_has_views(config, mode), _views(config, section)))),
      image_size=size, dtype=_dtype(config))


def _build_shapemask_parser(config, mode):
  section, anchors = config.shapemask_parser, _anchors(config)
  size, is_training = section.output_size, mode == modes.TRAIN
  # Masks are expensive, and only losses have a use for them.
  has_masks = is_training or _has_losses(config, mode)
  has_targets = has_masks or mode == modes.EVAL
  mask_classes = class_sets.ids(section.mask_train_class)
  mask_rule = (mask_crops.MaskRule(
      _ADVICE_OF_SHAPEMASK if is_training else _ADVICE_OF_LOSSES, mask_classes)
               if has_masks else None)
  return parsing.Parser(
      mode,
      decode=_objects_decoder(config, section, mode, mask_rule,
                              has_one_class=not section.use_category),
      steps=_chosen((not is_training and has_masks, steps.draw_by_id))
      + _detection_steps(config, section, mode, size, has_targets),
      labeller=labellers.Labels(*_chosen(
          (_ALWAYS, labellers.ImageInfo(size)),
          (has_targets, retinanet_labels.AnchorTargets(section, anchors, size)),
          (has_masks, shapemask_labels.MaskTargets(
              section, mask_classes,
              config.architecture.clip_boxes_to_border)),
          (mode in _WITH_GROUNDTRUTHS, _groundtruths(config, section, mode)),
          (mode == modes.PREDICT, labellers.SourceId()),
          (_has_views(config, mode), _views(config, section)))),
      image_size=size, dtype=_dtype(config), mask_rule=mask_rule)


def _build_maskrcnn_parser(config, mode):
  section, anchors = config.maskrcnn_parser, _anchors(config)
  size, is_training = _padded_size(section, anchors), mode == modes.TRAIN
  has_targets = is_training or _has_losses(config, mode)
  # Masks are expensive, and only losses have a use for them.
  has_masks = has_targets and config.architecture.include_mask
  mask_rule = (mask_crops.MaskRule(
      _ADVICE_OF_MASKRCNN if is_training else _ADVICE_OF_LOSSES)
               if has_masks else None)
  pastes = is_training and section.copy_paste
  if pastes and not has_masks:
    raise ValueError('maskrcnn_parser.copy_paste is true, which needs masks, '
                     'but architecture.include_mask is false.')
  decode = _objects_decoder(config, section, mode, mask_rule)
  to_network = _chosen((not is_training and has_targets, steps.draw_by_id)
                       ) + _detection_steps(config, section, mode, size,
                                            has_targets)
  paste = functools.partial(
      pasting.paste_objects, steps=to_network, section=section,
      padded_size=size, key=_capacity_key(config),
      to_border=config.architecture.clip_boxes_to_border)
  return parsing.Parser(
      mode,
      decode=(functools.partial(pasting.decode_pair, decode=decode) if pastes
              else decode),
      steps=to_network + _chosen((pastes, paste)),
      labeller=labellers.Labels(*_chosen(
          (_ALWAYS, labellers.ImageInfo(size)),
          (has_targets, maskrcnn_labels.RpnTargets(section, anchors, size)),
          (has_targets, maskrcnn_labels.Objects(
              section, has_masks, _capacity_key(config),
              'training' if is_training else 'evaluation')),
          (mode in _WITH_GROUNDTRUTHS, _groundtruths(config, section, mode)),
          (mode in _PREDICTING, labellers.SourceId()),
          (_has_views(config, mode), _views(config, section)))),
      image_size=size, dtype=_dtype(config), mask_rule=mask_rule,
      needs_source=pastes)


def _build_classification_parser(config, mode):
  section, is_training = config.classification_parser, mode == modes.TRAIN
  size, policy = section.output_size, None
  if is_training and section.autoaugment_name:
    policy = _POLICIES_OF_CLASSIFIERS[section.autoaugment_name]
  label = classification.ClassLabel(config.architecture.num_classes)
  if mode in _PREDICTING:
    label = labellers.Labels(*_chosen(
        (_ALWAYS, labellers.SourceId()),
        (mode == modes.PREDICT_WITH_GT, labellers.Named(fields.LABEL, label))))
  return parsing.Parser(
      mode,
      decode=classification.decode,
      steps=_chosen(
          (is_training, classification.cut_out_random_window),
          (not is_training, classification.cut_out_middle),
          (is_training and section.aug_rand_hflip, steps.flip),
          (not policy, functools.partial(steps.resize_and_normalize,
                                         size=size)),
          # Policies work on uint8 images of the size that the model sees.
          (policy, functools.partial(steps.resize, size=size)),
          (policy, functools.partial(
              steps.augment, policy=policy,
              num_layers=section.randaug_num_layers,
              magnitude=section.randaug_magnitude)),
          (policy, steps.normalize)),
      labeller=label, image_size=size, dtype=_dtype(config))


def _build_segmentation_parser(config, mode):
  section, is_training = config.segmentation_parser, mode == modes.TRAIN
  size, has_classes = section.output_size, mode != modes.PREDICT
  resizes = is_training or section.resize_eval
  predicts = mode in _PREDICTING
  return parsing.Parser(
      mode,
      decode=functools.partial(
          segmentation.decode, num_classes=config.architecture.num_classes,
          ignore_label=section.ignore_label, has_label_map=has_classes),
      steps=_chosen(
          (is_training and section.aug_rand_hflip, steps.flip),
          (resizes, functools.partial(
              steps.resize_and_crop, output_size=size, padded_size=size,
              scale_range=(section.aug_scale_min, section.aug_scale_max)
              if is_training else None)),
          (not resizes, functools.partial(segmentation.pad, size=size))),
      labeller=labellers.Labels(*_chosen(
          (predicts, labellers.ImageInfo(size)),
          (predicts, labellers.SourceId()),
          (has_classes, segmentation.ClassMap(size, section.ignore_label)))),
      image_size=size, dtype=_dtype(config))


def _objects_decoder(config, section, mode, mask_rule=None,
                     has_one_class=False):
  """serialized -> Sample; see detection.decode."""
  return functools.partial(
      detection.decode, regenerate_source_id=section.regenerate_source_id,
      num_classes=(config.architecture.num_classes if mode != modes.PREDICT
                   else None),
      mask_rule=mask_rule, has_one_class=has_one_class)


def _groundtruths(config, section, mode):
  return detection.Groundtruths(
      section.max_num_instances, _capacity_key(config),
      repeats_count=mode == modes.EVAL)


def _capacity_key(config):
  """Configuration key of the number of objects that labels hold, for errors."""
  return config.architecture.parser + '.max_num_instances'


def _anchors(config):
  return anchor_ops.AnchorGenerator.of_sections(config.anchor,
                                                config.architecture)


def _padded_size(section, anchors):
  """The network input is as large as the coarsest stride needs it."""
  return tuple(preprocess.compute_padded_size(section.output_size,
                                              2 ** anchors.max_level))


def _dtype(config):
  return 'bfloat16' if config.architecture.use_bfloat16 else 'float32'


# architecture.parser: build function (config, mode) -> parser.Parser.
PARSERS = {
    'classification_parser': _build_classification_parser,
    'maskrcnn_parser': _build_maskrcnn_parser,
    'retinanet_parser': _build_retinanet_parser,
    'segmentation_parser': _build_segmentation_parser,
    'shapemask_parser': _build_shapemask_parser,
}


def build_parser(config, mode):
  """The parser of an experiment.

  Args:
    config: an experiment of configs.factory.
    mode: one of utils.modes.

  Returns:
    parser.Parser.

  Raises:
    ValueError: listing the parsers, for a name that is not one of them.
  """
  of_family = families.FAMILIES[config.type].parser
  if of_family:
    if _has_views(config, mode):
      raise ValueError('eval.test_time_augmentation is set, but the parser of '
                       'type %r makes no further views of an image.'
                       % config.type)
    return parts.load(of_family)(config, mode)
  name = config.architecture.parser
  return registry.pick(PARSERS, name, 'architecture.parser')(config, mode)
