"""Builds backbones, decoders and heads of the sections of a configuration.

A backbone or a decoder is chosen by its name in the tables of `configs`. Build
functions read attributes named as the YAML keys; the parts themselves take
plain arguments.
"""

from typing import Optional, Tuple

import tensorflow.compat.v1 as tf

from architecture import aspp
from architecture.heads import classification
from architecture.heads import fast_rcnn
from architecture.heads import mask
from architecture.heads import retinanet
from architecture.heads import rpn
from architecture.heads import segmentation
from architecture.heads import shapemask
from configs import backbones
from configs import base
from configs import decoders
from configs import parts
from ops import tensor_types
from utils import mask_grids
from utils import registry
from utils import shape_priors


def build_backbone(
    config: base.Config,
    norm_activation: tensor_types.Layer) -> tensor_types.Backbone:
  """Builds the backbone that `architecture.backbone` names.

  Args:
    config: an experiment.
    norm_activation: normalization.BatchNormActivation.

  Returns:
    (images [B, H, W, 3], is_training) -> {level: [B, h, w, c]}.

  Raises:
    ValueError: for a name that is not in configs.backbones.BACKBONES, or
      settings that the backbone refuses.
  """
  build = _builder(backbones.BACKBONES, config.architecture.backbone,
                   'architecture.backbone')
  return build(config, norm_activation)


def build_decoder(
    config: base.Config,
    norm_activation: tensor_types.Layer) -> tensor_types.Decoder:
  """Builds the decoder that `architecture.multilevel_features` names.

  Args:
    config: an experiment.
    norm_activation: normalization.BatchNormActivation.

  Returns:
    ({level: [B, h, w, c]}, is_training) -> {min_level..max_level: features}.

  Raises:
    ValueError: for a name that is not in configs.decoders.DECODERS, or
      settings that the decoder refuses.
  """
  build = _builder(decoders.DECODERS, config.architecture.multilevel_features,
                   'architecture.multilevel_features')
  return build(config, norm_activation)


def build_retinanet_head(
    config: base.Config,
    norm_activation: tensor_types.Layer) -> retinanet.RetinaNetHead:
  """The head of sections `retinanet_head`, `architecture` and `anchor`.

  Args:
    config: an experiment.
    norm_activation: normalization.BatchNormActivation.

  Returns:
    retinanet.RetinaNetHead.
  """
  section = config.retinanet_head
  return retinanet.RetinaNetHead(
      config.architecture.min_level, config.architecture.max_level,
      config.architecture.num_classes, anchors_per_location(config),
      num_convs=section.num_convs, num_filters=section.num_filters,
      use_separable_conv=section.use_separable_conv,
      norm_activation=norm_activation, use_batch_norm=section.use_batch_norm)


def build_rpn_head(config: base.Config,
                   norm_activation: tensor_types.Layer) -> rpn.RPNHead:
  """The head of sections `rpn_head`, `architecture` and `anchor`.

  Args:
    config: an experiment.
    norm_activation: normalization.BatchNormActivation.

  Returns:
    rpn.RPNHead.
  """
  section = config.rpn_head
  return rpn.RPNHead(
      config.architecture.min_level, config.architecture.max_level,
      anchors_per_location(config), num_convs=section.num_convs,
      num_filters=section.num_filters,
      use_separable_conv=section.use_separable_conv,
      norm_activation=norm_activation, use_batch_norm=section.use_batch_norm,
      cast_to_float32=section.cast_to_float32)


def build_fast_rcnn_head(
    config: base.Config, norm_activation: tensor_types.Layer,
    scope: str = 'fast_rcnn_head') -> fast_rcnn.FastRCNNHead:
  """The head of sections `frcnn_head` and `architecture`.

  Args:
    config: an experiment.
    norm_activation: normalization.BatchNormActivation.
    scope: the scope of its variables.

  Returns:
    fast_rcnn.FastRCNNHead.
  """
  section = config.frcnn_head
  return fast_rcnn.FastRCNNHead(
      config.architecture.num_classes, num_convs=section.num_convs,
      num_filters=section.num_filters,
      use_separable_conv=section.use_separable_conv, num_fcs=section.num_fcs,
      fc_dims=section.fc_dims, norm_activation=norm_activation,
      use_batch_norm=section.use_batch_norm,
      class_agnostic_bbox_pred=section.class_agnostic_bbox_pred, scope=scope)


