"""What a model says about one image."""

import copy
from typing import Any, Dict, List, Optional, Sequence, Tuple

import cv2
import numpy as np

from utils import drawing
from utils import mask_grids
from utils import masks as mask_utils
from utils import types


class _Result:
  """What all tasks have in common.

  Attributes:
    image_size: (height, width) of the upright image.
    image: uint8 [height, width, 3], or None if it was not kept.
    class_names: {class id: name}.
  """

  def __init__(self, image_size, class_names, category_map=None, image=None):
    self.image_size = tuple(int(side) for side in image_size)
    self.class_names = class_names
    self.image = image
    self._category_map = category_map

  def _resized_of_image(self, image):
    """The arguments of this class for another size of the image."""
    return dict(image_size=image.shape[:2], class_names=self.class_names,
                category_map=self._category_map, image=image)

  def _named(self, classes):
    return [self.class_names.get(int(i), str(int(i))) for i in classes]

  def _wanted(self, classes):
    """bool [N]: which of the classes are among the ids and names given."""
    if classes is None:
      return np.ones(len(self.classes), bool)
    wanted = set(classes)
    return np.array([int(i) in wanted or name in wanted for i, name in
                     zip(self.classes, self.names)], bool)

  def _category(self, class_id):
    """The id that the annotations have for a class."""
    class_id = int(class_id)
    return (self._category_map.category(class_id) if self._category_map
            else class_id)

  def _ground(self, image):
    """What is drawn into."""
    image = self.image if image is None else image
    if image is None:
      raise ValueError('The image was not kept: draw(image) needs it.')
    if tuple(image.shape[:2]) != self.image_size:
      raise ValueError(
          'The image has %d x %d pixels (height x width), the answer is for '
          '%d x %d.' % (tuple(image.shape[:2]) + self.image_size))
    return image


