"""Accuracies, worked out by hand."""

import numpy as np
import pytest

from evaluation import classification_evaluator


def _batch(ids, classes, labels):
  classes = np.array(classes, np.int32)
  scores = np.tile(np.linspace(.5, .1, classes.shape[1], dtype=np.float32),
                   [len(ids), 1])
  return ({'source_id': np.array(ids), 'classes': classes, 'scores': scores},
          {'label': np.array(labels, np.int32)})


def _evaluator():
  evaluator = classification_evaluator.ClassificationEvaluator({1: 'disc'})
  evaluator.update(*_batch([7, 8], [[1, 2, 3, 4, 5], [2, 1, 3, 4, 5]], [1, 1]))
  evaluator.update(*_batch([9, 9], [[3, 4, 5, 6, 2], [3, 4, 5, 6, 1]], [2, 2]))
  return evaluator


def test_accuracies():
  evaluator = _evaluator()
  assert evaluator.evaluate() == {
      'top_1_accuracy': .25, 'top_5_accuracy': .75,
      'eval/accuracy_class_1': .5, 'eval/accuracy_class_2': 0.}
  # Images that share an id all count.
  assert evaluator.num_images == 4


def test_results_have_the_best_class():
  results = _evaluator().results()
  assert results[1] == {'image_id': 8, 'category_id': 2, 'score': .5,
                        'label': 1}
  assert [r['category_id'] for r in results] == [1, 2, 3, 3]


def test_update_after_evaluate_begins_anew():
  evaluator = _evaluator()
  evaluator.evaluate()
  evaluator.update(*_batch([1], [[4, 3]], [4]))
  assert evaluator.evaluate() == {
      'top_1_accuracy': 1., 'top_5_accuracy': 1., 'eval/accuracy_class_4': 1.}


def test_table_has_the_worst_class_first():
  evaluator = _evaluator()
  lines = evaluator.format_table(evaluator.evaluate()).split('\n')
  assert lines[0].split() == ['top-1', 'accuracy', '0.2500']
  assert [line.split() for line in lines[3:6]] == [
      ['id', 'class', 'images', 'accuracy'],
      ['2', '2', '2', '0.0000'], ['1', 'disc', '2', '0.5000']]


def test_of_many_classes_the_worst_are_shown():
  evaluator = classification_evaluator.ClassificationEvaluator()
  evaluator.update(*_batch(range(40), [[0]] * 40, range(40)))
  table = evaluator.format_table(evaluator.evaluate())
  assert '... and 10 more classes' in table
  assert '\n    0  ' not in table  # the only right one


@pytest.mark.parametrize('name', ['source_id', 'classes', 'scores', 'label'])
def test_missing_keys_are_named(name):
  batch = _batch([1], [[1]], [1])
  for part in batch:
    part.pop(name, None)
  with pytest.raises(ValueError, match='no %s' % name):
    classification_evaluator.ClassificationEvaluator().update(*batch)


def test_nothing_to_evaluate():
  with pytest.raises(ValueError, match='no predictions'):
    classification_evaluator.ClassificationEvaluator().evaluate()


def test_what_mode_predict_writes():
  predictions, _ = _batch([7], [[4, 2]], [0])
  results = classification_evaluator.to_results(predictions, ['a.jpg'])
  assert results == [
      {'image_id': 'a.jpg', 'category_id': 4, 'score': .5},
      {'image_id': 'a.jpg', 'category_id': 2,
       'score': pytest.approx(.1)}]
