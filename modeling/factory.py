"""Builds a model of the whole configuration tree.

The build functions are the only readers of the tree: parts take plain
arguments or their own section, so a variant of a model is other parts handed to
the same composition.
"""

import functools

from architecture import factory as architecture_factory
from modeling import retinanet
from ops import anchors
from ops import detections


def build_anchors(config):
  """The AnchorGenerator of sections `anchor` and `architecture`."""
  return anchors.AnchorGenerator(
      config.architecture.min_level, config.architecture.max_level,
      config.anchor.num_scales, config.anchor.aspect_ratios,
      config.anchor.anchor_size)


def build_retinanet(config):
  """RetinaNet of a `retinanet` configuration."""
  norm_activation = architecture_factory.build_norm_activation(
      config.batch_norm_activation)
  section = config.postprocess
  detect = functools.partial(
      detections.generate_one_stage_detections,
      apply_nms=section.apply_nms,
      apply_sigmoid=section.apply_sigmoid,
      nms_version=section.nms_version,
      use_batched_nms=section.use_batched_nms,
      max_total_size=section.max_total_size,
      nms_iou_threshold=section.nms_iou_threshold,
      score_threshold=section.score_threshold,
      pre_nms_num_boxes=section.pre_nms_num_boxes)
  return retinanet.RetinaNet(
      backbone=architecture_factory.build_backbone(config, norm_activation),
      decoder=architecture_factory.build_decoder(config, norm_activation),
      head=architecture_factory.build_retinanet_head(config, norm_activation),
      anchors=build_anchors(config),
      detect=detect,
      loss_section=config.retinanet_loss,
      num_classes=config.architecture.num_classes,
      output_flat_features=config.architecture.output_flat_fpn_features)


MODELS = {'retinanet': build_retinanet}


def build_model(config):
  """Builds the model that `config.type` names.

  Args:
    config: an experiment of configs.factory.

  Returns:
    An object with outputs(images, labels, mode), losses(outputs, labels) and
    predictions(outputs, labels).

  Raises:
    ValueError: for a type that is not in MODELS.
  """
  if config.type not in MODELS:
    raise ValueError('The model type %r is not built yet; built are: %s.'
                     % (config.type, ', '.join(sorted(MODELS))))
  return MODELS[config.type](config)
