"""Batches of predicted classes to accuracies."""

import collections
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np

from evaluation import report
from utils import types

_CLASS_METRIC = 'eval/accuracy_class_%d'


class ClassificationEvaluator:
  """Top-1 and top-5 accuracy over all images of a set.

  `reset()`, then `update()` for every batch, then `evaluate()`. An update after
  `evaluate` begins the next evaluation.
  """

  results_name = 'predictions.json'

  def __init__(self, label_map: Optional[types.LabelMap] = None) -> None:
    """Takes the names of the classes.

    Args:
      label_map: {class id: name} for the table; ids without one are shown as
        numbers.
    """
    self._label_map = label_map or {}
    self.reset()

  def reset(self) -> None:
    """Forgets all predictions."""
    self._ids, self._labels, self._scores = [], [], []
    self._classes = []  # of each image: the best classes, best first
    self._is_finished = False
    self.messages = []  # what a person should know of the last `evaluate`

  @property
  def category_names(self) -> Dict[int, str]:
    """{class id: name} of the label map."""
    return dict(self._label_map)

  @property
  def num_images(self) -> int:
    """Number of images that predictions were given for."""
    return len(self._labels)

  def update(self, predictions: Mapping[str, np.ndarray],
             groundtruths: Mapping[str, np.ndarray]) -> None:
    """Adds a batch without padding.

    Args:
      predictions: {name: array}: source_id int64 [B]; classes int, scores
        float, 0..1, both [B, K], the best first.
      groundtruths: {'label': int [B]}.

    Raises:
      ValueError: if a key is missing.
    """
    if self._is_finished:
      self.reset()
    for name, values in (('source_id', predictions), ('classes', predictions),
                         ('scores', predictions), ('label', groundtruths)):
      if name not in values:
        raise ValueError('The batch has no %s; it has the keys %s.' % (
            name, sorted(predictions) + sorted(groundtruths)))
    self._ids.extend(np.reshape(predictions['source_id'], [-1]).tolist())
    self._labels.extend(np.reshape(groundtruths['label'], [-1]).tolist())
    self._classes.extend(np.asarray(predictions['classes']).tolist())
    self._scores.extend(np.asarray(predictions['scores'])[:, 0].tolist())

  def evaluate(self) -> Dict[str, float]:
    """Counts.

    Returns:
      {'top_1_accuracy', 'top_5_accuracy', 'eval/accuracy_class_<id>' of the
      classes that occur: float, share of the images}.

    Raises:
      ValueError: if there was no update.
    """
    if not self._labels:
      raise ValueError('There are no predictions to evaluate.')
    labels, classes = np.array(self._labels), np.array(self._classes)
    is_right = classes == labels[:, np.newaxis]
    metrics = {'top_1_accuracy': float(is_right[:, 0].mean()),
               'top_5_accuracy': float(is_right.any(axis=1).mean())}
    for class_id in np.unique(labels).tolist():
      metrics[_CLASS_METRIC % class_id] = float(
          is_right[labels == class_id, 0].mean())
    self._is_finished = True
    return metrics

  def results(self) -> List[Dict[str, Any]]:
    """[{'image_id', 'category_id', 'score', 'label'}], the best class each."""
    return [{'image_id': image_id, 'category_id': classes[0], 'score': score,
             'label': label}
            for image_id, classes, score, label in zip(
                self._ids, self._classes, self._scores, self._labels)]

  def format_table(self, metrics: Mapping[str, float]) -> str:
    """The figures as text, the worst classes first."""
    counts = collections.Counter(self._labels)
    rows = sorted((metrics[_CLASS_METRIC % i], i) for i in counts)
    return report.format_class_table(
        ['top-1 accuracy  %s' % report.figure(metrics['top_1_accuracy']),
         'top-5 accuracy  %s' % report.figure(metrics['top_5_accuracy'])],
        'accuracy', 'images',
        [(i, self._label_map.get(i, str(i)), counts[i], value)
         for value, i in rows])


def to_results(predictions: Mapping[str, np.ndarray],
               image_ids: Sequence[types.Id]) -> List[Dict[str, Any]]:
  """The entries that mode predict writes for a batch.

  Args:
    predictions: {name: array} as of `ClassificationEvaluator.update`.
    image_ids: [int or str].

  Returns:
    [{'image_id', 'category_id', 'score'}], the best classes of each image,
    best first.
  """
  return [{'image_id': image_id, 'category_id': int(class_id),
           'score': float(score)}
          for image_id, classes, scores in zip(
              image_ids, predictions['classes'], predictions['scores'])
          for class_id, score in zip(classes, scores)]
