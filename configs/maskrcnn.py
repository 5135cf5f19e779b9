"""Faster R-CNN, Mask R-CNN (arXiv:1703.06870) and Cascade (1712.00726).

Faster R-CNN is `architecture.include_mask: false` with `eval.type: box`; the
cascade is `type: cascade_mask_rcnn` with `roi_sampling.cascade_iou_thresholds`.
"""

import dataclasses
from typing import Iterator, Optional, Set, Tuple

from configs import base
from configs import common
from configs import detection
from configs import effects


@dataclasses.dataclass(frozen=True)
class MaskRCNNArchitecture(detection.DetectionArchitecture):
  """YAML section `architecture` of the R-CNN family."""
  min_level: int = base.option(2, at_least=1)
  max_level: int = base.option(6, at_least=1)
  parser: str = base.option('maskrcnn_parser', choices=('maskrcnn_parser',))
  include_mask: bool = True
  mask_target_size: int = base.option(28, at_least=1)  # pixels of a side


@dataclasses.dataclass(frozen=True)
class MaskRCNNParser(detection.Augmentation):
  """YAML section `maskrcnn_parser`: from a record to image and labels."""
  output_size: Tuple[int, int] = base.option(
      (1024, 1024), at_least=1)  # height, width
  rpn_match_threshold: float = base.option(0.7, at_least=0, at_most=1)
  rpn_unmatched_threshold: float = base.option(0.3, at_least=0, at_most=1)
  rpn_batch_size_per_im: int = base.option(256, at_least=1)  # anchors
  rpn_fg_fraction: float = base.option(0.5, above=0, at_most=1)
  aug_rand_hflip: bool = True
  aug_scale_min: float = base.option(1., above=0)  # 1, 1: no jitter
  aug_scale_max: float = base.option(1., above=0)
  copy_paste: bool = False  # arXiv:2012.07177; needs architecture.pre_parser
  # (+) Pixels of the image that a side must move by until a box is drawn
  # again around what pasted objects leave visible.
  copy_paste_box_update_threshold: float = base.option(10., at_least=0)
  # (+) Pixels of the image: of such an object, so few must stay visible that
  # it is dropped.
  copy_paste_occluded_obj_threshold: float = base.option(300., at_least=0)
  skip_crowd_during_training: bool = True
  max_num_instances: int = base.option(100, at_least=1)
  mask_crop_size: int = base.option(112, at_least=1)  # of ground-truth masks
  # (+) Of them and of the targets; training and pasting follow it.
  mask_crop_grid: str = base.option('corners',
                                    choices=detection.MASK_CROP_GRIDS)
  regenerate_source_id: bool = False  # ids from the image bytes


@dataclasses.dataclass(frozen=True)
class RPNHead:
  """YAML section `rpn_head`: object or not, at every anchor."""
  num_convs: int = base.option(1, at_least=0)
  num_filters: int = base.option(256, at_least=1)
  use_separable_conv: bool = False
  use_batch_norm: bool = False
  cast_to_float32: bool = False  # compute the head in float32
  anchors_per_location: Optional[int] = base.option(
      None, inert='anchor.num_scales and anchor.aspect_ratios decide')


@dataclasses.dataclass(frozen=True)
class BoxHead:
  """YAML section `frcnn_head`: class and box of every RoI."""
  num_convs: int = base.option(0, at_least=0)
  num_filters: int = base.option(256, at_least=1)
  use_separable_conv: bool = False
  num_fcs: int = base.option(2, at_least=0)
  fc_dims: int = base.option(1024, at_least=1)
  use_batch_norm: bool = False
  class_agnostic_bbox_pred: bool = False  # one box for all classes
  cascade_class_ensemble: bool = False  # mean of the class logits of stages


