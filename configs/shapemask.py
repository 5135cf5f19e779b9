"""ShapeMask, arXiv:1904.03239: RetinaNet with masks from shape priors."""

import dataclasses
from typing import Iterator, Optional, Set, Tuple, Union

from configs import base
from configs import common
from configs import detection
from configs import retinanet

# Names of utils/class_sets.py, or (+) class ids.
CLASS_SETS = ('all', 'voc', 'nonvoc')
ClassSet = Union[str, Tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class ShapeMaskArchitecture(detection.DetectionArchitecture):
  """YAML section `architecture` of ShapeMask."""
  parser: str = base.option('shapemask_parser', choices=('shapemask_parser',))
  outer_box_scale: float = base.option(1.25, at_least=1)  # context of a mask


@dataclasses.dataclass(frozen=True)
class ShapeMaskParser(detection.Augmentation):
  """YAML section `shapemask_parser`: from a record to image and labels."""
  output_size: Tuple[int, int] = base.option(
      (640, 640), at_least=1)  # height, width
  match_threshold: float = base.option(0.5, at_least=0, at_most=1)
  unmatched_threshold: float = base.option(0.5, at_least=0, at_most=1)
  aug_rand_hflip: bool = True
  aug_scale_min: float = base.option(0.8, above=0)
  aug_scale_max: float = base.option(1.2, above=0)
  skip_crowd_during_training: bool = True
  max_num_instances: int = base.option(100, at_least=1)
  use_category: bool = True  # false: all objects are of class 1
  outer_box_scale: float = base.option(1.25, at_least=1)
  box_jitter_scale: float = base.option(0.025, at_least=0)
  num_sampled_masks: int = base.option(8, at_least=1)  # per image
  mask_crop_size: int = base.option(32, at_least=1)
  # (+) Of the targets within outer boxes; training and pasting follow it.
  mask_crop_grid: str = base.option('corners',
                                    choices=detection.MASK_CROP_GRIDS)
  mask_min_level: int = base.option(3, inert='no model reads it')
  mask_max_level: int = base.option(5, inert='no model reads it')
  upsample_factor: int = base.option(4, at_least=1)
  # Classes whose masks are learnt from: all, voc, nonvoc or (+) a list of ids.
  mask_train_class: ClassSet = base.option('all', at_least=1)
  regenerate_source_id: bool = False  # (+) ids from the image bytes


@dataclasses.dataclass(frozen=True)
class ShapeMaskHead:
  """YAML section `shapemask_head`."""
  use_category_for_mask: bool = True  # false: all classes share their masks
  mask_crop_size: int = base.option(32, at_least=1)
  num_convs: int = base.option(4, at_least=0)
  num_downsample_channels: int = base.option(128, at_least=1)
  upsample_factor: int = base.option(4, at_least=1)
  shape_prior_path: str = ''  # of tools.create_shape_priors; '': no priors


@dataclasses.dataclass(frozen=True)
class ShapeMaskLoss:
  """YAML section `shapemask_loss`."""
  shape_prior_loss_weight: float = base.option(0.1, at_least=0)
  coarse_mask_loss_weight: float = base.option(1., at_least=0)
  fine_mask_loss_weight: float = base.option(1., at_least=0)


@dataclasses.dataclass(frozen=True)
class ShapeMaskEval(detection.DetectionEval):
  """YAML section `eval` of ShapeMask."""
  type: str = base.option('shapemask_box_and_mask', choices=common.EVAL_TYPES)
  eval_dataset_type: str = base.option('sstable', choices=common.DATASET_TYPES)
  # Not all: these classes are scored apart, as novel_mask_*, from the others.
  mask_eval_class: ClassSet = base.option('all', at_least=1)


@dataclasses.dataclass(frozen=True)
class ShapeMaskTrain(common.Train):
  """YAML section `train` of ShapeMask."""
  total_steps: int = base.option(45000, at_least=0)
  train_dataset_type: str = base.option('sstable', choices=common.DATASET_TYPES)
  learning_rate: common.LearningRate = common.LearningRate(
      learning_rate_steps=(30000, 40000))
  regularization_variable_regex: Optional[str] = base.option(
      None, pattern=True)
  # The stem and the first block group of a ResNet.
  frozen_variable_prefix: Optional[str] = base.option(
      r'(resnet\d+/)conv2d(|_([1-9]|10))\/', pattern=True)


@dataclasses.dataclass(frozen=True)
class ShapeMask(detection.DetectionExperiment):
  """The configuration of --model=shapemask."""
  type: str = 'shapemask'
  architecture: ShapeMaskArchitecture = ShapeMaskArchitecture()
  shapemask_parser: ShapeMaskParser = ShapeMaskParser()
  retinanet_head: retinanet.RetinaNetHead = retinanet.RetinaNetHead()
  retinanet_loss: retinanet.DenseLoss = retinanet.DenseLoss(
      focal_loss_alpha=0.4, huber_loss_delta=0.15)
  shapemask_head: ShapeMaskHead = ShapeMaskHead()
  shapemask_loss: ShapeMaskLoss = ShapeMaskLoss()
  postprocess: detection.MaskPostprocess = detection.MaskPostprocess()
  train: ShapeMaskTrain = ShapeMaskTrain()
  eval: ShapeMaskEval = ShapeMaskEval()

  RESTRICTIONS = detection.DetectionExperiment.RESTRICTIONS + (
      'shapemask_head.mask_crop_size == shapemask_parser.mask_crop_size',
      'shapemask_head.upsample_factor == shapemask_parser.upsample_factor',
      'shapemask_parser.outer_box_scale == architecture.outer_box_scale',
      'shapemask_parser.unmatched_threshold '
      '<= shapemask_parser.match_threshold',
      'shapemask_parser.aug_scale_min <= shapemask_parser.aug_scale_max')
  EVAL_TYPES = ('shapemask_box_and_mask', 'box', 'box_and_mask')

  def problems(self, trains: bool = True) -> Iterator[str]:
    yield from super().problems(trains)
    train_class = self.shapemask_parser.mask_train_class
    for key, value in (('shapemask_parser.mask_train_class', train_class),
                       ('eval.mask_eval_class', self.eval.mask_eval_class)):
      yield from _class_set_problems(key, value,
                                     self.architecture.num_classes)
    if not self.shapemask_parser.use_category and train_class != 'all':
      yield ('shapemask_parser.use_category is false, so all objects have '
             'class 1: shapemask_parser.mask_train_class (%s) cannot '
             'distinguish them and must be all.' % _text(train_class))

  def notes(self, given: Set[str]) -> Iterator[str]:
    yield from super().notes(given)
    train_class = self.shapemask_parser.mask_train_class
    if train_class != 'all' and self.shapemask_head.use_category_for_mask:
      yield ('shapemask_parser.mask_train_class (%s) leaves out classes: their '
             'masks are not trained. With '
             'shapemask_head.use_category_for_mask: false they share the masks '
             'of the others.' % _text(train_class))


def _class_set_problems(key, value, num_classes):
  if isinstance(value, str):
    if value not in CLASS_SETS:
      yield '%s must be one of %s or a list of class ids; got %r.%s' % (
          key, ', '.join(map(repr, CLASS_SETS)), value,
          base.did_you_mean(value, CLASS_SETS))
  elif not value or max(value) >= num_classes:
    yield ('%s (%s) must name classes from 1 to %d, as '
           'architecture.num_classes is %d.' % (
               key, _text(value), num_classes - 1, num_classes))


def _text(value):
  return value if isinstance(value, str) else str(list(value))