def build_mask_head(config: base.Config,
                    norm_activation: tensor_types.Layer) -> mask.MaskHead:
  """The head of sections `mrcnn_head` and `architecture`.

  Args:
    config: an experiment.
    norm_activation: normalization.BatchNormActivation.

  Returns:
    mask.MaskHead.
  """
  section = config.mrcnn_head
  return mask.MaskHead(
      config.architecture.num_classes, num_convs=section.num_convs,
      num_filters=section.num_filters,
      use_separable_conv=section.use_separable_conv,
      norm_activation=norm_activation, use_batch_norm=section.use_batch_norm,
      class_agnostic_mask_pred=section.class_agnostic_mask_pred)


def build_classification_head(
    config: base.Config,
    norm_activation: tensor_types.Layer) -> classification.ClassificationHead:
  """The head of sections `classification_head` and `architecture`.

  Args:
    config: an experiment.
    norm_activation: normalization.BatchNormActivation.

  Returns:
    classification.ClassificationHead.

  Raises:
    ValueError: for settings that the head refuses.
  """
  section = config.classification_head
  return classification.ClassificationHead(
      config.architecture.num_classes, norm_activation,
      aggregation=section.aggregation,
      endpoints_num_filters=section.endpoints_num_filters,
      dropout_rate=section.dropout_rate)


def build_segmentation_head(
    config: base.Config,
    norm_activation: tensor_types.Layer) -> segmentation.SegmentationHead:
  """The head of sections `segmentation_head` and `architecture`.

  Args:
    config: an experiment.
    norm_activation: normalization.BatchNormActivation.

  Returns:
    segmentation.SegmentationHead.
  """
  section = config.segmentation_head
  return segmentation.SegmentationHead(
      config.architecture.num_classes, norm_activation,
      num_convs=section.num_convs, use_batch_norm=section.use_batch_norm,
      upsample_factor=section.upsample_factor,
      upsample_num_filters=section.upsample_num_filters)


def build_aspp(config: base.Config) -> Optional[aspp.ASPP]:
  """aspp.ASPP where `architecture.use_aspp` is set, otherwise None."""
  return aspp.ASPP() if config.architecture.use_aspp else None


def build_shapemask_heads(
    config: base.Config, norm_activation: tensor_types.Layer
) -> Tuple[shapemask.ShapePriorHead, shapemask.CoarseMaskHead,
           shapemask.FineMaskHead]:
  """The heads of sections `shapemask_head` and `architecture`.

  Args:
    config: an experiment.
    norm_activation: normalization.BatchNormActivation.

  Returns:
    shapemask.ShapePriorHead, shapemask.CoarseMaskHead, shapemask.FineMaskHead.

  Raises:
    ValueError: if the file of shape priors cannot be used.
  """
  section = config.shapemask_head
  num_masks = (config.architecture.num_classes
               if section.use_category_for_mask else 1)
  settings = dict(num_masks=num_masks, num_convs=section.num_convs,
                  norm_activation=norm_activation)
  return (
      shapemask.ShapePriorHead(
          _read_shape_priors(section, num_masks),
          section.num_downsample_channels,
          config.shapemask_parser.mask_crop_grid == mask_grids.CELLS_NAME),
      shapemask.CoarseMaskHead(**settings),
      shapemask.FineMaskHead(upsample_factor=section.upsample_factor,
                             **settings))


def _read_shape_priors(section, num_masks):
  """float32 [num_masks, K, S, S] of `shapemask_head.shape_prior_path`."""
  path = section.shape_prior_path
  if not path:
    tf.logging.warning(
        'shapemask_head.shape_prior_path is not set: the masks start from '
        'nothing, and shapemask_loss.shape_prior_loss_weight trains nothing. '
        'python -m tools.create_shape_priors makes the file.')
    return shape_priors.zeros(num_masks, section.mask_crop_size)
  try:
    with tf.gfile.Open(path, 'rb') as f:
      content = f.read()
  except tf.errors.OpError as e:
    raise ValueError('shapemask_head.shape_prior_path: %s cannot be read: %s'
                     % (path, e.message))
  return shape_priors.from_bytes(content, num_masks, section.mask_crop_size,
                                 'shapemask_head.shape_prior_path: ' + path)


def anchors_per_location(config: base.Config) -> int:
  """How many anchors section `anchor` has at every place."""
  return config.anchor.num_scales * len(config.anchor.aspect_ratios)


def _builder(table, name, key):
  """The build function in a table {name: parts.Part} that a key names."""
  return parts.load(registry.pick(table, name, key).build)
