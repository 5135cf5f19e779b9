"""A model that sees red: stands in for predictor.Predictor."""

import numpy as np

from serving import images
from serving import networks
from serving import predictor
from serving import results

NAMES = {1: 'red <b>patch</b>', 2: 'owl, barn', 3: 'x</script>'}


class SeesRed:
  """Finds the box of the red pixels, and an owl in the whole image."""

  config = None

  def __init__(self, task=networks.DETECTION, **load_options):
    self.task, self.class_names = task, NAMES
    self.load_options = load_options
    self.is_closed = False

  def stream(self, inputs):
    for index, image in enumerate(inputs):
      try:
        yield self._answer(images.load(image, **self.load_options))
      except predictor.InputError as e:
        yield predictor.InputError(str(e), index)

  def _answer(self, image):
    is_red = (image[..., 0] > 160) & (image[..., 1:].max(axis=-1) < 90)
    of_image = dict(image_size=image.shape[:2], class_names=NAMES, image=image)
    if self.task == networks.CLASSIFICATION:
      return results.ClassificationResult(
          [0., is_red.mean(), 1 - is_red.mean(), 0.], **of_image)
    if self.task == networks.SEGMENTATION:
      return results.SegmentationResult(is_red.astype(np.int32), **of_image)
    boxes = [(0., 0.) + image.shape[:2]]
    if is_red.any():
      rows, columns = np.where(is_red)
      boxes.append((rows.min(), columns.min(), rows.max() + 1,
                    columns.max() + 1))
    return results.DetectionResult(boxes[::-1], [.9, .4][-len(boxes):],
                                   [1, 2][-len(boxes):], **of_image)

  def close(self):
    self.is_closed = True
