"""From the arrays of a network to the result of an image."""

import io
from typing import Any, Mapping

import numpy as np
from PIL import Image

from evaluation import segmentation_results
from serving import networks
from serving import results
from serving import segmentation_outputs
from serving import signatures
from utils import fields
from utils import mask_grids


def of_detections(answers: Mapping[str, np.ndarray], row: int,
                  mask_grid: mask_grids.MaskGrid,
                  **of_image: Any) -> results.DetectionResult:
  """The DetectionResult of one image of a batch.

  Args:
    answers: {name: array [B, ...]}; boxes yxyx, in pixels of the network's
      input.
    row: int, of the batch.
    mask_grid: mask_grids.MaskGrid of the model.
    **of_image: other fields of the result.
  """
  count = int(answers[fields.NUM_DETECTIONS][row])
  scale = np.tile(answers[fields.IMAGE_INFO][row, 2], 2)  # (y, x, y, x)
  boxes = answers[fields.DETECTION_BOXES][row, :count] / scale
  scores = answers[fields.DETECTION_SCORES][row, :count]
  keep = np.isfinite(boxes).all(axis=1) & np.isfinite(scores)
  masks, mask_boxes = None, None
  if fields.DETECTION_MASKS in answers:
    masks = answers[fields.DETECTION_MASKS][row, :count][keep]
  if fields.DETECTION_OUTER_BOXES in answers:
    mask_boxes = (answers[fields.DETECTION_OUTER_BOXES][row, :count]
                  / scale)[keep]
  if signatures.PASTED_MASKS in answers:
    # As cells of a box that is the whole image they stay what they are.
    height, width = of_image['image_size']
    masks = answers[signatures.PASTED_MASKS][row, :count, :height, :width][keep]
    mask_boxes = np.tile(np.float32([0, 0, height, width]), [len(masks), 1])
    mask_grid = mask_grids.CELLS
  return results.DetectionResult(
      boxes[keep], scores[keep],
      answers[fields.DETECTION_CLASSES][row, :count][keep], masks, mask_boxes,
      mask_grid, **of_image)


def of_classification(answers: Mapping[str, np.ndarray], row: int, top: int = 5,
                      **of_image: Any) -> results.ClassificationResult:
  """The ClassificationResult of one image of a batch.

  Args:
    answers: {name: array [B, ...]}, with `probabilities` [B, C].
    row: int, of the batch.
    top: int, classes in the result.
    **of_image: other fields of the result.
  """
  return results.ClassificationResult(
      answers[networks.PROBABILITIES][row], top, **of_image)


def of_segmentation(answers: Mapping[str, np.ndarray], row: int,
                    **of_image: Any) -> results.SegmentationResult:
  """The SegmentationResult of one image of a batch.

  Args:
    answers: {name: array [B, ...]}: `masks` [B, h, w, 1], `pixel_scores` and
      `image_info` [B, 4, 2], or the PNGs of segmentation_outputs.with_pngs.
    row: int, of the batch.
    **of_image: other fields of the result.
  """
  if segmentation_outputs.CATEGORY_BYTES in answers:
    return results.SegmentationResult(
        _pixels(answers[segmentation_outputs.CATEGORY_BYTES][row]),
        _pixels(answers[segmentation_outputs.SCORE_BYTES][row])
        / np.float32(255.), **of_image)
  info = answers[fields.IMAGE_INFO][row]
  maps = [segmentation_results.to_image_size(answers[name][row, :, :, 0], info)
          for name in (fields.MASKS, networks.PIXEL_SCORES)]
  return results.SegmentationResult(*maps, **of_image)


def _pixels(png):
  return np.asarray(Image.open(io.BytesIO(png)))
