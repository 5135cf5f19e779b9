"""Builds models from the complete configuration.

The build functions are the only readers of the tree: parts take plain
arguments or their own section, so a variant of a model is the same composition
with other parts.
"""

import functools

from architecture import factory as architecture_factory
from architecture import normalization
from architecture.heads import mask
from configs import families
from configs import parts
from modeling import box_branch
from modeling import classification
from modeling import many_views
from modeling import mask_branch
from modeling import maskrcnn
from modeling import model_fn
from modeling import retinanet
from modeling import rpn
from modeling import segmentation
from modeling import shape_mask_branch
from modeling import shapemask
from ops import anchors
from ops import detections
from ops import roi_targets
from utils import mask_grids
from utils import registry
from utils import views

# Scale the encoded boxes (dy, dx, dh, dw) of each box head; arXiv:1712.00726,
# section 4.1. A model with a single box head uses the first.
BOX_WEIGHTS = ((10., 10., 5., 5.), (20., 20., 10., 10.), (30., 30., 15., 15.))


def build_classification(config):
  """Image classifier of a `classification` configuration."""
  norm_activation = normalization.build(config.batch_norm_activation)
  return classification.Classification(
      backbone=architecture_factory.build_backbone(config, norm_activation),
      head=architecture_factory.build_classification_head(
          config, norm_activation),
      num_classes=config.architecture.num_classes,
      label_smoothing=config.train.label_smoothing)


def build_retinanet(
    config, build_head=architecture_factory.build_retinanet_head):
  """RetinaNet of a `retinanet` configuration.

  Args:
    config: experiment.
    build_head: (config, norm_activation) -> head; see `retinanet.RetinaNet`.
  """
  norm_activation = normalization.build(config.batch_norm_activation)
  return _build_one_stage_model(
      config, norm_activation, build_head,
      output_flat_features=config.architecture.output_flat_fpn_features)


def _build_one_stage_model(
    config, norm_activation,
    build_head=architecture_factory.build_retinanet_head, **options):
  """RetinaNet from the sections that ShapeMask also has."""
  detect = functools.partial(
      detections.generate_one_stage_detections,
      apply_sigmoid=config.postprocess.apply_sigmoid,
      **_detection_options(config.postprocess))
  return retinanet.RetinaNet(
      backbone=architecture_factory.build_backbone(config, norm_activation),
      decoder=architecture_factory.build_decoder(config, norm_activation),
      head=build_head(config, norm_activation),
      anchors=anchors.AnchorGenerator.of_sections(config.anchor,
                                                  config.architecture),
      detect=detect,
      loss_section=config.retinanet_loss,
      num_classes=config.architecture.num_classes,
      clip_to_border=config.architecture.clip_boxes_to_border, **options)


def _detection_options(section):
  """Arguments of the detection generators from section `postprocess`."""
  return dict(
      apply_nms=section.apply_nms,
      nms_version=section.nms_version,
      use_batched_nms=section.use_batched_nms,
      max_total_size=section.max_total_size,
      nms_iou_threshold=section.nms_iou_threshold,
      score_threshold=section.score_threshold,
      pre_nms_num_boxes=section.pre_nms_num_boxes)


def build_segmentation(config):
  """Segmentation model of a `segmentation` configuration."""
  norm_activation = normalization.build(config.batch_norm_activation)
  return segmentation.Segmentation(
      backbone=architecture_factory.build_backbone(config, norm_activation),
      decoder=architecture_factory.build_decoder(config, norm_activation),
      head=architecture_factory.build_segmentation_head(
          config, norm_activation),
      level=config.segmentation_head.level,
      loss_section=config.segmentation_loss,
      num_classes=config.architecture.num_classes,
      aspp=architecture_factory.build_aspp(config),
      use_pyramid_fusion=config.architecture.use_pyramid_fusion)


def build_mask_rcnn(config):
  """Mask R-CNN of a `mask_rcnn` configuration; Faster R-CNN without masks."""
  norm_activation = normalization.build(config.batch_norm_activation)
  head = architecture_factory.build_fast_rcnn_head(config, norm_activation)
  stage = box_branch.Stage(head, _build_sampler(config.roi_sampling),
                           BOX_WEIGHTS[0], suffix='')
  return _build_two_stage_model(config, norm_activation, [stage])


def build_cascade_mask_rcnn(config):
  """Cascade (Mask) R-CNN of a `cascade_mask_rcnn` configuration.

  Raises:
    ValueError: for more stages than BOX_WEIGHTS has.

  Source: arXiv:1712.00726.
  """
  norm_activation = normalization.build(config.batch_norm_activation)
  section = config.roi_sampling
  samplers = [_build_sampler(section)]
  for threshold in section.cascade_iou_thresholds or ():
    samplers.append(functools.partial(
        roi_targets.sample_rois, fg_iou_thresh=threshold,
        bg_iou_thresh_hi=threshold, bg_iou_thresh_lo=0., mix_gt_boxes=False,
        skip_subsampling=True))
  if len(samplers) > len(BOX_WEIGHTS):
    raise ValueError(
        'roi_sampling.cascade_iou_thresholds has %d entries; %d at most.'
        % (len(samplers) - 1, len(BOX_WEIGHTS) - 1))
  stages = []
  for i, sample in enumerate(samplers):
    head = architecture_factory.build_fast_rcnn_head(
        config, norm_activation, 'frcnn_layer_%d/fast_rcnn_head' % i)
    stages.append(box_branch.Stage(head, sample, BOX_WEIGHTS[i],
                                   suffix='_%d' % i))
  return _build_two_stage_model(config, norm_activation, stages)


