"""The operations that `tools.benchmarks.ops` times, at training sizes.

To add one, write a function that builds it and name it in CASES.
"""

import collections
import functools
import itertools
from typing import Any, Callable, List, NamedTuple, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from ops import anchors as anchor_ops
from ops import detections
from ops import losses as loss_ops
from ops import masks as mask_ops
from ops import nms
from ops import preprocess
from ops import proposals
from ops import roi_align
from ops import roi_losses
from ops import roi_targets
from ops import sampling
from ops import targets
from ops import tensor_types
from tools.benchmarks import timing

SIZE = 640  # pixels, both sides
BATCH = 2
NUM_CLASSES = 91


class Case(NamedTuple):
  """An operation to be timed.

  Attributes:
    build: () -> nest of tensors or operations.
    reference: CPU seconds of the reference on TF 1.15 and on 2.15 (two cores),
      or None.
  """
  build: Callable[[], Any]
  reference: Optional[Tuple[float, float]]


def _anchors():
  """Those of the default RetinaNet."""
  return anchor_ops.AnchorGenerator(3, 7, 3, [1., 2., .5], 4.).boxes(
      (SIZE, SIZE))


def _cells(level):
  return SIZE >> level, SIZE >> level


def _random_boxes(rng, count, size):
  """float32 [count, 4], sides of 16 to 320 pixels, in an image of `size`."""
  centers = rng.uniform(0., size, [count, 2])
  half = np.exp(rng.uniform(np.log(8.), np.log(160.), [count, 2]))
  boxes = np.concatenate([centers - half, centers + half], axis=1)
  return np.clip(boxes, 0., size - 1.).astype(np.float32)


def anchor_labels() -> Any:
  """Targets of one image with seven objects."""
  rng = np.random.RandomState(0)
  return targets.label_retinanet_anchors(
      _anchors(), timing.stored(_random_boxes(rng, 7, SIZE)),
      timing.stored(rng.randint(1, NUM_CLASSES, 7).astype(np.int64)),
      (SIZE, SIZE), 0.5, 0.5)


def image_resize() -> Any:
  """A photograph of 640 x 480 to the network's input."""
  image = np.random.RandomState(0).randint(0, 256, [480, 640, 3])
  return preprocess.resize_and_crop_image(
      timing.stored(image.astype(np.uint8)), (SIZE, SIZE), (SIZE, SIZE),
      normalize=True)


def random_logits(mean: float) -> tensor_types.Levels:
  """{level: normal logits, standard deviation 1}."""
  rng = np.random.RandomState(1)
  return {level: rng.normal(mean, 1., (BATCH,) + _cells(level) + (
      9 * NUM_CLASSES,)).astype(np.float32) for level in range(3, 8)}


def trained_logits() -> tensor_types.Levels:
  """What a trained model gives: some 500 pairs above 0.05 an image.

  Near each of 15 objects, anchors score by how well they cover it.
  """
  rng = np.random.RandomState(2)
  by_level, start = {}, 0
  anchors = _anchors()
  flat = np.concatenate([anchors[level] for level in sorted(anchors)])
  logits = rng.normal(-8., .5, [BATCH, len(flat), NUM_CLASSES])
  for image in logits:
    for box in _random_boxes(rng, 15, SIZE):
      overlap = _iou(flat, box)
      near = np.flatnonzero(overlap > .4)
      image[near, rng.randint(1, NUM_CLASSES)] = (
          -3. + 8. * (overlap[near] - .4) + rng.normal(0., 1., len(near)))
  for level in sorted(anchors):
    stop = start + len(anchors[level])
    by_level[level] = logits[:, start:stop].reshape(
        (BATCH,) + _cells(level) + (-1,)).astype(np.float32)
    start = stop
  return by_level


def _iou(boxes, box):
  low = np.maximum(boxes[:, :2], box[:2])
  high = np.minimum(boxes[:, 2:], box[2:])
  intersection = np.prod(np.maximum(high - low, 0.), axis=1)
  areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
  return intersection / (areas + np.prod(box[2:] - box[:2]) - intersection)


