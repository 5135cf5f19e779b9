"""Settings of a model for a data set and a machine, as commented YAML.

The sizes are those of the files in configs/experiments/custom and .../demo,
which were measured on two CPU cores.
"""

import typing
from typing import List, Optional, Tuple

import numpy as np

from configs import factory
from tools.own_data import anchors as anchors_lib
from tools.own_data import record_summary
from tools.own_data import starts
from tools.own_data import yaml_text

_SMALL_OBJECT = 20.  # pixels that small objects should have in the network
_SMALL_PERCENTILE = 5  # what is a small object of the set
_LEAST_OBJECT = 8.  # pixels below which objects are hardly found
_MOST_ENLARGED = 2.  # more invents pixels, and costs as much
_MIN_SIDE = 64  # pixels
# Aspect ratios that differ more are fitted into a square.
_SQUARE_SPREAD = 1.3
_COCO_LIMIT = 100  # detections of an image that COCO's metrics count
_MOST_CLASSES = 20000  # the loss has a table of this squared, 2 GB at 23,000
# Scale jitter, for small sets. Masks are smaller than boxes, so that they are
# reduced less.
_JITTER = {'retinanet': (.7, 1.4), 'mask_rcnn': (.8, 1.5)}
_REFERENCE_MINUTES = 15.


class Machine(typing.NamedTuple):
  """What a kind of machine trains in minutes.

  Attributes:
    name: for the comment.
    depth: depth of the ResNet.
    filters: number of filters of pyramid and heads.
    num_convs: number of convolutions of the heads.
    pixels: pixels per image for 15 minutes, by model.
    batch_sizes: by model.
    eval_batch_size: evaluation batch size of detectors.
  """
  name: str
  depth: int
  filters: int
  num_convs: int
  pixels: dict
  batch_sizes: dict
  eval_batch_size: int


CPU = Machine(
    'CPU cores', 10, 64, 2,
    {'retinanet': 256 * 320, 'mask_rcnn': 320 * 320,
     'classification': 96 * 96, 'segmentation': 160 * 160},
    {'retinanet': 8, 'mask_rcnn': 4, 'classification': 32, 'segmentation': 8},
    8)
GPU = Machine(
    'a GPU', 50, 256, 4,
    {'retinanet': 640 * 640, 'mask_rcnn': 640 * 640,
     'classification': 224 * 224, 'segmentation': 512 * 512},
    {'retinanet': 16, 'mask_rcnn': 8, 'classification': 64,
     'segmentation': 16}, 16)


class Options(typing.NamedTuple):
  """What a person, or `train_on`, decides.

  Attributes:
    model: one of MODELS; None: by the data.
    machine: Machine.
    minutes: length of the training run in minutes, for the size of the images;
      None: 15.
    image_size: (height, width), or None.
    batch_size: int, or None.
    steps: int.
    num_classes: int; None: of the label map, else the highest id in the data.
    label_map: path, or None.
    names: {class id: name} of the label map; empty without one.
    train_pattern: pattern of the training records.
    eval_pattern: pattern of the other records.
    start: starts.Start, or None.
    checkpoint: folder of its checkpoint.
  """
  model: typing.Any
  machine: Machine
  minutes: typing.Any
  image_size: typing.Any
  batch_size: typing.Any
  steps: int
  num_classes: typing.Any
  label_map: typing.Any
  names: dict
  train_pattern: str
  eval_pattern: str
  start: typing.Any = None
  checkpoint: str = ''


MODELS = {record_summary.DETECTION: ('retinanet', 'mask_rcnn'),
          record_summary.CLASSIFICATION: ('classification',),
          record_summary.SEGMENTATION: ('segmentation',)}


def model_for(summary: record_summary.Summary,
              model: Optional[str] = None) -> str:
  """The model for a set.

  Args:
    summary: record_summary.Summary.
    model: the requested model, or None.

  Raises:
    ValueError: if it does not go with the data.
  """
  models = MODELS[summary.kind]
  if model and model not in models:
    raise ValueError('--model=%s does not go with records of %s; these do: %s.'
                     % (model, summary.kind, ', '.join(models)))
  if model == 'mask_rcnn' and not summary.has_masks:
    raise ValueError('--model=mask_rcnn learns masks, and not every object of '
                     'the records has one; retinanet learns boxes.')
  return model or models[0]


