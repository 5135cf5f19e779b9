"""Label maps of the network input to those of the images."""

from typing import Any, Dict, List, Mapping, Sequence, Tuple

import cv2
import numpy as np

from utils import masks as mask_utils
from utils import types


def to_image_size(mask: np.ndarray, image_info: np.ndarray) -> np.ndarray:
  """Takes the padding off a label map and resizes it to its image.

  Args:
    mask: int [h, w], of the network input.
    image_info: float [4, 2], rows original size, desired size, scale, offset;
      each (y, x).

  Returns:
    int [H, W], the type of `mask`. The part of an image that lies beyond the
    network input is 0.
  """
  height, width = [int(round(side)) for side in np.asarray(image_info[0])]
  rows, columns = [int(round(side)) for side in
                   np.asarray(image_info[0]) * np.asarray(image_info[2])]
  scaled = np.zeros([rows, columns], mask.dtype)
  part = mask[:rows, :columns]
  scaled[:part.shape[0], :part.shape[1]] = part
  if (rows, columns) == (height, width):
    return scaled
  return cv2.resize(scaled, (width, height), interpolation=cv2.INTER_NEAREST)


def to_results(predictions: Mapping[str, np.ndarray],
               image_ids: Sequence[types.Id]) -> List[Dict[str, Any]]:
  """Regions of a batch in the format of COCO's stuff results.

  Args:
    predictions: {'masks': int [B, h, w, 1], 'image_info': float [B, 4, 2]}.
    image_ids: [int or str].

  Returns:
    [{'image_id', 'category_id', 'segmentation': RLE}], one for each class of
    each image, in pixels of the image.
  """
  results = []
  for image_id, mask, image_info in zip(
      image_ids, predictions['masks'], predictions['image_info']):
    image = to_image_size(np.asarray(mask)[:, :, 0].astype(np.int32),
                          image_info)
    results += [{'image_id': image_id, 'category_id': int(class_id),
                 'segmentation': mask_utils.encode(image == class_id)}
                for class_id in np.unique(image)]
  return results


def to_label_map(regions: Sequence[Dict[str, Any]],
                 size: Tuple[int, int]) -> np.ndarray:
  """The label map of the results of one image.

  Args:
    regions: [{'category_id', 'segmentation'}] of `to_results`.
    size: (height, width) of the image.

  Returns:
    int32 [height, width].
  """
  label_map = np.zeros(size, np.int32)
  for region in regions:
    label_map[mask_utils.decode(region['segmentation']) > 0] = (
        region['category_id'])
  return label_map