def retinanet_detections(make_logits: Callable[[], Any],
                         nms_version: str) -> tensor_types.Tensors:
  """Boxes of a batch from the logits of `make_logits`."""
  rng = np.random.RandomState(3)
  box_outputs = {level: timing.stored(rng.normal(
      0., .1, (BATCH,) + _cells(level) + (36,)).astype(np.float32))
                 for level in range(3, 8)}
  class_outputs = {level: timing.stored(logits)
                   for level, logits in make_logits().items()}
  shapes = np.full([BATCH, 1, 2], SIZE, np.float32)
  return detections.generate_one_stage_detections(
      box_outputs, class_outputs, _anchors(), timing.stored(shapes),
      nms_version=nms_version)


def maskrcnn_detections() -> tensor_types.Tensors:
  """Boxes of a batch from 1,000 regions an image."""
  rng = np.random.RandomState(4)
  rois = np.stack([_random_boxes(rng, 1000, SIZE) for _ in range(BATCH)])
  return detections.generate_two_stage_detections(
      timing.stored(rng.normal(
          0., .5, [BATCH, 1000, 4 * NUM_CLASSES]).astype(np.float32)),
      timing.stored(rng.normal(
          0., 2., [BATCH, 1000, NUM_CLASSES]).astype(np.float32)),
      timing.stored(rois),
      timing.stored(np.full([BATCH, 1, 2], SIZE, np.float32)),
      pre_nms_num_boxes=1000)


def sorted_nms() -> Tuple[tf.Tensor, tf.Tensor]:
  """1,000 of 2,000 proposals an image."""
  rng = np.random.RandomState(5)
  boxes = np.stack([_random_boxes(rng, 2000, 1024) for _ in range(BATCH)])
  scores = np.sort(rng.uniform(size=[BATCH, 2000]))[:, ::-1]
  return nms.sorted_nms_padded(
      timing.stored(scores.astype(np.float32)), timing.stored(boxes), 1000, .7)


def class_loss() -> List[tf.Tensor]:
  """Focal loss of a batch, and its gradient."""
  rng = np.random.RandomState(6)
  logits = {level: timing.stored(value)
            for level, value in random_logits(-4.6).items()}
  cls_targets = {}
  for level in logits:
    shape = (BATCH,) + _cells(level) + (9,)
    labels = rng.randint(1, NUM_CLASSES, shape)
    background = rng.uniform(size=shape) < .999
    cls_targets[level] = timing.stored(
        np.where(background, -1, labels).astype(np.int32))
  loss = loss_ops.retinanet_class_loss(
      logits, cls_targets, timing.stored(np.float32([60., 60.])), NUM_CLASSES,
      .25, 1.5)
  return tf.gradients(loss, list(logits.values()))


def box_loss() -> List[tf.Tensor]:
  """Box loss of a batch, and its gradient."""
  rng = np.random.RandomState(7)
  outputs, box_targets = {}, {}
  for level in range(3, 8):
    shape = (BATCH,) + _cells(level) + (36,)
    outputs[level] = timing.stored(rng.normal(size=shape).astype(np.float32))
    matched = rng.uniform(size=shape) > .999
    box_targets[level] = timing.stored(
        (matched * rng.normal(size=shape)).astype(np.float32))
  loss = loss_ops.retinanet_box_loss(
      outputs, box_targets, timing.stored(np.float32([60., 60.])), .1)
  return tf.gradients(loss, list(outputs.values()))