def make(summary: record_summary.Summary,
         options: Options) -> Tuple[str, List[str]]:
  """The configuration as text, and what there is to say about it.

  Args:
    summary: record_summary.Summary of the training records.
    options: Options.

  Returns:
    YAML text that factory.load_config takes; [sentence].

  Raises:
    ValueError: if the data and the options do not go together.
  """
  start = options.start
  model = model_for(summary, options.model or (start and start.model))
  if start and start.model not in (None, model):
    raise ValueError('--from=%s is a model of the type %s, and cannot start '
                     'one of the type %s.' % (start.name, start.model, model))
  lines, notes = _MAKERS[model](summary, options._replace(model=model))
  if start:
    lines = starts.applied(lines, start, options.checkpoint)
    # Its anchors are not those that were chosen.
    notes = [note for note in notes if not (
        start.model and note.startswith('Anchors'))]
    notes.append('It starts from %s%s.' % (
        start.name, ', with its anchors' if start.model else ''))
  text = yaml_text.text(lines)
  factory.load_config(None, yaml_text.parsed(text))
  return text, notes


def _num_classes(summary, options):
  """architecture.num_classes and its comment."""
  number = options.num_classes or max([summary.highest_class]
                                      + list(options.names)) + 1
  if summary.highest_class >= number:
    raise ValueError('The records have an object of class %d, and there are '
                     '%d classes, 0 to %d (--num_classes, --label_map).' % (
                         summary.highest_class, number, number - 1))
  if number > _MOST_CLASSES and summary.kind == record_summary.DETECTION:
    raise ValueError(
        'The highest class id is %d, and a model has outputs for all numbers '
        'up to it. Convert again with --class_ids=renumber, which numbers the '
        'classes from 1 on; other splits with the --label_map that this '
        'writes.' % (number - 1))
  names = [options.names[i] for i in sorted(options.names)]
  if summary.kind != record_summary.SEGMENTATION:
    names = ['background'] + [n for i, n in sorted(options.names.items()) if i]
  return number, ', '.join(names[:8]) + (', ...' if len(names) > 8 else '') if (
      options.names) else 'the highest class id + 1'


def image_size(summary: record_summary.Summary, options: Options,
               multiple: int) -> Tuple[Tuple[int, ...], List[str]]:
  """Size of the network input.

  As large as small objects need to keep some pixels, as the budget allows, and
  not much less than it allows.

  Args:
    summary: record_summary.Summary.
    options: Options.
    multiple: int, of both sides.

  Returns:
    (height, width), [sentence].
  """
  if options.image_size:
    return tuple(options.image_size), []
  budget = options.machine.pixels[options.model] * float(np.clip(
      ((options.minutes or _REFERENCE_MINUTES) / _REFERENCE_MINUTES) ** .5,
      .5, 2))
  heights, widths = summary.image_sizes.T
  ratios = widths / heights
  height, width = np.median(heights), np.median(widths)
  if np.percentile(ratios, 95) > _SQUARE_SPREAD * np.percentile(ratios, 5):
    height = width = max(height, width)
  largest = (budget / (height * width)) ** .5
  scale = largest
  if len(summary.shares):
    scale = min(largest, max(_SMALL_OBJECT / _small(summary, 1.),
                             largest * .7))
  scale = min(scale, _MOST_ENLARGED)
  size = tuple(int(max(_MIN_SIDE, round(side * scale / multiple) * multiple))
               for side in (height, width))
  return size, []


def _sides(summary, size):
  """float64 [K, 2], the objects in pixels of a network input of this size."""
  images = summary.image_sizes[summary.images]
  scales = np.min(np.asarray(size, np.float64) / images, axis=1)
  return summary.shares * images * scales[:, np.newaxis]


def _small(summary, scale):
  """Size of small objects in pixels of images scaled so."""
  sides = summary.shares * summary.image_sizes[summary.images] * scale
  return max(float(np.percentile(np.sqrt(np.prod(sides, axis=1)),
                                 _SMALL_PERCENTILE)), 1e-3)


