"""The images that training sees, with their labels, for TensorBoard.

They are drawn from the batch of the step itself: after augmentation, in the
size of the network input, with the labels that the losses compare with.
"""

from typing import Any, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from configs import base
from dataloader import factory as dataloader_factory
from dataloader import shown_labels
from executor import evaluation_summaries
from executor import failures
from executor import log_files
from modeling import model_fn
from modeling.training import training_variables
from ops import anchors as anchor_ops
from ops import compat
from utils import fields
from utils import label_map as label_maps
from utils import modes
from utils import types

_NUM_IMAGES = 4  # the first ones of the batch of the first replica
_DRAWN_LABELS = (fields.GT_BOXES, fields.CLS_TARGETS, fields.MASKS)  # any


class InputImagesHook(tf.train.SessionRunHook):
  """Draws the images of a batch every N steps.

  A step in which nothing is drawn fetches nothing.
  """

  def __init__(self, config: base.Config) -> None:
    """Keeps the experiment; `train.image_summaries_every_n_steps` is set."""
    self._config = config
    self._every_n_steps = config.train.image_summaries_every_n_steps
    self._names: types.LabelMap = {}
    self._last: Optional[int] = None  # step that was drawn
    self._step = 0

  def begin(self) -> None:
    path = self._config.eval.label_map
    self._names = label_maps.read_label_map(path) if path else {}
    self._read_step = training_variables.read_step()
    self._fetches = shown_tensors(self._config, tf.get_default_graph())
    if self._fetches is None:
      tf.logging.warning(
          'train.image_summaries_every_n_steps: the batch of a step cannot be '
          'found in this graph, so no images are drawn.')

  def after_create_session(self, session: tf.Session,
                           coord: tf.train.Coordinator) -> None:
    del coord
    self._step = int(session.run(self._read_step))

  def before_run(self, run_context: tf.train.SessionRunContext) -> Any:
    del run_context
    is_due = self._last is None or ((self._step + 1) // self._every_n_steps
                                    > self._last // self._every_n_steps)
    if is_due and self._fetches is not None:
      return tf.train.SessionRunArgs(self._fetches)
    return None

  def after_run(self, run_context: tf.train.SessionRunContext,
                run_values: tf.train.SessionRunValues) -> None:
    self._step = int(run_context.session.run(self._read_step))
    if run_values.results is None:
      return
    self._last = self._step
    with failures.survived('No images of the input were written'):
      log_files.event_writer(self._config.model_dir).add_summary(
          tf.Summary(value=self._values(*run_values.results)), self._step)

  def _values(self, images, labels):
    """[tf.Summary.Value] of a fetched batch."""
    return [evaluation_summaries.image_value('inputs/%d' % i, draw(
        self._config, pixels,
        tf.nest.map_structure(lambda v, i=i: v[i], labels), self._names))
            for i, pixels in enumerate(images)]


def shown_tensors(config: base.Config, graph: tf.Graph) -> Any:
  """The tensors of the batch of a step that are fetched.

  Args:
    config: experiment.
    graph: the graph of the training step.

  Returns:
    (images, float32 [N, H, W, 3], normalised; their labels), with N at most 4;
    None where the graph has no batch of this experiment, or its labels are of a
    kind that only a plugin knows.
  """
  spec = dataloader_factory.build_parser(config, modes.TRAIN).labels_spec()
  tensors = _batch_of(graph, spec)
  if tensors is None or isinstance(spec, dict) and not any(
      key in spec for key in _DRAWN_LABELS):
    return None
  block_size = config.architecture.space_to_depth_block_size
  with tf.device('/cpu:0'), tf.name_scope('input_images'):
    images = model_fn.restore_image_layout(
        tensors[0], config.train.transpose_input, block_size)
    images = tf.cast(images[:_NUM_IMAGES], tf.float32)
    if block_size > 1:
      images = tf.depth_to_space(images, block_size)
    return images, tf.nest.pack_sequence_as(
        spec, [t[:_NUM_IMAGES] for t in tensors[1:]])


def _batch_of(graph, spec):
  """The tensors of (images, labels) of the first replica; None: not found."""
  labels = tf.nest.flatten(spec)
  for op in graph.get_operations():
    if (op.type == compat.NEXT_BATCH
        and len(op.outputs) == 1 + len(labels)) and all(
        tensor.dtype == part.dtype
        and tensor.shape[1:].as_list() == part.shape.as_list()
        for tensor, part in zip(op.outputs[1:], labels)):
      return list(op.outputs)
  return None


def draw(config: base.Config, image: np.ndarray, labels: Any,
         names: types.LabelMap) -> np.ndarray:
  """Draws the labels of an image.

  Args:
    config: experiment.
    image: float32 [H, W, 3], normalised.
    labels: those that its parser makes for training, of one image.
    names: {class id: name}.

  Returns:
    uint8 [h, w, 3].
  """
  if not isinstance(labels, dict) or fields.MASKS in labels:
    return shown_labels.draw_classes(image, labels, names)
  anchors = anchor_ops.AnchorGenerator.of_sections(
      config.anchor, config.architecture).boxes(
          (image.shape[0], image.shape[1]))
  shown = shown_labels.show(image, labels, anchors, shown_labels.grid_of(
      getattr(config, config.architecture.parser)))
  return shown_labels.draw(shown._replace(anchors=shown.anchors[:0]), names)