def _build_two_stage_model(config, norm_activation, stages):
  """MaskRCNN with box heads of the given stages."""
  section = config.frcnn_head
  branch = box_branch.BoxBranch(
      stages,
      detect=functools.partial(detections.generate_two_stage_detections,
                               **_detection_options(config.postprocess)),
      huber_loss_delta=config.frcnn_box_loss.huber_loss_delta,
      class_agnostic=section.class_agnostic_bbox_pred,
      class_ensemble=section.cascade_class_ensemble)
  return maskrcnn.MaskRCNN(
      backbone=architecture_factory.build_backbone(config, norm_activation),
      decoder=architecture_factory.build_decoder(config, norm_activation),
      rpn=_build_rpn(config, norm_activation), box_branch=branch,
      mask_branch=_build_mask_branch(config, norm_activation),
      clip_to_border=config.architecture.clip_boxes_to_border)


def _build_rpn(config, norm_activation):
  """The region proposal network, from its sections and `anchor`."""
  section = config.roi_proposal
  def options(prefix):
    names = ('pre_nms_top_k', 'post_nms_top_k', 'nms_threshold',
             'score_threshold', 'min_size_threshold')
    return dict({name: getattr(section, prefix + name) for name in names},
                use_batched_nms=section.use_batched_nms)
  return rpn.RegionProposalNetwork(
      architecture_factory.build_rpn_head(config, norm_activation),
      anchors.AnchorGenerator.of_sections(config.anchor, config.architecture),
      train_options=options('rpn_'), test_options=options('test_rpn_'),
      rpn_batch_size_per_im=config.rpn_score_loss.rpn_batch_size_per_im,
      huber_loss_delta=config.rpn_box_loss.huber_loss_delta)


def _build_sampler(section):
  """The function that samples RoIs, with the settings of `roi_sampling`."""
  return functools.partial(
      roi_targets.sample_rois,
      num_samples=section.num_samples_per_image,
      fg_fraction=section.fg_fraction,
      fg_iou_thresh=section.fg_iou_thresh,
      bg_iou_thresh_hi=section.bg_iou_thresh_hi,
      bg_iou_thresh_lo=section.bg_iou_thresh_lo,
      mix_gt_boxes=section.mix_gt_boxes)


def _build_mask_branch(config, norm_activation):
  """The mask branch, or None without `architecture.include_mask`."""
  if not config.architecture.include_mask:
    return None
  size = config.architecture.mask_target_size
  if size % mask.UPSAMPLING:
    raise ValueError('architecture.mask_target_size is %d, but the mask head '
                     'doubles the size of its input: it must be even.' % size)
  return mask_branch.MaskBranch(
      architecture_factory.build_mask_head(config, norm_activation),
      crop_size=size // mask.UPSAMPLING, target_size=size,
      num_samples=config.mask_sampling.num_mask_samples_per_image,
      skip_background=not config.mrcnn_head.use_batch_norm,
      means_of_cells=(config.maskrcnn_parser.mask_crop_grid
                      == mask_grids.CELLS_NAME))


def build_shapemask(config):
  """ShapeMask of a `shapemask` configuration."""
  norm_activation = normalization.build(config.batch_norm_activation)
  heads = architecture_factory.build_shapemask_heads(config, norm_activation)
  return shapemask.ShapeMask(
      trunk=_build_one_stage_model(config, norm_activation),
      mask_branch=shape_mask_branch.ShapeMaskBranch(
          *heads, outer_box_scale=config.architecture.outer_box_scale,
          loss_section=config.shapemask_loss,
          clip_to_border=config.architecture.clip_boxes_to_border))


def build_model(config):
  """Builds the model that `config.type` names.

  Args:
    config: an experiment of configs.factory.

  Returns:
    An object with outputs(images, labels, mode), losses(outputs, labels,
    is_training) and predictions(outputs, labels, with_losses); see
    modeling.retinanet.RetinaNet.

  Raises:
    ValueError: for a type that is not in configs.families.FAMILIES.
  """
  family = registry.pick(families.FAMILIES, config.type, 'type')
  build = parts.load(family.build)
  if family.head:
    build = functools.partial(build,
                              build_head=parts.load(family.head.build))
  return _with_views(config, build(config))


def _with_views(config, model):
  """The model, which looks at several views of an image if it should."""
  further = views.of_section(config.eval)
  if not further:
    return model
  if not hasattr(model, 'outputs_and_masks'):
    raise ValueError(
        'eval.test_time_augmentation is set, but models of type %r cannot look '
        'at an image more than once: they have no method outputs_and_masks '
        '(modeling/maskrcnn.py).' % config.type)
  options = _detection_options(config.postprocess)
  return many_views.ManyViews(
      model, further,
      merge=functools.partial(detections.merge, **{
          name: options[name] for name in (
              'nms_version', 'use_batched_nms', 'max_total_size',
              'nms_iou_threshold')}),
      mask_grid=mask_grids.of_parser(
          getattr(config, config.architecture.parser),
          config.type == 'shapemask'),
      clip_to_border=config.architecture.clip_boxes_to_border)


def settings_of(config):
  """The model_fn.Settings of an experiment."""
  return model_fn.Settings(
      use_tpu=config.use_tpu, model_dir=config.model_dir,
      use_bfloat16=config.architecture.use_bfloat16,
      space_to_depth_block_size=config.architecture.space_to_depth_block_size,
      enable_summary=config.enable_summary,
      use_moving_average=config.eval.use_moving_average,
      with_losses=not config.eval.skip_eval_loss)


def build_model_fn(config):
  """The model_fn of an experiment; see model_fn.make_model_fn.

  Raises:
    ValueError: as `build_model`.
  """
  return model_fn.make_model_fn(build_model(config), config.train,
                                settings_of(config))
