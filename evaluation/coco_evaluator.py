"""Batches of predictions to COCO metrics and a COCO results list."""

import logging
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from evaluation import annotations as annotations_lib
from evaluation import class_ids
from evaluation import coco_metrics
from evaluation import coco_results
from evaluation import detections as detections_lib
from evaluation import groundtruth_collector
from evaluation import ids
from evaluation import report
from utils import mask_grids
from utils import types

_REQUIRED = ('source_id', 'num_detections', 'detection_boxes',
             'detection_classes', 'detection_scores')
_OPTIONAL = ('image_info', 'detection_masks', 'detection_outer_boxes')


class Compared(NamedTuple):
  """What figures were computed of.

  Attributes:
    annotations: of all images of the set.
    detections: in rows of the annotations' lists.
    rows: int [I], rows of the images, in the order of their predictions.
  """
  annotations: annotations_lib.Annotations
  detections: detections_lib.Detections
  rows: np.ndarray


class COCOEvaluator:
  """COCO metrics over all images of a set.

  `reset()`, then `update()` for every batch, then `evaluate()`. What is kept
  of an image is its boxes, and its masks run-length coded, so that memory does
  not depend on the size of the images. An update after `evaluate` begins the
  next evaluation.
  """

  results_name = 'detections.json'

  def __init__(
      self, annotations: Any = None, include_mask: bool = False,
      need_rescale_bboxes: bool = True, per_category: bool = True,
      remove_invalid_boxes: bool = True,
      label_map: Optional[Mapping[Any, str]] = None,
      id_map: Optional[Mapping[types.Id, types.Id]] = None,
      only_predicted_images: bool = False, max_detections: Optional[int] = None,
      novel_categories: Optional[Sequence[types.Id]] = None,
      mask_grid: mask_grids.MaskGrid = mask_grids.CELLS,
      category_map: Optional[class_ids.CategoryMap] = None,
      notes: Sequence[str] = (),
      extra_metrics: Optional[coco_metrics.Functions] = None
  ) -> None:
    """Reads the annotations.

    Args:
      annotations: path of a COCO JSON file or its content as a dict; None:
        the ground truth comes with the batches.
      include_mask: evaluates masks besides boxes; the size of a detection
        then is that of its mask, for both.
      need_rescale_bboxes: whether boxes are pixels of the network input, to be
        divided by the scale in `image_info`.
      per_category: all figures of every category, or its AP only.
      remove_invalid_boxes: counts the first `num_detections` rows only; False
        counts padding rows as detections, as the reference does.
      label_map: {category id: name} for tables.
      id_map: {source_id: id in the annotations}, where records do not carry
        the annotations' ids (text ids are hashed).
      only_predicted_images: scores only images that predictions were given
        for, as the reference does; for an evaluation cut short on purpose.
      max_detections: int above 100, adds figures that count so many detections
        of an image; see coco_metrics.evaluate.
      novel_categories: ids of categories whose masks are also scored
        separately: novel_mask_AP and so on, and seen_mask_AP of the others.
        Needs `include_mask`.
      mask_grid: mask_grids.MaskGrid, how the model's masks are sampled.
      category_map: class_ids.CategoryMap where the classes of the model have
        other ids than the annotations; `label_map` and `novel_categories`
        have those of the model.
      notes: [str], reported with every evaluation.
      extra_metrics: {name: function}, see factory.EXTRA_METRICS.
    """
    self._include_mask = include_mask
    self._need_rescale_bboxes = need_rescale_bboxes
    self._per_category = per_category
    self._remove_invalid_boxes = remove_invalid_boxes
    self._label_map = label_map
    self._id_map = id_map or {}
    self._only_predicted_images = only_predicted_images
    self._max_detections = max_detections
    self._novel_categories = novel_categories
    self._mask_grid = mask_grid
    self._category_map = category_map
    self._extra_metrics = extra_metrics or {}
    if category_map:
      self._label_map = label_map = category_map.names(label_map)
      self._novel_categories = novel_categories and [
          category_map.category(i) for i in novel_categories]
    self._given, self._given_notes = None, list(notes)
    if annotations is not None:
      self._given = annotations_lib.load(annotations, include_mask, label_map)
      self._given_notes += self._given.messages
    self.reset()

  def reset(self) -> None:
    """Forgets all predictions, and ground truth that came with them."""
    self._image_ids = []  # of the images that predictions were given for
    self._image_rows = {}  # canonical id -> place in _image_ids
    self._parts = []      # Detections by batch: images are places in
                          # _image_ids, categories are ids
    self._collector = groundtruth_collector.GroundtruthCollector(
        self._include_mask, self._id_map)
    self._num_repeated = 0
    self._num_not_finite = 0
    self._num_slots = 0   # detections that the model can give for an image
    self._is_finished = False
    self._compared: Optional[Compared] = None
    self._scored = self._given
    self._notes = list(self._given_notes)
    self.messages = []    # for people, about the last `evaluate`

  @property
  def num_images(self) -> int:
    """Number of different images that predictions were given for."""
    return len(self._image_ids)

  @property
  def category_names(self) -> Dict[types.Id, str]:
    """{category id: name} of the ground truth."""
    scored = self._scored or self._annotations()
    return dict(zip(scored.category_ids, scored.category_names))

  @property
  def num_objects(self) -> Dict[types.Id, int]:
    """{category id: number of objects, crowds not counted}."""
    return (self._scored or self._annotations()).num_objects()

  @property
  def num_crowds(self) -> int:
    """Number of objects that are crowds, which no figure counts."""
    return int((self._scored or self._annotations()).is_crowds.sum())

  def update(self, predictions: Mapping[str, np.ndarray],
             groundtruths: Optional[Mapping[str, np.ndarray]] = None) -> None:
    """Adds a batch.

    Args:
      predictions: {name: array}, batch first: source_id [B], -1 for padding;
        num_detections [B]; detection_boxes [B, M, 4], yxyx, pixels of the
        network input, or of the image without `need_rescale_bboxes`;
        detection_classes, detection_scores [B, M]; image_info [B, 4, 2] for
        rescaling and masks; detection_masks [B, M, h, w], 0..1, for masks,
        which belong to detection_outer_boxes [B, M, 4] if given.
      groundtruths: see `GroundtruthCollector.add`; needed, and looked at, only
        without annotations.

    Raises:
      ValueError: if a key is missing, or the annotations do not have an image
        (names the ids).
    """
    if self._is_finished:
      self.reset()
    self._check_keys(predictions)
    if self._given is None:
      if groundtruths is None:
        raise ValueError('There is nothing to compare with: neither '
                         'annotations nor ground truth with the batch.')
      self._notes.extend(self._collector.add(groundtruths))
    rows = self._new_rows(predictions['source_id'])
    if rows:
      batch = {k: np.asarray(predictions[k])[rows]
               for k in _REQUIRED + _OPTIONAL if k in predictions}
      columns, num_not_finite = detections_lib.from_predictions(
          batch, self._include_mask, self._need_rescale_bboxes,
          self._remove_invalid_boxes, self._mask_grid)
      if self._category_map:
        columns = columns._replace(categories=np.array(
            [self._category_map.category(int(c)) for c in columns.categories],
            np.int64))
      self._num_not_finite += num_not_finite
      self._num_slots = max(self._num_slots, batch['detection_boxes'].shape[1])
      first = len(self._image_ids) - len(rows)
      self._parts.append(columns._replace(images=first + columns.images))

  def _check_keys(self, predictions):
    needed = _REQUIRED + (('detection_masks',) if self._include_mask else ())
    if self._need_rescale_bboxes or self._include_mask:
      needed += ('image_info',)
    missing = [k for k in needed if k not in predictions]
    if missing:
      raise ValueError('The predictions have no %s; they have the keys %s.'
                       % (', '.join(missing), sorted(predictions)))

  def _new_rows(self, source_ids):
    """Rows of the batch to keep; notes their images."""
    source_ids = np.reshape(source_ids, [-1])
    rows = [row for row, source_id in enumerate(source_ids)
            if not groundtruth_collector.is_padding(source_id)]
    image_ids = [groundtruth_collector.known_id(source_ids[row], self._id_map)
                 for row in rows]
    if self._given is not None:
      self._check_images_known(image_ids)
    kept = []
    for row, image_id in zip(rows, image_ids):
      key = ids.canonical_id(image_id)
      if key in self._image_rows:
        self._num_repeated += 1
        continue
      self._image_rows[key] = len(self._image_ids)
      self._image_ids.append(image_id)
      kept.append(row)
    return kept

  def _check_images_known(self, image_ids):
    index = self._given.image_index
    unknown = [i for i in image_ids if ids.canonical_id(i) not in index]
    if unknown:
      raise ValueError(
          'Predictions are for images that the annotations do not have: '
          'source_id %s. The annotations have %d images, such as %s. Do the '
          'records belong to this annotation file? (Text ids are hashed in '
          'records: id_map turns them back. With regenerate_source_id all ids '
          'are hashes of the images.)'
          % (ids.name_some(unknown), len(self._given.image_ids),
             ids.name_some(self._given.image_ids)))

  def merge(self, other: 'COCOEvaluator') -> None:
    """Adds the predictions of another evaluator of the same set.

    Images that both have count once, with the predictions of this one.
    """
    self._collector.merge(other._collector)
    columns = other._detections()
    row_of = np.full([len(other._image_ids)], -1, np.int64)
    for key, row in other._image_rows.items():
      if key in self._image_rows:
        self._num_repeated += 1
        continue
      row_of[row] = self._image_rows[key] = len(self._image_ids)
      self._image_ids.append(other._image_ids[row])
    columns = columns._replace(images=row_of[columns.images])
    self._parts.append(detections_lib.select(columns, columns.images >= 0))
    self._notes.extend(n for n in other._notes if n not in self._notes)
    self._num_repeated += other._num_repeated
    self._num_not_finite += other._num_not_finite
    self._num_slots = max(self._num_slots, other._num_slots)

  def part(self) -> Dict[str, Any]:
    """What was given so far, as JSON values, for `take_parts` of another."""
    columns = self._detections()
    return {
        'image_ids': self._image_ids, 'images': columns.images.tolist(),
        'categories': columns.categories.tolist(),
        'boxes': columns.boxes.tolist(), 'scores': columns.scores.tolist(),
        'rles': columns.rles, 'collector': self._collector.content(),
        'notes': self._notes, 'num_repeated': self._num_repeated,
        'num_not_finite': self._num_not_finite, 'num_slots': self._num_slots}

  def take_parts(self, parts: Sequence[Mapping[str, Any]],
                 batch_size: int) -> None:
    """Forgets everything, and takes what n evaluators of one set were given.

    Number k was given the batches k, k + n, k + 2n ... of the set. All is as if
    one had been given them in their order.

    Args:
      parts: n results of `part`.
      batch_size: images in a batch.
    """
    self.reset()
    places, columns = [], []
    for k, part in enumerate(parts):
      batch, row = np.divmod(np.arange(len(part['image_ids'])), batch_size)
      place = (batch * len(parts) + k) * batch_size + row
      places += zip(place.tolist(), part['image_ids'])
      columns.append(detections_lib.Detections(
          place[np.array(part['images'], np.int64)],
          np.array(part['categories'], np.int64),
          np.array(part['boxes'], np.float64).reshape([-1, 4]),
          np.array(part['scores'], np.float64), part['rles']))
      self._notes.extend(n for n in part['notes'] if n not in self._notes)
      self._num_repeated += part['num_repeated']
      self._num_not_finite += part['num_not_finite']
      self._num_slots = max(self._num_slots, part['num_slots'])
    row_of = np.full([1 + max([p for p, _ in places] or [0])], -1, np.int64)
    for place, image_id in sorted(places, key=lambda entry: entry[0]):
      key = ids.canonical_id(image_id)
      if key in self._image_rows:
        self._num_repeated += 1
        continue
      row_of[place] = self._image_rows[key] = len(self._image_ids)
      self._image_ids.append(image_id)
    joined = detections_lib.concatenate(columns, self._include_mask)
    joined = joined._replace(images=row_of[joined.images])
    order = np.argsort(joined.images, kind='mergesort')
    self._parts = [detections_lib.select(
        joined, order[joined.images[order] >= 0])]
    self._collector.take([part['collector'] for part in parts],
                         self._image_rows)

  def evaluate(self) -> Dict[str, float]:
    """Scores all images of the set, those without detections too.

    Returns:
      {metric: float}: AP, AP50, ..., ARl; with masks the same with the prefix
      mask_, and separately for novel and other categories if `novel_categories`
      is given; figures by category. -1 is undefined: nothing was there to find.

    Raises:
      ValueError: if there was no update, or an image has no ground truth.
    """
    if not self._image_ids:
      raise ValueError('There are no predictions to evaluate: update() was not '
                       'called, or with padding only.')
    scored = self._scored = self._given or self._annotations()
    without = [i for i in self._image_ids
               if ids.canonical_id(i) not in scored.image_index]
    if without:
      raise ValueError('Images have predictions but no ground truth: %s.'
                       % ids.name_some(without))
    rows = np.array([scored.image_index[ids.canonical_id(i)]
                     for i in self._image_ids])
    columns = self._scored_columns(scored, rows)
    self.messages = self._notes + self._messages(scored, rows)
    for message in self.messages:
      logging.getLogger(__name__).warning('%s', message)
    metrics = {}
    for iou_type in ('bbox', 'segm') if self._include_mask else ('bbox',):
      metrics.update(self._metrics(
          scored, columns, rows if self._only_predicted_images else None,
          iou_type))
      metrics.update(self._extra(scored, columns, rows, iou_type))
    self._is_finished = True
    self._compared = Compared(scored, columns, rows)
    return metrics

  @property
  def compared(self) -> Optional[Compared]:
    """What the last `evaluate` compared, while nothing was added to it."""
    return self._compared

  def _metrics(self, scored, columns, image_rows, iou_type):
    """{metric: float} of `evaluate`.

    Args:
      scored: `annotations.Annotations`.
      columns: `detections.Detections` in its rows.
      image_rows: int [I], images to score; all if None.
      iou_type: 'bbox' or 'segm'.
    """
    return coco_metrics.evaluate(
        scored, columns, iou_type, self._per_category, image_rows,
        self._max_detections,
        self._novel_categories if iou_type == 'segm' else None)

  def _extra(self, scored, columns, rows, iou_type):
    """{metric: float} of the further metrics, of the images that are scored."""
    if self._extra_metrics and self._only_predicted_images:
      scored = scored.select(np.isin(scored.images, rows))
    return coco_metrics.evaluate_extra(self._extra_metrics, scored, columns,
                                       iou_type)

  def _annotations(self):
    """`Annotations` of the ground truth that came with the batches."""
    return annotations_lib.load(self._collector.annotations(self._label_map),
                                self._include_mask, self._label_map)

  def _scored_columns(self, scored, image_rows):
    """Detections by the rows of the annotations, known categories only."""
    columns = self._detections()
    self._check_mask_sizes(scored, columns, image_rows)
    found, inverse = np.unique(columns.categories, return_inverse=True)
    rows = np.array([scored.category_index.get(int(c), -1) for c in found],
                    np.int64)
    columns = columns._replace(images=image_rows[columns.images],
                               categories=rows[inverse])
    return detections_lib.select(columns, columns.categories >= 0)

  def _detections(self):
    """All detections so far, joined once."""
    self._parts = [detections_lib.concatenate(self._parts,
                                              self._include_mask)]
    return self._parts[0]

  def _check_mask_sizes(self, scored, columns, image_rows):
    """Masks of another size than the ground truth's would never match."""
    for image, rle in zip(columns.images, columns.rles or []):
      row = image_rows[image]
      size = scored.image_sizes[row]
      if size and size != tuple(rle['size']):
        raise ValueError(
            'Image %r has %d x %d pixels (height x width) in the annotations '
            'but %d x %d in the records.'
            % ((scored.image_ids[row],) + size + tuple(rle['size'])))

  def _messages(self, scored, rows):
    """About images and detections that are missing or were left out."""
    messages = []
    missing = sorted(set(range(len(scored.image_ids))) - set(rows.tolist()))
    if missing:
      messages.append(
          '%d of %d images of the set got no predictions and %s: %s.'
          % (len(missing), len(scored.image_ids),
             'are not scored' if self._only_predicted_images else
             'count as images without detections',
             ids.name_some([scored.image_ids[i] for i in missing])))
    if self._num_repeated:
      messages.append('%d images were given more than once; the first time '
                      'counts.' % self._num_repeated)
    if self._num_not_finite:
      messages.append('%d detections had a box or score that is not a finite '
                      'number and are left out.' % self._num_not_finite)
    messages.extend(self._novel_messages(scored))
    messages.extend(self._limit_messages(scored))
    counts = np.bincount(scored.images[~scored.is_crowds], minlength=1)
    if counts.max() > self._num_slots:
      messages.append(
          'Image %r has %d objects, the model gives at most %d detections for '
          'an image (postprocess.max_total_size).' % (
              scored.image_ids[counts.argmax()], counts.max(),
              self._num_slots))
    if self._given is not None:
      messages.extend(coco_results.unknown_category_messages(
          self._detections().categories.tolist(), scored.category_index))
    return messages

  def _limit_messages(self, scored):
    """[str] about the number of detections that the metrics count."""
    return coco_metrics.limit_messages(scored, self._max_detections)

  def format_table(self, metrics: Mapping[str, float]) -> str:
    """The figures of `evaluate` as text."""
    return report.format_table(metrics, self.category_names, self.num_objects,
                               self.messages, self._extra_metrics)

  def _novel_messages(self, scored):
    """A message if there is no object of `novel_categories`."""
    if self._novel_categories is None:
      return []
    counts = {ids.canonical_id(i): n for i, n in scored.num_objects().items()}
    if any(counts.get(ids.canonical_id(i)) for i in self._novel_categories):
      return []
    return ['There are no objects of the classes of eval.mask_eval_class, '
            'which are to be scored apart: %s.'
            % ids.name_some(self._novel_categories)]

  def results(self) -> List[Dict[str, Any]]:
    """The detections as a COCO results list, ready for JSON."""
    columns = self._detections()
    image_ids = self._image_ids
    if self._given is not None:  # in the spelling of the annotations
      image_ids = [self._given.image_ids[self._given.image_index[
          ids.canonical_id(i)]] for i in image_ids]
    return coco_results.to_results(columns, image_ids)
