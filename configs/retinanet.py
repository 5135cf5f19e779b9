"""RetinaNet, arXiv:1708.02002."""

import dataclasses
from typing import Optional, Tuple

from configs import base
from configs import detection


@dataclasses.dataclass(frozen=True)
class RetinaNetArchitecture(detection.DetectionArchitecture):
  """YAML section `architecture` of RetinaNet."""
  parser: str = base.option('retinanet_parser', choices=('retinanet_parser',))
  # Adds the output RawFpnFeatures: all levels in one row per image.
  output_flat_fpn_features: bool = False


@dataclasses.dataclass(frozen=True)
class RetinaNetParser(detection.Augmentation):
  """YAML section `retinanet_parser`: from a record to image and labels."""
  output_size: Tuple[int, int] = base.option(
      (640, 640), at_least=1)  # height, width
  match_threshold: float = base.option(0.5, at_least=0, at_most=1)
  unmatched_threshold: float = base.option(0.5, at_least=0, at_most=1)
  aug_rand_hflip: bool = True
  aug_scale_min: float = base.option(1., above=0)  # 1, 1: no jitter
  aug_scale_max: float = base.option(1., above=0)
  skip_crowd_during_training: bool = True
  max_num_instances: int = base.option(100, at_least=1)  # in labels
  regenerate_source_id: bool = False  # ids from the image bytes


@dataclasses.dataclass(frozen=True)
class RetinaNetHead:
  """YAML section `retinanet_head`: two towers shared by all levels."""
  num_convs: int = base.option(4, at_least=0)
  num_filters: int = base.option(256, at_least=1)
  use_separable_conv: bool = False
  use_batch_norm: bool = True
  anchors_per_location: Optional[int] = base.option(
      None, inert='anchor.num_scales and anchor.aspect_ratios decide')


@dataclasses.dataclass(frozen=True)
class DenseLoss:
  """YAML section `retinanet_loss` of all models with dense heads."""
  focal_loss_alpha: float = base.option(0.25, above=0, below=1)
  focal_loss_gamma: float = base.option(1.5, at_least=0)  # 2.0 in the paper
  huber_loss_delta: float = base.option(0.1, above=0)
  box_loss_weight: float = base.option(50., at_least=0)


@dataclasses.dataclass(frozen=True)
class RetinaNetLoss(DenseLoss):
  """YAML section `retinanet_loss`."""
  # > 0: divide by a moving mean of the positives, not by the batch's own.
  normalizer_momentum: float = base.option(0., at_least=0, below=1)


@dataclasses.dataclass(frozen=True)
class RetinaNet(detection.DetectionExperiment):
  """The configuration of --model=retinanet."""
  type: str = 'retinanet'
  architecture: RetinaNetArchitecture = RetinaNetArchitecture()
  retinanet_parser: RetinaNetParser = RetinaNetParser()
  retinanet_head: RetinaNetHead = RetinaNetHead()
  retinanet_loss: RetinaNetLoss = RetinaNetLoss()

  RESTRICTIONS = detection.DetectionExperiment.RESTRICTIONS + (
      'retinanet_parser.unmatched_threshold '
      '<= retinanet_parser.match_threshold',
      'retinanet_parser.aug_scale_min <= retinanet_parser.aug_scale_max')
  EVAL_TYPES = ('box', 'lvis_box')