@dataclasses.dataclass(frozen=True)
class MaskHead:
  """YAML section `mrcnn_head`: the mask of every detection."""
  num_convs: int = base.option(4, at_least=0)
  num_filters: int = base.option(256, at_least=1)
  use_separable_conv: bool = False
  use_batch_norm: bool = False
  class_agnostic_mask_pred: bool = False  # one mask for all classes


@dataclasses.dataclass(frozen=True)
class RPNScoreLoss:
  """YAML section `rpn_score_loss`."""
  rpn_batch_size_per_im: int = base.option(256, at_least=1)  # normaliser


@dataclasses.dataclass(frozen=True)
class RPNBoxLoss:
  """YAML section `rpn_box_loss`."""
  huber_loss_delta: float = base.option(1. / 9., above=0)


@dataclasses.dataclass(frozen=True)
class BoxLoss:
  """YAML section `frcnn_box_loss`."""
  huber_loss_delta: float = base.option(1., above=0)


@dataclasses.dataclass(frozen=True)
class RoIProposal:
  """YAML section `roi_proposal`; `test_*` hold outside training."""
  rpn_pre_nms_top_k: int = base.option(2000, at_least=1)  # of each level
  rpn_post_nms_top_k: int = base.option(1000, at_least=1)
  rpn_nms_threshold: float = base.option(0.7, at_least=0, at_most=1)
  rpn_score_threshold: float = base.option(0., below=1)
  rpn_min_size_threshold: float = base.option(0., at_least=0)  # pixels
  test_rpn_pre_nms_top_k: int = base.option(1000, at_least=1)
  test_rpn_post_nms_top_k: int = base.option(1000, at_least=1)
  test_rpn_nms_threshold: float = base.option(0.7, at_least=0, at_most=1)
  test_rpn_score_threshold: float = base.option(0., below=1)
  test_rpn_min_size_threshold: float = base.option(0., at_least=0)
  use_batched_nms: bool = False


@dataclasses.dataclass(frozen=True)
class RoISampling:
  """YAML section `roi_sampling`: RoIs that the box head is trained on."""
  num_samples_per_image: int = base.option(512, at_least=1)
  fg_fraction: float = base.option(0.25, above=0, at_most=1)
  fg_iou_thresh: float = base.option(0.5, at_least=0, at_most=1)
  bg_iou_thresh_hi: float = base.option(0.5, at_least=0, at_most=1)
  bg_iou_thresh_lo: float = base.option(0., at_least=0, at_most=1)
  mix_gt_boxes: bool = True  # the ground truth is among the candidates
  # Foreground IoU of the stages after the first, two at most.
  cascade_iou_thresholds: Optional[Tuple[float, ...]] = base.option(
      None, at_least=0, at_most=1)


@dataclasses.dataclass(frozen=True)
class MaskSampling:
  """YAML section `mask_sampling`: RoIs that the mask head is trained on."""
  num_mask_samples_per_image: int = base.option(128, at_least=1)


def _is_cascade(config):
  return (config.type == 'cascade_mask_rcnn'
          and bool(config.roi_sampling.cascade_iou_thresholds))


