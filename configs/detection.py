"""Sections that all models with boxes share."""

import dataclasses
from typing import Iterator, Optional, Set, Tuple

from configs import base
from configs import common
from configs import decoders
from configs import effects
from configs import experiment
from configs import model_checks
from configs import parts


@dataclasses.dataclass(frozen=True)
class Augmentation:
  """Keys of parsers; docs/augmentation.md. (+) but for RetinaNet's policy."""
  # AutoAugment for boxes, arXiv:1906.11172, or RandAugment; '': off.
  aug_policy: str = base.option('', choices=(
      '', 'v0', 'v1', 'v2', 'v3', 'test', 'randaugment'))
  # Of randaugment, arXiv:1909.13719: operations per image, and how strong they
  # are, 0 to 10.
  randaugment_num_layers: int = base.option(2, at_least=1)
  randaugment_magnitude: float = base.option(5., at_least=0, at_most=10)
  # standard: 0.8 to 1.25; large: 0.1 to 2 (arXiv:2012.07177). It wins over
  # aug_scale_min and aug_scale_max.
  aug_scale_preset: str = base.option('', choices=('', 'standard', 'large'))
  legacy_augmentation: bool = False  # with upstream's defects


# (+) How the mask of an object is sampled within its box. corners: points, the
# first and the last on the border, as published weights were trained; cells:
# means over the cells of a grid that tiles the box.
MASK_CROP_GRIDS = ('corners', 'cells')


@dataclasses.dataclass(frozen=True)
class DetectionArchitecture(common.Architecture):
  """YAML section `architecture` of models with boxes."""
  multilevel_features: str = base.option(
      'fpn', choices=tuple(decoders.DECODERS))
  # Class 0, the background, counts; COCO ids reach up to 90.
  num_classes: int = base.option(
      91, at_least=2, at_most=common.MOST_CLASSES)
  # (+) Boxes of a network input of S pixels end at S, where its last pixel
  # does, and not at S - 1 as upstream. In training and for detections.
  clip_boxes_to_border: bool = False


@dataclasses.dataclass(frozen=True)
class Anchor:
  """YAML section `anchor`: boxes at every cell of every level."""
  num_scales: int = base.option(3, at_least=1)  # sizes within an octave
  aspect_ratios: Tuple[float, ...] = base.option(
      (1., 2., .5), above=0)  # width / height
  anchor_size: float = base.option(4., above=0)  # in strides


@dataclasses.dataclass(frozen=True)
class Postprocess:
  """YAML section `postprocess`: from outputs to detections."""
  apply_nms: bool = True  # false: raw boxes and scores
  apply_sigmoid: bool = True  # false: scores are logits
  # v1: per image and class; v2: tiled, for TPU; batched: one kernel, for GPU.
  nms_version: str = base.option('v1', choices=('v1', 'v2', 'batched'))
  use_batched_nms: bool = False  # older spelling of nms_version: batched
  max_total_size: int = base.option(100, at_least=1)  # detections per image
  nms_iou_threshold: float = base.option(0.5, at_least=0, at_most=1)
  score_threshold: float = 0.05
  pre_nms_num_boxes: int = base.option(5000, at_least=1)  # of each class


@dataclasses.dataclass(frozen=True)
class MaskPostprocess(Postprocess):
  """YAML section `postprocess` of models with masks."""
  # (+) Masks are pasted as upstream does, which moves and grows them by up to
  # two pixels, and not by the inverse of how targets are cropped.
  legacy_mask_paste: bool = False


@dataclasses.dataclass(frozen=True)
class TestTimeAugmentation:
  """YAML section `eval.test_time_augmentation` (+); docs/evaluation.md.

  Detections of several views of each image are merged, by evaluation, mode
  predict and serving.predictor.
  """
  flip: bool = False  # also mirrored
  # Further sizes of the network input, times that of the parser.
  scales: Tuple[float, ...] = base.option((), at_least=.1, at_most=4)


@dataclasses.dataclass(frozen=True)
class DetectionEval(common.Eval):
  """YAML section `eval` of models with boxes."""
  type: str = base.option('box', choices=common.EVAL_TYPES)
  eval_samples: Optional[int] = base.option(None, at_least=1)
  # Ground truth from val_json_file, or from the records if that is not set.
  # Results have the ids of that file, of images and of categories.
  use_json_file: bool = True
  val_json_file: str = ''
  per_category_metrics: bool = False
  # (+) Leave the padding behind the last detection out of the metrics.
  remove_invalid_boxes: bool = True
  # (+) Also score so many detections of each image; COCO's limit is 100.
  max_detections: Optional[int] = base.option(None, above=100)
  # (+) Further metrics, see docs/evaluation.md; names of evaluation.factory's
  # table EXTRA_METRICS.
  extra_metrics: Tuple[str, ...] = ()
  test_time_augmentation: TestTimeAugmentation = TestTimeAugmentation()  # (+)