def roi_crops(num_rois: int, crop_size: int, with_gradient: bool) -> Any:
  """Crops out of a pyramid of 256 channels; their gradient to the features."""
  rng = np.random.RandomState(8)
  features = {level: timing.stored(
      rng.normal(size=(BATCH,) + _cells(level) + (256,)).astype(np.float32))
              for level in range(2, 7)}
  rois = np.stack([_random_boxes(rng, num_rois, SIZE) for _ in range(BATCH)])
  crops = roi_align.multilevel_roi_align(
      features, timing.stored(rois), crop_size)
  if not with_gradient:
    return crops
  upstream = rng.normal(size=crops.shape.as_list()).astype(np.float32)
  # The crops too: the gradient alone does not need them.
  return [crops, tf.gradients(
      crops, list(features.values()), timing.stored(upstream))]


def mask_crops() -> tf.Tensor:
  """Targets of the mask head: 128 regions an image, masks of 112 x 112."""
  rng = np.random.RandomState(9)
  boxes = np.stack([_random_boxes(rng, 128, SIZE) for _ in range(BATCH)])
  shifted = boxes + rng.uniform(-8., 8., boxes.shape).astype(np.float32)
  gt_masks = rng.uniform(size=[BATCH, 128, 112, 112]) > .5
  return mask_ops.crop_masks_in_boxes(
      timing.stored(gt_masks.astype(np.float32)), timing.stored(boxes),
      timing.stored(shifted), 28)


def _rpn_anchors(size):
  """Those of the default Mask R-CNN."""
  return anchor_ops.AnchorGenerator(2, 6, 1, [1., 2., .5], 8.).boxes(
      (size, size))


def rpn_anchor_labels() -> Tuple[tensor_types.Levels, tensor_types.Levels]:
  """Targets of one image of 1024 pixels with seven objects."""
  rng = np.random.RandomState(10)
  calls = itertools.count()
  return targets.label_rpn_anchors(
      _rpn_anchors(1024), timing.stored(_random_boxes(rng, 7, 1024)),
      (1024, 1024), 0.7, 0.3, 256, 0.5,
      lambda size, count: sampling.draw_distinct(size, count, [0, next(calls)]))


def random_rpn_logits() -> tensor_types.Levels:
  """{level: logits of an untrained network}."""
  rng = np.random.RandomState(11)
  return {level: rng.normal(size=[BATCH, len(boxes)])
          for level, boxes in _rpn_anchors(SIZE).items()}


def trained_rpn_logits() -> tensor_types.Levels:
  """{level: logits}, high near 15 objects: most proposals overlap others."""
  rng = np.random.RandomState(12)
  logits = random_rpn_logits()
  for image in range(BATCH):
    for box in _random_boxes(rng, 15, SIZE):
      for level, boxes in _rpn_anchors(SIZE).items():
        logits[level][image] += 14. * np.maximum(_iou(boxes, box) - .2, 0.)
  return logits


def _rpn_outputs(logits):
  """({level: boxes}, {level: scores}) of flat logits."""
  rng = np.random.RandomState(13)
  boxes, scores = {}, {}
  for level, values in logits.items():
    shape = (BATCH,) + _cells(level)
    boxes[level] = timing.stored(
        rng.normal(0., .1, shape + (12,)).astype(np.float32))
    scores[level] = timing.stored(
        values.reshape(shape + (3,)).astype(np.float32))
  return boxes, scores


def roi_proposals(make_logits: Callable[[], Any],
                  pre_nms_top_k: int) -> Tuple[tf.Tensor, tf.Tensor]:
  """1,000 regions an image from the logits of `make_logits`."""
  return proposals.generate_proposals(
      *_rpn_outputs(make_logits()), anchor_boxes=_rpn_anchors(SIZE),
      image_shape=timing.stored(np.full([BATCH, 2], SIZE, np.float32)),
      pre_nms_top_k=pre_nms_top_k, post_nms_top_k=1000, nms_threshold=.7)