def _detector(summary, options, multiple, min_level, largest_level,
              max_scales):
  """What the two kinds of detectors share.

  Returns:
    (height, width), anchors.Choice, sides [K, 2], [sentence].
  """
  if not len(summary.shares):
    raise ValueError('The training records have no object to learn: all are '
                     'crowds or without an area, or there is none.')
  size, notes = image_size(summary, options, multiple)
  sides = _sides(summary, size)
  small = float(np.percentile(np.sqrt(np.prod(sides, axis=1)),
                              _SMALL_PERCENTILE))
  if small < _LEAST_OBJECT:
    notes.append(
        'One object in %d has less than %.0f pixels (height and width, mean) '
        'at an image size of %d x %d, and will hardly be found: give more '
        '--minutes, or a larger --image_size, or cut the images into tiles.'
        % (100 // _SMALL_PERCENTILE, max(small, 1), size[0], size[1]))
  choice = anchors_lib.choose(sides, min_level, largest_level, max_scales,
                              _JITTER[options.model])
  notes.append(
      'Anchors: %.0f %% of the objects have one that fits; with the default '
      'anchors, %.0f %%.' % (100 * choice.share, 100 * choice.share_before))
  return size, choice, sides, notes


def _anchor_lines(choice, sides):
  low, high = np.percentile(np.sqrt(np.prod(sides, axis=1)), (2, 98))
  anchor = choice.anchor
  return [
      ('anchor.anchor_size', anchor.anchor_size,
       'anchors of %.0f to %.0f px; objects have %.0f to %.0f px here' % (
           anchor.anchor_size * 2 ** choice.min_level,
           anchor.anchor_size * 2. ** (
               choice.max_level + 1 - 1. / anchor.num_scales), low, high)),
      ('anchor.num_scales', anchor.num_scales,
       'an anchor fits %.0f %% of the objects (of the defaults: %.0f %%)' % (
           100 * choice.share, 100 * choice.share_before)),
      ('anchor.aspect_ratios', list(anchor.aspect_ratios),
       'width / height, by k-means')]


def _head_lines(summary, options):
  """What all models begin with."""
  number, names = _num_classes(summary, options)
  return [('type', options.model, ''),
          ('architecture.num_classes', number, names)]


def _backbone_lines(options):
  lines = [('resnet.resnet_depth', options.machine.depth,
            'for %s: 10 is the smallest, 50 the usual one' %
            options.machine.name)]
  if options.machine is CPU:
    lines.append(('batch_norm_activation.batch_norm_momentum', .99,
                  'statistics that follow a short training run'))
  return lines


def _limit_lines(summary, section):
  """Keys for images of more than 100 objects."""
  if summary.most_objects <= _COCO_LIMIT:
    return []
  limit = -(-summary.most_objects // 10) * 10
  return [(section + '.max_num_instances', limit,
           'of an image; the fullest has %d' % summary.most_objects),
          ('postprocess.max_total_size', limit, 'detections of an image'),
          ('eval.max_detections', limit,
           "COCO's own metrics count 100 of an image")]


def _train_lines(summary, options):
  """The section `train`, but for what a model adds."""
  batch = options.batch_size or min(
      options.machine.batch_sizes[options.model], summary.num_images)
  steps = options.steps
  return [
      ('train.train_file_pattern', options.train_pattern,
       '%d images' % summary.num_images),
      ('train.train_batch_size', batch, 'with twice as many, half the steps'),
      ('train.total_steps', steps,
       'python -m tools.fit_steps sets it by minutes'),
      ('train.optimizer.type', 'adam',
       'learns most in a short time, from scratch'),
      ('train.learning_rate.type', 'cosine', ''),
      ('train.learning_rate.warmup_learning_rate', .0001, ''),
      ('train.learning_rate.warmup_steps', warmup_steps(steps), ''),
      ('train.learning_rate.init_learning_rate', .001,
       'if the loss diverges, a third of it'),
      ('train.gradient_clip_norm', 10., ''),
      ('train.transpose_input', False, 'for TPUs only'),
      ('train.mixed_precision', 'auto',
       'bfloat16 on CPUs that are faster in it'),
      ('train.save_checkpoints_secs', 60.,
       'an interrupted training run loses no more'),
      ('train.log_every_steps', log_every_steps(steps), '')]


def warmup_steps(steps: int) -> int:
  """Steps in which the rate rises."""
  return int(min(100, steps // 10))


def log_every_steps(steps: int) -> int:
  """Steps between lines of the log and points of the curves."""
  return int(max(1, min(50, steps // 20)))


def _eval_lines(options, batch_size):
  lines = [('eval.eval_file_pattern', options.eval_pattern,
            'images that are not trained on'),
           ('eval.eval_batch_size', batch_size, ''),
           ('eval.eval_samples', None, 'all')]
  if options.label_map:
    lines.append(('eval.label_map', options.label_map, ''))
  return lines


def _retinanet(summary, options):
  large = options.machine is not CPU
  size, choice, sides, notes = _detector(
      summary, options, 128 if large else 64, 3, 7 if large else 6, 3)
  filters = options.machine.filters
  lines = _head_lines(summary, options) + [
      ('architecture.min_level', choice.min_level, ''),
      ('architecture.max_level', choice.max_level, '')]
  lines += _backbone_lines(options) + [
      ('fpn.fpn_feat_dims', filters, ''),
      ('retinanet_head.num_convs', options.machine.num_convs, ''),
      ('retinanet_head.num_filters', filters, '')]
  lines += _anchor_lines(choice, sides) + [
      ('retinanet_parser.output_size', list(size), _size_comment(summary)),
      *_augmentation_lines('retinanet_parser', options),
      ('retinanet_loss.box_loss_weight', 100., '')]
  lines += _train_lines(summary, options)
  lines += [('eval.type', 'box', '')]
  lines += _eval_lines(options, options.machine.eval_batch_size)
  lines += [('eval.per_category_metrics', True, ''),
            ('postprocess.score_threshold', .01, '')]
  return lines + _limit_lines(summary, 'retinanet_parser'), notes


def _augmentation_lines(section, options):
  low, high = _JITTER[options.model]
  return [(section + '.aug_rand_hflip', True,
           'false, if left and right differ'),
          (section + '.aug_scale_min', low,
           'images are seen many times: vary them'),
          (section + '.aug_scale_max', high, '')]


def _size_comment(summary):
  height, width = np.median(summary.image_sizes, axis=0)
  return 'height, width; the images have %.0f x %.0f (median)' % (height,
                                                                  width)


def _mask_rcnn(summary, options):
  large = options.machine is not CPU
  size, choice, sides, notes = _detector(
      summary, options, 64 if large else 32, 2, 6 if large else 5, 2)
  filters = options.machine.filters
  lines = _head_lines(summary, options) + [
      ('architecture.min_level', 2, 'small objects are cut out of this level'),
      ('architecture.max_level', choice.max_level, '')]
  lines += _backbone_lines(options) + [
      ('fpn.fpn_feat_dims', filters, ''), ('rpn_head.num_filters', filters, ''),
      ('frcnn_head.fc_dims', 4 * filters, ''),
      ('mrcnn_head.num_convs', options.machine.num_convs, ''),
      ('mrcnn_head.num_filters', filters, '')]
  lines += _anchor_lines(choice, sides) + [
      ('maskrcnn_parser.output_size', list(size), _size_comment(summary)),
      *_augmentation_lines('maskrcnn_parser', options),
      ('maskrcnn_parser.rpn_match_threshold', .6, ''),
      ('maskrcnn_parser.mask_crop_size', 56, ''),
      ('maskrcnn_parser.mask_crop_grid', 'cells', '')]
  if not large:
    lines += [('roi_proposal.rpn_pre_nms_top_k', 1000, ''),
              ('roi_proposal.rpn_post_nms_top_k', 500, ''),
              ('roi_sampling.num_samples_per_image', 128, ''),
              ('roi_sampling.fg_fraction', .33, ''),
              ('mask_sampling.num_mask_samples_per_image', 42, '')]
  lines += _train_lines(summary, options)
  lines += [('eval.type', 'box_and_mask', '')]
  lines += _eval_lines(options, min(4, options.machine.eval_batch_size))
  lines += [('eval.per_category_metrics', True, ''),
            ('postprocess.score_threshold', .05, ''),
            ('postprocess.pre_nms_num_boxes', 1000, '')]
  return lines + _limit_lines(summary, 'maskrcnn_parser'), notes


def _classification(summary, options):
  if (options.num_classes or summary.highest_class + 1) < 3:
    raise ValueError('The records have one class only: a classifier has '
                     'nothing to distinguish.')
  size, notes = image_size(summary, options, 32)
  size = (max(size),) * 2  # a random window, or the square in the middle
  lines = _head_lines(summary, options) + _backbone_lines(options) + [
      ('classification_parser.output_size', list(size),
       _size_comment(summary))]
  lines += _train_lines(summary, options)
  lines += [('train.label_smoothing', .1, '')]
  return lines + _eval_lines(options, 32), notes


def _segmentation(summary, options):
  size, notes = image_size(summary, options, 32)
  filters = options.machine.filters
  lines = _head_lines(summary, options) + [
      ('architecture.min_level', 2, ''), ('architecture.max_level', 5, ''),
      ('architecture.use_pyramid_fusion', True,
       'coarse levels know the shape, fine ones its edge')]
  lines += _backbone_lines(options) + [
      ('fpn.fpn_feat_dims', filters, ''),
      ('segmentation_head.level', 2, ''),
      ('segmentation_head.num_convs', 1, ''),
      ('segmentation_head.upsample_factor', 2,
       'a prediction for every 2 x 2 pixels'),
      ('segmentation_head.upsample_num_filters', 32, ''),
      ('segmentation_parser.output_size', list(size), _size_comment(summary)),
      ('segmentation_parser.resize_eval', True, '')]
  lines += _train_lines(summary, options)
  lines += [('train.frozen_variable_prefix', None,
             'nothing is trained before')]
  return lines + _eval_lines(options, 8), notes


_MAKERS = {'retinanet': _retinanet, 'mask_rcnn': _mask_rcnn,
           'classification': _classification, 'segmentation': _segmentation}
