"""Evaluators by `eval.type` of the configuration."""

from typing import Any, Iterable, Mapping, Optional, Sequence

from configs import base
from evaluation import boundary
from evaluation import calibration
from evaluation import class_ids
from evaluation import classification_evaluator
from evaluation import coco_evaluator
from evaluation import coco_metrics
from evaluation import lvis_evaluator
from evaluation import proposals
from evaluation import segmentation_evaluator
from evaluation import tide
from evaluation import voc_metrics
from utils import class_sets
from utils import label_map as label_maps
from utils import mask_grids
from utils import registry
from utils import types


def _label_map(section):
  """{class id: name} of `eval.label_map`, or None."""
  if not section.label_map:
    return None
  return label_maps.read_label_map(section.label_map)


# eval.extra_metrics. Functions of (annotations.Annotations,
# detections.Detections, 'bbox' or 'segm') that return {name: float}; -1 is
# undefined. An evaluation reports them with the name of the entry before
# theirs, as in voc_AP50, and mask_ before that for masks.
EXTRA_METRICS = {'boundary': boundary.evaluate,
                 'calibration': calibration.evaluate,
                 'proposals': proposals.evaluate,
                 'tide': tide.evaluate,
                 'voc': voc_metrics.evaluate}


def pick_extra_metrics(
    names: Iterable[str], what: str = 'eval.extra_metrics'
) -> coco_metrics.Functions:
  """{name: function} of some entries of EXTRA_METRICS.

  Args:
    names: [str].
    what: the key or flag that names them, for the error.

  Raises:
    ValueError: for a name that is not there.
  """
  return {name: registry.pick(EXTRA_METRICS, name, 'A name of %s' % what)
          for name in names}


def _build_coco(include_mask, splits_classes=False):
  """Returns a function that builds a COCO evaluator from the eval section.

  Args:
    include_mask: whether masks are evaluated.
    splits_classes: whether `eval.mask_eval_class` names classes whose masks
      are scored apart.
  """

  def build(section, annotations, id_map, only_predicted_images, mask_grid,
            category_map, notes):
    names = _label_map(section)
    return coco_evaluator.COCOEvaluator(
        annotations, include_mask=include_mask,
        per_category=section.per_category_metrics,
        remove_invalid_boxes=section.remove_invalid_boxes, label_map=names,
        id_map=id_map, only_predicted_images=only_predicted_images,
        max_detections=section.max_detections, mask_grid=mask_grid,
        novel_categories=class_sets.ids(section.mask_eval_class)
        if splits_classes else None, category_map=category_map, notes=notes,
        extra_metrics=pick_extra_metrics(section.extra_metrics))

  return build


def _build_lvis(include_mask):
  """Returns a function that builds an LVIS evaluator from the eval section."""

  def build(section, annotations, id_map, only_predicted_images, mask_grid,
            category_map, notes):
    return lvis_evaluator.LVISEvaluator(
        annotations, include_mask=include_mask,
        per_category=section.per_category_metrics,
        remove_invalid_boxes=section.remove_invalid_boxes,
        label_map=_label_map(section), id_map=id_map,
        only_predicted_images=only_predicted_images, mask_grid=mask_grid,
        category_map=category_map, notes=notes,
        extra_metrics=pick_extra_metrics(section.extra_metrics))

  return build


EVALUATORS = {
    'box': _build_coco(include_mask=False),
    'box_and_mask': _build_coco(include_mask=True),
    'shapemask_box_and_mask': _build_coco(include_mask=True,
                                          splits_classes=True),
    'lvis_box': _build_lvis(include_mask=False),
    'lvis_box_and_mask': _build_lvis(include_mask=True),
}
# eval.type customized: by the type of the experiment, which gives the ground
# truth with the batches.
CUSTOMIZED = {
    'classification': lambda config: (
        classification_evaluator.ClassificationEvaluator(
            _label_map(config.eval))),
    'segmentation': lambda config: (
        segmentation_evaluator.SegmentationEvaluator(
            config.architecture.num_classes, _label_map(config.eval))),
}


def build_mask_grid(config: base.Config) -> mask_grids.MaskGrid:
  """How the masks of a model are sampled, which pasting them needs.

  Args:
    config: an experiment with boxes.

  Returns:
    mask_grids.MaskGrid; CELLS for models without masks.
  """
  if getattr(config.postprocess, 'legacy_mask_paste', False):
    return mask_grids.LEGACY
  return mask_grids.of_parser(getattr(config, config.architecture.parser),
                              config.type == 'shapemask')


def build_evaluator(section: base.Section, annotations: Any = None,
                    id_map: Optional[Mapping[types.Id, types.Id]] = None,
                    only_predicted_images: bool = False,
                    mask_grid: mask_grids.MaskGrid = mask_grids.CELLS,
                    category_map: Optional[class_ids.CategoryMap] = None,
                    notes: Sequence[str] = ()) -> Any:
  """Builds the evaluator that the section names.

  Args:
    section: the configuration's `eval`; its type, per_category_metrics,
      remove_invalid_boxes, max_detections, extra_metrics and label_map are
      read, and of shapemask_box_and_mask mask_eval_class.
    annotations: path of a COCO JSON file or its content as a dict; None: the
      ground truth comes with the batches.
    id_map: {source_id: id in the annotations}, see `COCOEvaluator`.
    only_predicted_images: scores only images with predictions.
    mask_grid: mask_grids.MaskGrid, from `build_mask_grid`.
    category_map: class_ids.CategoryMap, see `COCOEvaluator`.
    notes: [str], messages for people, reported with every evaluation.

  Returns:
    An evaluator with reset, update, evaluate and results.

  Raises:
    ValueError: if there is no evaluator of this type.
  """
  build = registry.pick(EVALUATORS, section.type, 'eval.type')
  return build(section, annotations, id_map, only_predicted_images, mask_grid,
               category_map, notes)


def build_customized_evaluator(config: base.Config) -> Any:
  """Builds the evaluator of a model whose batches carry the ground truth.

  Args:
    config: an experiment whose `eval.type` is 'customized'.

  Returns:
    An evaluator with reset, update, evaluate and results.

  Raises:
    ValueError: if there is no evaluator for models of this type.
  """
  build = registry.pick(CUSTOMIZED, config.type,
                        "The type of a model with eval.type 'customized'")
  return build(config)
