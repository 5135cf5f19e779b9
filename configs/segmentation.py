"""Semantic segmentation: a class for every pixel."""

import dataclasses
from typing import Iterator, Optional, Tuple

from configs import base
from configs import common
from configs import decoders
from configs import effects
from configs import experiment
from configs import model_checks
from configs import parts


@dataclasses.dataclass(frozen=True)
class SegmentationArchitecture(common.Architecture):
  """YAML section `architecture` of segmentation."""
  parser: str = base.option(
      'segmentation_parser', choices=('segmentation_parser',))
  # Pascal VOC and background.
  num_classes: int = base.option(
      21, at_least=2, at_most=common.MOST_CLASSES)
  multilevel_features: str = base.option(
      'fpn', choices=tuple(decoders.DECODERS))
  use_aspp: bool = False  # dilated convolutions; arXiv:1706.05587
  use_pyramid_fusion: bool = False  # all levels into segmentation_head.level


@dataclasses.dataclass(frozen=True)
class SegmentationParser:
  """YAML section `segmentation_parser`: from a record to image and labels."""
  output_size: Tuple[int, int] = base.option(
      (512, 512), at_least=1)  # height, width
  resize_eval: bool = False  # false: evaluation images are only padded
  ignore_label: int = 255  # pixels without a class
  aug_rand_hflip: bool = True
  aug_scale_min: float = base.option(0.75, above=0)
  aug_scale_max: float = base.option(1.5, above=0)
  aug_policy: str = base.option('', inert='no policy exists for segmentation')


@dataclasses.dataclass(frozen=True)
class SegmentationHead:
  """YAML section `segmentation_head`."""
  level: int = base.option(3, at_least=1)  # of the features it works on
  num_convs: int = base.option(2, at_least=0)
  use_batch_norm: bool = True
  upsample_factor: int = base.option(1, at_least=1)
  upsample_num_filters: int = base.option(256, at_least=1)


@dataclasses.dataclass(frozen=True)
class SegmentationLoss:
  """YAML section `segmentation_loss`."""
  ignore_label: int = 255
  use_groundtruth_dimension: bool = True  # resize logits, not labels
  class_weights: Tuple[float, ...] = base.option((), at_least=0)  # (): all 1
  label_smoothing: float = base.option(0., at_least=0, below=1)


@dataclasses.dataclass(frozen=True)
class SegmentationTrain(common.Train):
  """YAML section `train` of segmentation."""
  total_steps: int = base.option(10000, at_least=0)
  learning_rate: common.LearningRate = common.LearningRate(
      type='cosine', init_learning_rate=0.02)
  gradient_clip_norm: float = base.option(0.5, at_least=0)
  transpose_input: bool = False
  # The stem and the first block group of a ResNet.
  frozen_variable_prefix: Optional[str] = base.option(
      r'(resnet\d+)\/(conv2d(|_([1-9]|10))'
      r'|batch_normalization(|_([1-9]|10)))\/', pattern=True)


@dataclasses.dataclass(frozen=True)
@parts.with_sections(decoders.DECODERS)
class Segmentation(experiment.Experiment):
  """The configuration of --model=segmentation."""
  type: str = 'segmentation'
  architecture: SegmentationArchitecture = SegmentationArchitecture()
  segmentation_parser: SegmentationParser = SegmentationParser()
  segmentation_head: SegmentationHead = SegmentationHead()
  segmentation_loss: SegmentationLoss = SegmentationLoss()
  train: SegmentationTrain = SegmentationTrain()
  eval: common.Eval = common.Eval(eval_samples=1449)

  RESTRICTIONS = experiment.Experiment.RESTRICTIONS + (
      'segmentation_loss.ignore_label == segmentation_parser.ignore_label',
      'segmentation_parser.aug_scale_min <= segmentation_parser.aug_scale_max')

  EFFECTS = experiment.Experiment.EFFECTS + (
      *model_checks.DECODER_RULES,
      effects.Rule(
          ('segmentation_head.upsample_num_filters',),
          effects.unless(lambda c: c.segmentation_head.upsample_factor > 1,
                         'segmentation_head.upsample_factor')))

  def problems(self, trains: bool = True) -> Iterator[str]:
    yield from super().problems(trains)
    yield from model_checks.pyramid_size_problems(self)
    level, architecture = self.segmentation_head.level, self.architecture
    if not (architecture.use_pyramid_fusion  # It resizes all to that level.
            or architecture.min_level <= level <= architecture.max_level):
      yield ('segmentation_head.level (%d) must be from '
             'architecture.min_level (%d) to architecture.max_level (%d).' % (
                 level, architecture.min_level, architecture.max_level))
    weights, classes = (self.segmentation_loss.class_weights,
                        self.architecture.num_classes)
    if weights and len(weights) != classes:
      yield ('segmentation_loss.class_weights %s (%d) must have one weight '
             'for each of architecture.num_classes (%d).'
             % (list(weights), len(weights), classes))
    elif weights and not any(weights):
      yield ('segmentation_loss.class_weights %s must not all be 0: nothing '
             'would be learnt.' % list(weights))