@dataclasses.dataclass(frozen=True)
class MaskRCNN(detection.DetectionExperiment):
  """The configuration of --model=mask_rcnn and --model=cascade_mask_rcnn."""
  type: str = 'mask_rcnn'
  architecture: MaskRCNNArchitecture = MaskRCNNArchitecture()
  anchor: detection.Anchor = detection.Anchor(num_scales=1, anchor_size=8.)
  maskrcnn_parser: MaskRCNNParser = MaskRCNNParser()
  rpn_head: RPNHead = RPNHead()
  frcnn_head: BoxHead = BoxHead()
  mrcnn_head: MaskHead = MaskHead()
  rpn_score_loss: RPNScoreLoss = RPNScoreLoss()
  rpn_box_loss: RPNBoxLoss = RPNBoxLoss()
  frcnn_box_loss: BoxLoss = BoxLoss()
  roi_proposal: RoIProposal = RoIProposal()
  roi_sampling: RoISampling = RoISampling()
  mask_sampling: MaskSampling = MaskSampling()
  postprocess: detection.MaskPostprocess = detection.MaskPostprocess(
      pre_nms_num_boxes=1000)
  eval: detection.DetectionEval = detection.DetectionEval(type='box_and_mask')

  RESTRICTIONS = detection.DetectionExperiment.RESTRICTIONS + (
      'maskrcnn_parser.rpn_unmatched_threshold '
      '<= maskrcnn_parser.rpn_match_threshold',
      'maskrcnn_parser.aug_scale_min <= maskrcnn_parser.aug_scale_max',
      'roi_sampling.bg_iou_thresh_lo <= roi_sampling.bg_iou_thresh_hi',
      'roi_sampling.bg_iou_thresh_hi <= roi_sampling.fg_iou_thresh',
      'mask_sampling.num_mask_samples_per_image '
      '<= roi_sampling.num_samples_per_image',
      'rpn_score_loss.rpn_batch_size_per_im '
      '== maskrcnn_parser.rpn_batch_size_per_im')
  EVAL_TYPES = tuple(t for t in common.EVAL_TYPES if t in (
      'box', 'box_and_mask', 'lvis_box', 'lvis_box_and_mask'))
  EFFECTS = detection.DetectionExperiment.EFFECTS + (
      effects.Rule(
          ('mrcnn_head', 'mask_sampling', 'architecture.mask_target_size',
           'maskrcnn_parser.mask_crop_size'),
          effects.unless(lambda c: c.architecture.include_mask,
                         'architecture.include_mask')),
      effects.Rule(
          ('maskrcnn_parser.copy_paste_box_update_threshold',
           'maskrcnn_parser.copy_paste_occluded_obj_threshold'),
          effects.unless(lambda c: c.maskrcnn_parser.copy_paste,
                         'maskrcnn_parser.copy_paste')),
      effects.Rule(
          ('postprocess.apply_sigmoid',),
          lambda c: 'the scores of type %s are those of a softmax' % c.type),
      effects.Rule(
          ('frcnn_head.cascade_class_ensemble',),
          effects.unless(_is_cascade, 'type',
                         'roi_sampling.cascade_iou_thresholds')),
  )

  def problems(self, trains: bool = True) -> Iterator[str]:
    yield from super().problems(trains)
    thresholds = self.roi_sampling.cascade_iou_thresholds
    if thresholds and len(thresholds) > 2:
      # Box weights are defined for three stages.
      yield ('roi_sampling.cascade_iou_thresholds %s: two at most.'
             % list(thresholds))
    if self.maskrcnn_parser.copy_paste:
      if not self.architecture.include_mask:
        yield ('maskrcnn_parser.copy_paste needs masks: set '
               'architecture.include_mask: true.')
      if not self.architecture.pre_parser:
        yield ('maskrcnn_parser.copy_paste needs objects to paste: set '
               'architecture.pre_parser: extract_objects_parser and '
               'train.pre_parser_dataset.file_pattern.')

  def notes(self, given: Set[str]) -> Iterator[str]:
    yield from super().notes(given)
    if self.architecture.pre_parser and not self.maskrcnn_parser.copy_paste:
      yield ('architecture.pre_parser: %s has no effect: '
             'maskrcnn_parser.copy_paste is false.'
             % self.architecture.pre_parser)
    thresholds = self.roi_sampling.cascade_iou_thresholds
    if thresholds and self.type != 'cascade_mask_rcnn':
      yield ('roi_sampling.cascade_iou_thresholds: %s has no effect: type is '
             '%r, not cascade_mask_rcnn.' % (list(thresholds), self.type))
    if not self.architecture.include_mask and self.eval.type.endswith('mask'):
      yield ('eval.type is %r but architecture.include_mask is false: there '
             'are no masks to evaluate, set eval.type: box.' % self.eval.type)
