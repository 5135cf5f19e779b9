"""Training images by the input pipeline, and many of them as one image."""

from typing import Any, List, Sequence

import cv2
import numpy as np

from configs import base
from dataloader import inputs as dataloader_inputs
from dataloader import sessions
from dataloader import shown_labels
from ops import anchors as anchor_ops
from ops import preprocess
from ops import tensorflow_later as tf
from utils import modes


def parse(config: base.Config, num_examples: int) -> List[Any]:
  """Runs the input pipeline of training.

  Args:
    config: experiment with a parser of boxes.
    num_examples: int.

  Returns:
    [shown_labels.Shown].
  """
  input_fn = dataloader_inputs.build_input_fn(config, modes.TRAIN)
  section = getattr(config, config.architecture.parser)
  anchors = anchor_ops.AnchorGenerator.of_sections(
      config.anchor, config.architecture)
  height, width = preprocess.compute_padded_size(
      section.output_size, 2 ** anchors.max_level)
  boxes = anchors.boxes((height, width))
  with tf.Graph().as_default(), sessions.make() as session:
    following = tf.data.make_one_shot_iterator(
        input_fn({'batch_size': 1})).get_next()
    shown = []
    for _ in range(num_examples):
      images, labels = tf.nest.map_structure(
          lambda array: array[0], session.run(following))
      shown.append(shown_labels.show(images, labels, boxes,
                                     shown_labels.grid_of(section)))
    return shown


def contact_sheet(images: Sequence[np.ndarray], columns: int,
                  width: int) -> np.ndarray:
  """One image of many.

  Args:
    images: [uint8 [h, w, 3]].
    columns: int.
    width: int, pixels of each.

  Returns:
    uint8 [H, columns * width, 3], white where no image is.
  """
  small = [cv2.resize(p, (width, max(1, int(round(
      width * p.shape[0] / float(p.shape[1]))))), interpolation=cv2.INTER_AREA)
           for p in images]
  height = max(p.shape[0] for p in small)
  rows = -(-len(small) // columns)
  sheet = np.full([rows * height, columns * width, 3], 255, np.uint8)
  for i, image in enumerate(small):
    y, x = i // columns * height, i % columns * width
    sheet[y:y + image.shape[0], x:x + width] = image
  return sheet