class DetectionResult(_Result):
  """Objects of an image, the best first.

  Attributes:
    boxes: float32 [N, 4], (y0, x0, y1, x1), pixels of the upright image. As
      evaluation scores them: they may reach beyond the image.
    scores: float32 [N].
    classes: int64 [N], from 1; 0 is the background.
    names: [N] str; of a class without a name its number.
    masks: float32 [N, h, w], 0..1 within `mask_boxes`; None without masks.
    mask_boxes: float32 [N, 4], as `boxes`; those of ShapeMask are larger.
  """

  def __init__(self, boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray,
               masks: Optional[np.ndarray] = None,
               mask_boxes: Optional[np.ndarray] = None,
               mask_grid: mask_grids.MaskGrid = mask_grids.CELLS,
               **of_image: Any) -> None:
    """Takes the objects, the best first.

    Args:
      boxes: [N, 4], yxyx, pixels of the upright image.
      scores: [N].
      classes: [N], from 1.
      masks: [N, h, w], 0..1 within `mask_boxes`; None without masks.
      mask_boxes: [N, 4], as `boxes`; None: `boxes`.
      mask_grid: mask_grids.MaskGrid, how the masks are sampled.
      **of_image: what is known about the image, see `_Result`.
    """
    super().__init__(**of_image)
    self._of_image = of_image
    self.boxes = np.asarray(boxes, np.float32).reshape([-1, 4])
    self.scores = np.asarray(scores, np.float32).reshape([-1])
    self.classes = np.asarray(classes).astype(np.int64).reshape([-1])
    self.names = self._named(self.classes)
    self.masks = masks
    self.mask_boxes = self.boxes if mask_boxes is None else mask_boxes
    self._mask_grid = mask_grid

  def __len__(self):
    return len(self.boxes)

  def __repr__(self):
    return '<DetectionResult: %d objects in %d x %d pixels%s>' % (
        (len(self),) + self.image_size + (''.join(
            '; %s %.2f' % pair for pair in list(zip(
                self.names, self.scores))[:3]),))

  def pasted_masks(self) -> Optional[np.ndarray]:
    """bool [N, height, width]: the masks where they belong in the image.

    Raises:
      ValueError: if the model has no masks.
    """
    self._check_masks()
    return mask_utils.paste_masks(
        self.masks, _xywh(self.mask_boxes), *self.image_size,
        grid=self._mask_grid).astype(bool)

  def mask_crops(
      self, size: Optional[Tuple[int, int]] = None
  ) -> Optional[List[Tuple[np.ndarray, int, int]]]:
    """The parts of the masks that are in the image.

    Args:
      size: (height, width) of the image resized; None: its own.

    Returns:
      [(bool [h, w], y0, x0)], pixels of `size`.

    Raises:
      ValueError: if the model has no masks.
    """
    self._check_masks()
    size = size or self.image_size
    scale = np.tile(np.array(size) / np.array(self.image_size, float), 2)
    return mask_utils.paste_crops(
        self.masks, _xywh(self.mask_boxes * scale), *size, grid=self._mask_grid)

  def _check_masks(self):
    if self.masks is None:
      raise ValueError('This model finds boxes, not masks.')

  def filtered(
      self, min_score: float = 0., max_boxes: Optional[int] = None,
      classes: Optional[Sequence[types.Id]] = None) -> 'DetectionResult':
    """A result with some of the objects.

    Args:
      min_score: float; objects of a lower score are left out.
      max_boxes: int; at most so many stay, those of the highest scores.
      classes: [class id or name] that stay; None: all.

    Returns:
      DetectionResult.
    """
    rows = np.flatnonzero((self.scores >= min_score) & self._wanted(classes))
    rows = rows[np.argsort(-self.scores[rows], kind='mergesort')][:max_boxes]
    masks = None if self.masks is None else self.masks[rows]
    return DetectionResult(
        self.boxes[rows], self.scores[rows], self.classes[rows], masks,
        self.mask_boxes[rows], self._mask_grid, **self._of_image)

  def resized(self, image: np.ndarray) -> 'DetectionResult':
    """The same objects in the same image at another size.

    Args:
      image: uint8 [h, w, 3].

    Returns:
      DetectionResult.
    """
    scale = np.tile(np.array(image.shape[:2], np.float32) / self.image_size, 2)
    return DetectionResult(
        self.boxes * scale, self.scores, self.classes, self.masks,
        self.mask_boxes * scale, self._mask_grid,
        **self._resized_of_image(image))

  def draw(self, image: Optional[np.ndarray] = None,
           **options: Any) -> np.ndarray:
    """The image with the objects in it.

    Args:
      image: uint8 [height, width, 3], upright; None: the one that was given to
        the model.
      **options: arguments of utils.drawing.draw_detections, such as min_score.

    Returns:
      uint8 [H, W, 3].
    """
    options = dict(dict(min_size=0), **options)
    return drawing.draw_detections(
        self._ground(image), self.boxes, self.classes, self.scores,
        label_map=self.class_names,
        masks=None if self.masks is None else mask_utils.Crops(
            self.masks, _xywh(self.mask_boxes), *self.image_size,
            grid=self._mask_grid), **options)

  def to_coco(self, image_id: types.Id) -> List[Dict[str, Any]]:
    """Entries of a COCO results file.

    Args:
      image_id: int or str.

    Returns:
      [{'image_id', 'category_id', 'bbox', 'score'}], with masks also
      'segmentation'. Boxes are [x, y, width, height]; categories have the ids
      of the annotations that the model was evaluated with.
    """
    entries = [
        {'image_id': image_id, 'category_id': self._category(class_id),
         'bbox': box, 'score': score}
        for class_id, box, score in zip(
            self.classes, _xywh(self.boxes).tolist(),
            self.scores.astype(np.float64).tolist())]
    if self.masks is not None:
      rles = mask_utils.paste_and_encode(
          self.masks, _xywh(self.mask_boxes), *self.image_size,
          grid=self._mask_grid)
      for entry, rle in zip(entries, rles):
        entry['segmentation'] = rle
    return entries


def _xywh(boxes):
  """float64 [N, 4], (x, y, width, height), of yxyx boxes."""
  y0, x0, y1, x1 = np.moveaxis(np.asarray(boxes, np.float32), -1, 0)
  return np.stack([x0, y0, x1 - x0, y1 - y0], axis=-1).astype(np.float64)