def roi_sampling() -> Any:
  """512 of 1,000 regions an image, with their box targets; seven objects."""
  rng = np.random.RandomState(14)
  rois = np.stack([_random_boxes(rng, 1000, SIZE) for _ in range(BATCH)])
  gt_boxes = np.full([BATCH, 100, 4], -1., np.float32)
  gt_boxes[:, :7] = rois[:, :7]
  gt_classes = np.full([BATCH, 100], -1, np.int64)
  gt_classes[:, :7] = rng.randint(1, NUM_CLASSES, [BATCH, 7])
  sampled = roi_targets.sample_rois(
      timing.stored(rois), timing.stored(gt_boxes), timing.stored(gt_classes),
      num_samples=512)
  return sampled, roi_targets.encode_box_targets(sampled)


def rpn_losses() -> List[tf.Tensor]:
  """Score and box loss of a batch, and their gradient."""
  rng = np.random.RandomState(15)
  outputs = _rpn_outputs(random_rpn_logits())
  score_targets, box_targets = {}, {}
  for level in outputs[0]:
    shape = outputs[1][level].shape.as_list()
    matched = rng.uniform(size=shape) > .999
    score_targets[level] = timing.stored(matched.astype(np.int32) - 1)
    box_targets[level] = timing.stored(
        np.repeat(matched, 4, axis=3).astype(np.float32))
  loss = (roi_losses.rpn_score_loss(outputs[1], score_targets, 256) +
          roi_losses.rpn_box_loss(outputs[0], box_targets, 1. / 9.))
  return tf.gradients(loss, tf.nest.flatten(outputs))


# Detections: logits around the prior of an untrained head by default; `_wide`
# ones give each class thousands of scores above the threshold.
_prior_logits = functools.partial(random_logits, -4.6)
_wide_logits = functools.partial(random_logits, 0.)


def _detections(make_logits, nms_version, reference=None):
  return Case(functools.partial(retinanet_detections, make_logits, nms_version),
              reference)


def _proposals(make_logits, pre_nms_top_k, reference=None):
  return Case(functools.partial(roi_proposals, make_logits, pre_nms_top_k),
              reference)


CASES = collections.OrderedDict([
    ('image_resize_640', Case(image_resize, None)),
    ('anchor_labels_640', Case(anchor_labels, (.018, .010))),
    ('class_loss_640', Case(class_loss, None)),
    ('box_loss_640', Case(box_loss, None)),
    ('retinanet_detections_v1',
     _detections(_prior_logits, 'v1', (.568, 1.028))),
    ('retinanet_detections_v2',
     _detections(_prior_logits, 'v2', (1.310, .712))),
    ('retinanet_detections_batched',
     _detections(_prior_logits, 'batched', (.261, .070))),
    ('retinanet_detections_v1_wide', _detections(_wide_logits, 'v1')),
    ('retinanet_detections_v2_wide', _detections(_wide_logits, 'v2')),
    ('retinanet_detections_batched_wide',
     _detections(_wide_logits, 'batched')),
    ('retinanet_detections_v1_trained', _detections(trained_logits, 'v1')),
    ('maskrcnn_detections_1000', Case(maskrcnn_detections, (.028, .797))),
    ('sorted_nms_2000', Case(sorted_nms, (.042, .021))),
    ('roi_align_7_forward',
     Case(functools.partial(roi_crops, 512, 7, False), (.366, .076))),
    ('roi_align_7_train512',
     Case(functools.partial(roi_crops, 512, 7, True), (.468, .106))),
    ('roi_align_14_train128',
     Case(functools.partial(roi_crops, 128, 14, True), (.436, .099))),
    ('anchor_labels_rpn_1024', Case(rpn_anchor_labels, (.049, .035))),
    ('roi_proposal_train', _proposals(random_rpn_logits, 2000, (.147, .073))),
    ('roi_proposal_test', _proposals(random_rpn_logits, 1000, (.096, .061))),
    ('roi_proposal_train_trained', _proposals(trained_rpn_logits, 2000)),
    ('roi_sampling_512', Case(roi_sampling, (.016, .004))),
    ('rpn_losses_640', Case(rpn_losses, None)),
    ('crop_mask_28', Case(mask_crops, (.072, .012))),
])
