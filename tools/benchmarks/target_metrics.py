"""Metrics of a model's validation set, by whatever program runs the model."""

from typing import Any, Callable, Dict, Iterator

import numpy as np
import tensorflow.compat.v1 as tf

from configs import base
from dataloader import inputs
from executor import evaluation
from modeling import predictions as predictions_lib
from serving import checkpoint_model
from serving import export
from serving import exported_model
from serving import host_graphs
from serving import networks
from utils import fields
from utils import modes

# {task: the metric that stands for all of them}.
MAIN = {networks.CLASSIFICATION: 'top_1_accuracy', networks.DETECTION: 'AP',
        networks.SEGMENTATION: 'miou'}
_BATCH_SIZE = 8
_TOP = 5  # classes of a prediction, as evaluation has them

# (images float32 [B, H, W, 3], image_info [B, 4, 2]) -> {key: array [B, ...]}.
Run = Callable[[np.ndarray, np.ndarray], Dict[str, np.ndarray]]


def suppression(
    config: base.Config
) -> Callable[[Dict[str, np.ndarray]], Dict[str, np.ndarray]]:
  """A function that makes detections of raw boxes, and leaves other answers."""
  suppress = host_graphs.Suppression(config)

  def suppressed(answers):
    if fields.RAW_SCORES not in answers:
      return answers
    return suppress(answers[fields.RAW_BOXES], answers[fields.RAW_SCORES])
  return suppressed


def of_checkpoint(config: base.Config, checkpoint: str) -> Run:
  """The network of a checkpoint, in a session."""
  model = checkpoint_model.CheckpointModel(config, checkpoint)
  suppressed = suppression(config)
  return lambda images, info: suppressed(model.run(list(zip(images, info))))


def of_saved_model(folder: str, config: base.Config) -> Run:
  """An export of prepared images, of any number (`raw_image_tensor`)."""
  model = exported_model.ExportedModel(folder)
  suppressed = suppression(config)
  return lambda images, info: suppressed(model.run_signature({
      model.signature['inputs']['input']['tensor']: images,
      export.NETWORK_IMAGE_INFO + ':0': info}))


def of_target(model: Any, config: base.Config) -> Run:
  """A converted model, which takes no image_info: what it stands for is done.

  Args:
    model: Model of serving.targets.run_onnx and the like.
    config: experiment.
  """
  suppressed = suppression(config)

  def run(images, info):
    answers = suppressed(_in_batches(model, images))
    if fields.DETECTION_BOXES in answers:
      # In such a model the padding belongs to the image.
      limits = np.tile(info[:, 1], [1, 2])[:, np.newaxis]
      answers[fields.DETECTION_BOXES] = np.clip(
          answers[fields.DETECTION_BOXES], 0., limits)
    return answers
  return run


def _in_batches(model, images):
  """{key: array [B, ...]}; a fixed batch is filled up with the last image."""
  size = model.batch_size or len(images)
  parts = []
  for start in range(0, len(images), size):
    part = images[start:start + size]
    filled = np.concatenate([part] + [part[-1:]] * (size - len(part)))
    parts.append({key: np.array(value)[:len(part)]
                  for key, value in model.run(filled).items()})
  return {key: np.concatenate([part[key] for part in parts])
          for key in parts[0]}


def metrics(config: base.Config, run: Run) -> Dict[str, float]:
  """Evaluates a model over `eval.eval_file_pattern`.

  Args:
    config: experiment.
    run: one of the functions above.

  Returns:
    {metric: float} of the evaluator of the experiment.
  """
  evaluator = evaluation.build_evaluator(config)
  task = networks.task_of(config)
  batches = (_predictions(task, run(images, labels[fields.IMAGE_INFO]), labels)
             for images, labels in _batches(config))
  for batch in evaluation.images_of(batches):
    predictions, groundtruths, _ = evaluation.split_by_prefix(batch)
    evaluator.update(predictions, groundtruths)
  return evaluator.evaluate()


def _batches(config: base.Config) -> Iterator[Any]:
  """Yields (images, labels) of the validation set as nests of arrays."""
  input_fn = inputs.build_input_fn(  # An exported model has no losses.
      base.override(config, {'eval': {'skip_eval_loss': True}}),
      modes.PREDICT_WITH_GT)
  with tf.Graph().as_default(), tf.Session() as session:
    batch = tf.data.make_one_shot_iterator(
        input_fn({'batch_size': _BATCH_SIZE})).get_next()
    if fields.IMAGE_INFO not in batch['labels']:  # of classifiers
      size = tf.cast(tf.shape(batch['images'])[:3], tf.float32)
      batch['labels'][fields.IMAGE_INFO] = tf.ones([size[0], 4, 2]) * size[1:]
    while True:
      try:
        values = session.run(batch)
      except tf.errors.OutOfRangeError:
        return
      yield values['images'], values['labels']


def _predictions(task, answers, labels):
  """The dictionary of Estimator.predict; see modeling.predictions."""
  if task == networks.DETECTION:
    return predictions_lib.detection_predictions(answers, labels)
  found = {fields.PRED + fields.SOURCE_ID: labels[fields.SOURCE_ID]}
  if task == networks.SEGMENTATION:
    found.update({fields.PRED + fields.MASKS: answers[fields.MASKS],
                  fields.PRED + fields.IMAGE_INFO: labels[fields.IMAGE_INFO],
                  fields.GT + fields.MASKS: labels[fields.MASKS],
                  fields.GT + fields.VALID_MASKS: labels[fields.VALID_MASKS]})
    return found
  scores = answers[networks.PROBABILITIES]
  best = np.argsort(-scores, axis=1, kind='stable')[:, :_TOP]
  found.update({fields.PRED + fields.CLASSES: best,
                fields.PRED + fields.SCORES: np.take_along_axis(
                    scores, best, axis=1),
                fields.GT + fields.LABEL: labels[fields.LABEL]})
  return found