class ClassificationResult(_Result):
  """The best classes of an image.

  Attributes:
    classes: int64 [k], the best first.
    scores: float32 [k], probabilities.
    names: [k] str.
    probabilities: float32 [C], of all classes.
  """

  def __init__(self, probabilities: np.ndarray, top: int = 5,
               **of_image: Any) -> None:
    """Takes probabilities [C] of all classes; the best `top` are kept."""
    super().__init__(**of_image)
    self.probabilities = np.asarray(probabilities, np.float32)
    order = np.argsort(-self.probabilities, kind='mergesort')[:top]
    self.classes = order.astype(np.int64)
    self.scores = self.probabilities[order]
    self.names = self._named(order)

  def __repr__(self):
    return '<ClassificationResult: %s>' % ', '.join(
        '%s %.2f' % pair for pair in zip(self.names, self.scores))

  def filtered(
      self, min_score: float = 0., max_boxes: Optional[int] = None,
      classes: Optional[Sequence[types.Id]] = None) -> 'ClassificationResult':
    """A result with some of the classes; see DetectionResult.filtered."""
    keep = np.flatnonzero((self.scores >= min_score) & self._wanted(
        classes))[:max_boxes]
    answer = copy.copy(self)
    answer.classes, answer.scores = self.classes[keep], self.scores[keep]
    answer.names = self._named(answer.classes)
    return answer

  def resized(self, image: np.ndarray) -> 'ClassificationResult':
    """The same answer about the image at another size, uint8 [h, w, 3]."""
    answer = copy.copy(self)
    answer.image, answer.image_size = image, tuple(image.shape[:2])
    return answer

  def draw(self, image: Optional[np.ndarray] = None,
           **options: Any) -> np.ndarray:
    """The image with the classes and their scores, uint8 [H, W, 3].

    For the arguments see DetectionResult.draw.
    """
    return drawing.draw_classes(self._ground(image), self.names, self.scores,
                                **options)

  def to_coco(self, image_id: types.Id) -> List[Dict[str, Any]]:
    """[{'image_id', 'category_id', 'score'}], the best first."""
    return [{'image_id': image_id, 'category_id': self._category(i),
             'score': float(score)}
            for i, score in zip(self.classes, self.scores)]


class SegmentationResult(_Result):
  """The class of every pixel of an image.

  Attributes:
    label_map: int32 [height, width].
    classes: int64 [k], those that occur.
    names: [k] str.
    scores: float32 [height, width], probability of the class; None where the
      model does not give it.
  """

  def __init__(self, label_map: np.ndarray, scores: Optional[np.ndarray] = None,
               **of_image: Any) -> None:
    """Takes class ids and scores, 0..1 or None, both [height, width]."""
    super().__init__(**of_image)
    self.label_map = np.asarray(label_map, np.int32)
    self.scores = scores
    self.classes = np.unique(self.label_map).astype(np.int64)
    self.names = self._named(self.classes)

  def __repr__(self):
    return '<SegmentationResult: %d x %d pixels; %s>' % (
        self.image_size + (', '.join(self.names),))

  def filtered(
      self, min_score: float = 0., max_boxes: Optional[int] = None,
      classes: Optional[Sequence[types.Id]] = None) -> 'SegmentationResult':
    """A result with some of the classes; pixels of the others become 0.

    Args:
      min_score: float; pixels of a lower score become 0, where there are
        scores.
      max_boxes: int; at most so many classes stay, those of most pixels.
      classes: see DetectionResult.filtered.
    """
    label_map = self.label_map
    if min_score > 0 and self.scores is not None:
      label_map = np.where(self.scores >= min_score, label_map, 0)
    found, counts = np.unique(label_map, return_counts=True)
    answer = copy.copy(self)
    answer.classes = found[np.argsort(-counts, kind='mergesort')]
    answer.names = self._named(answer.classes)
    answer.classes = np.sort(answer.classes[answer._wanted(
        classes)][:max_boxes]).astype(np.int64)
    answer.names = self._named(answer.classes)
    answer.label_map = np.where(np.isin(label_map, answer.classes), label_map,
                                0)
    return answer

  def resized(self, image: np.ndarray) -> 'SegmentationResult':
    """The answer about the image as uint8 [h, w, 3], without scores."""
    size = image.shape[1::-1]
    return SegmentationResult(
        cv2.resize(self.label_map, size, interpolation=cv2.INTER_NEAREST),
        **self._resized_of_image(image))

  def draw(self, image: Optional[np.ndarray] = None,
           **options: Any) -> np.ndarray:
    """The image coloured by class, uint8 [H, W, 3].

    For the arguments see DetectionResult.draw.
    """
    options = dict(dict(min_size=0), **options)
    return drawing.draw_label_map(self._ground(image), self.label_map,
                                  names=self.class_names, **options)

  def to_coco(self, image_id: types.Id) -> List[Dict[str, Any]]:
    """[{'image_id', 'category_id', 'segmentation'}], one for each class."""
    return [{'image_id': image_id, 'category_id': self._category(i),
             'segmentation': mask_utils.encode(self.label_map == i)}
            for i in self.classes]