def _augmentation_rule(key, decider, value):
  """A rule for a key of whichever parser: it needs a value of another key."""
  def reason(config):
    name = config.architecture.parser
    actual = getattr(getattr(config, name), decider)
    return None if actual == value else '%s.%s is %r' % (name, decider, actual)
  return effects.Rule(tuple('%s.%s' % (name, key) for name in (
      'retinanet_parser', 'maskrcnn_parser', 'shapemask_parser')), reason)


@dataclasses.dataclass(frozen=True)
@parts.with_sections(decoders.DECODERS)
class DetectionExperiment(experiment.Experiment):
  """A model with anchors, boxes and non-maximum suppression."""
  architecture: DetectionArchitecture = DetectionArchitecture()
  anchor: Anchor = Anchor()
  postprocess: Postprocess = Postprocess()
  eval: DetectionEval = DetectionEval()

  EFFECTS = experiment.Experiment.EFFECTS + (
      *model_checks.DECODER_RULES,
      effects.Rule(
          ('eval.max_detections',),
          lambda c: ('eval.type is %r, whose metrics count 300 detections of '
                     'an image' % c.eval.type
                     if c.eval.type.startswith('lvis') else None)),
      effects.Rule(
          ('eval.val_json_file',),
          effects.unless(lambda c: c.eval.use_json_file,
                         'eval.use_json_file')),
      effects.Rule(
          tuple('postprocess.' + key for key in (
              'nms_version', 'use_batched_nms', 'max_total_size',
              'nms_iou_threshold', 'score_threshold', 'pre_nms_num_boxes')),
          effects.unless(lambda c: c.postprocess.apply_nms,
                         'postprocess.apply_nms')),
      effects.Rule(
          ('eval.test_time_augmentation',),
          effects.unless(lambda c: c.postprocess.apply_nms,
                         'postprocess.apply_nms')),
  ) + tuple(_augmentation_rule(*names) for names in (
      ('randaugment_num_layers', 'aug_policy', 'randaugment'),
      ('randaugment_magnitude', 'aug_policy', 'randaugment'),
      ('aug_scale_min', 'aug_scale_preset', ''),
      ('aug_scale_max', 'aug_scale_preset', '')))

  def problems(self, trains: bool = True) -> Iterator[str]:
    yield from super().problems(trains)
    section = self.postprocess
    if section.apply_sigmoid and section.score_threshold >= 1:
      yield ('postprocess.score_threshold (%g) must be less than 1: no score '
             'is above it.' % section.score_threshold)
    yield from self._problems_of_scales()

  def _problems_of_scales(self):
    """Sentences about scales that show an image as another one does."""
    size = getattr(self, self.architecture.parser).output_size
    known = {tuple(size): 1.}  # 1 may stand in the list, or not.
    for scale in self.eval.test_time_augmentation.scales:
      scaled = tuple(int(side * scale + .5) for side in size)
      if scaled in known and scale != 1:
        yield ('eval.test_time_augmentation.scales: %g fits images into %d x '
               '%d pixels (height x width), as %g does: leave it out.' % (
                   (scale,) + scaled + (known[scaled],)))
      known.setdefault(scaled, scale)

  def notes(self, given: Set[str]) -> Iterator[str]:
    yield from super().notes(given)
    section = self.postprocess
    if section.use_batched_nms and 'postprocess.nms_version' in given and (
        section.nms_version != 'batched'):
      yield ('postprocess.nms_version (%r) has no effect: '
             'postprocess.use_batched_nms is true, which means batched.'
             % section.nms_version)
    limit, size = self.eval.max_detections, self.postprocess.max_total_size
    if limit and limit > size and given & {'eval.max_detections',
                                           'postprocess.max_total_size'}:
      yield ('eval.max_detections (%d) is greater than '
             'postprocess.max_total_size (%d): there are never more detections '
             'of an image to count.' % (limit, size))
    scales = self.eval.test_time_augmentation.scales
    if scales and set(scales) == {1} and (
        'eval.test_time_augmentation.scales' in given):
      yield ('eval.test_time_augmentation.scales (%s) has no effect: images '
             'are always shown at scale 1.' % list(scales))
