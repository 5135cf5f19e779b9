import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import anchors as anchor_ops
from ops import boxes as box_ops
from ops import detections
from ops import nms_candidates
from tests import golden
from tests import graphs
from tests import runtimes
from tests.ops import greedy_nms

# In the file for information; it shows a fault of one kernel.
_NOT_REPRODUCED = ('ml_degenerate_v1',)
_CASES = [c for c in golden.load_cases('postprocess')
          if c.outputs and c.name not in _NOT_REPRODUCED]
_ONE_STAGE = [c for c in _CASES if c.name.startswith('ml_')]
_TWO_STAGE = [c for c in _CASES if c.name.startswith('gen_')]
_TIES = [c for c in _CASES if c.name.startswith('fn_ties')]
_VERSIONS = sorted(detections.NMS_VERSIONS)


class _Boxes:
  """Outputs that are decoded already."""

  def __init__(self, boxes, scores):
    self._pool = nms_candidates.Pool(
        tf.constant(boxes), tf.constant(scores), None)

  def pool(self, size=None):
    del size
    return self._pool

  def first_class_box(self):
    return self._pool.boxes[:, 0, 0]


def _run(tensors, feeds=None):
  with tf.Session() as session:
    return session.run(tensors, feeds)


def _constants(by_level):
  return {level: tf.constant(value) for level, value in by_level.items()}


def _inputs(case, name):
  """Arrays of a case, from the case that has them where it has none."""
  return case.meta['all_arrays'][name]['in']


def _check(result, case):
  assert set(result) == set(case.outputs)
  for key, expected in case.outputs.items():
    if key in ('detection_classes', 'num_detections'):
      assert result[key].dtype == np.int32
      np.testing.assert_array_equal(result[key], expected, key)
    else:
      tolerance = 1e-5 if 'scores' in key else 1e-3
      np.testing.assert_allclose(
          result[key], expected, atol=tolerance, err_msg=key)


def _reference_one_stage(case, **options):
  inputs = _inputs(case, 'ml_inputs')
  class_outputs = golden.levels(inputs, 'class_outputs')
  if 'degenerate' in case.name:
    class_outputs = golden.levels(
        _inputs(case, 'ml_degenerate_v2'), 'class_outputs')
  return detections.generate_one_stage_detections(
      _constants(golden.levels(inputs, 'box_outputs')),
      _constants(class_outputs), _constants(golden.levels(inputs, 'anchors')),
      tf.constant(inputs['image_shape']), **dict(case.params, **options))


@pytest.mark.parametrize('case', runtimes.share(
    _ONE_STAGE, lambda case: case.params.get('nms_version'), on_both=2),
                         ids=lambda c: c.name)
def test_one_stage_equals_reference(case):
  _check(_run(_reference_one_stage(case)), case)


@pytest.mark.parametrize('case', _TWO_STAGE, ids=lambda c: c.name)
def test_two_stage_equals_reference(case):
  inputs = _inputs(case, 'gen_inputs')
  params = dict(case.params)
  per_class = params.pop('bbox_per_class', True)
  del params['apply_sigmoid']  # Two-stage scores come from a softmax.
  _check(_run(detections.generate_two_stage_detections(
      tf.constant(
          inputs['box_outputs' if per_class else 'box_outputs_agnostic']),
      tf.constant(inputs['class_outputs']), tf.constant(inputs['rois']),
      tf.constant(inputs['image_shape']), **params)), case)


@pytest.mark.parametrize('case', _TIES, ids=lambda c: c.name)
def test_ties(case):
  """Equal scores: by class, then by box.

  So has the reference's v2. Its v1 and batched kernels take equals in the order
  of a heap, which differs between TensorFlow versions; then only what does not
  depend on that order is comparable.
  """
  inputs = case.inputs or _inputs(case, 'fn_ties_v1')
  version = case.name[len('fn_ties_'):]
  params = dict(case.params)
  result = _run(detections.detect(
      _Boxes(inputs['boxes'], inputs['scores']), version, **params))
  for image, expected in _slow(inputs['boxes'], inputs['scores'], version,
                               **params):
    _compare(result, image, expected)
  if version == 'v2':
    np.testing.assert_array_equal(
        result['detection_classes'] - 1, case.outputs['classes'])
    np.testing.assert_allclose(
        result['detection_boxes'], case.outputs['boxes'], atol=1e-3)
  np.testing.assert_allclose(
      result['detection_scores'][:, 0], case.outputs['scores'][:, 0], atol=1e-5)


def _slow(boxes, scores, version, pre_nms_num_boxes=5000, **params):
  """(image, expected) by suppression box by box."""
  if version == 'batched':
    pre_nms_num_boxes = None
  for image in range(len(boxes)):
    yield image, greedy_nms.detect(
        boxes[image], scores[image], pre_nms_num_boxes=pre_nms_num_boxes,
        inclusive=version == 'v2', **params)


def _compare(result, image, expected):
  num = result['num_detections'][image]
  assert num == len(expected)
  for name, column in (('detection_scores', 0), ('detection_boxes', 2)):
    np.testing.assert_allclose(
        result[name][image, :num], [d[column] for d in expected], atol=1e-4)
  np.testing.assert_array_equal(
      result['detection_classes'][image, :num], [d[1] + 1 for d in expected])


def _dense_inputs(seed, batch_size=2, num_classes=4, size=128):
  """Random head outputs; (boxes, classes, anchors) by level."""
  rng = np.random.RandomState(seed)
  generator = anchor_ops.AnchorGenerator(3, 5, 2, [1., 2.], 3.)
  box_outputs, class_outputs = {}, {}
  for level in (3, 4, 5):
    shape = (batch_size, size >> level, size >> level)
    box_outputs[level] = rng.normal(
        0., .3, shape + (16,)).astype(np.float32)
    class_outputs[level] = rng.normal(
        -1., 2., shape + (4 * num_classes,)).astype(np.float32)
  return box_outputs, class_outputs, generator.boxes((size, size))


def _flat(box_outputs, class_outputs, anchors, num_classes=4, size=128):
  """Decoded boxes [B, N, 1, 4] and scores [B, N, C - 1]."""
  def join(by_level, width):
    return np.concatenate([
        by_level[level].reshape(len(by_level[level]), -1, width)
        for level in (3, 4, 5)], axis=1)

  values = {'boxes': join(box_outputs, 4),
            'anchors': np.concatenate([anchors[level] for level in (3, 4, 5)]),
            'logits': join(class_outputs, num_classes)}
  def build():
    inputs = {name: tf.placeholder(tf.float32, [None] * value.ndim)
              for name, value in values.items()}
    boxes = box_ops.clip_boxes(box_ops.decode_boxes(
        tf.ensure_shape(inputs['boxes'], [None, None, 4]),
        tf.ensure_shape(inputs['anchors'], [None, 4])), (size, size))
    return inputs, (boxes, tf.sigmoid(inputs['logits'])[:, :, 1:])
  boxes, scores = graphs.shared(('detections.flat', size), build).run(**values)
  return boxes[:, :, None], scores


def _detected(inputs, version, **params):
  """What is found among the outputs of `_dense_inputs`.

  The arrays are fed to a graph that cases of the same parameters share.
  """
  values = {'%s%d' % (name, level): value
            for name, by_level in zip(('boxes', 'classes'), inputs)
            for level, value in by_level.items()}
  batch_size = len(values['boxes3'])
  def build():
    fed = {name: tf.placeholder(tf.float32, value.shape)
           for name, value in values.items()}
    return fed, detections.generate_one_stage_detections(
        *[{level: fed['%s%d' % (name, level)] for level in (3, 4, 5)}
          for name in ('boxes', 'classes')], anchors=inputs[2],
        image_shape=tf.constant([[[128., 128.]]] * batch_size),
        nms_version=version, **params)
  return graphs.shared(('detections', version, batch_size,
                        detections.TRY_SIZES, sorted(params.items())),
                       build).run(**values)


def _check_tries(inputs, version, **params):
  """Compares with suppression box by box among all pairs."""
  result = _detected(inputs, version, **params)
  for image, expected in _slow(*_flat(*inputs), version=version, **params):
    _compare(result, image, expected)


@pytest.mark.parametrize('try_sizes, version', runtimes.product(
    [(), (64,), (16, 200), (2048, 16384)], _VERSIONS), ids=str)
def test_tries_end_in_the_complete_result(version, try_sizes, monkeypatch):
  """First try, a later one or everything: the detections are the same."""
  monkeypatch.setattr(detections, 'TRY_SIZES', try_sizes)
  _check_tries(
      _dense_inputs(seed=1), version, max_total_size=60, nms_iou_threshold=.4,
      score_threshold=.3, pre_nms_num_boxes=150)


@pytest.mark.parametrize('try_sizes, limits, version', runtimes.product(
    [(300,), (1400,)], [(3, .6), (5000, .05)], _VERSIONS), ids=str)
def test_places_stay_free(version, limits, try_sizes, monkeypatch):
  """Few boxes remain, so the search goes on to the end, or to the limit."""
  limit, score_threshold = limits
  monkeypatch.setattr(detections, 'TRY_SIZES', try_sizes)
  _check_tries(
      _dense_inputs(seed=2), version, max_total_size=200,
      nms_iou_threshold=.05, score_threshold=score_threshold,
      pre_nms_num_boxes=limit)


@pytest.mark.parametrize('version', _VERSIONS)
def test_background_scores_do_not_matter(version, monkeypatch):
  monkeypatch.setattr(detections, 'TRY_SIZES', (100, 400))
  inputs = _dense_inputs(seed=3)
  for value in inputs[1].values():
    value[..., ::4] += 3.  # Above most others, in some anchors.
  _check_tries(inputs, version, max_total_size=60, nms_iou_threshold=.4,
               score_threshold=.6, pre_nms_num_boxes=150)


@pytest.mark.parametrize('version, levels', runtimes.product(
    _VERSIONS, [1, 5, 50]))
def test_tries_with_many_ties(version, levels, monkeypatch):
  """Scores of few values, for which a partial view is easily wrong."""
  monkeypatch.setattr(detections, 'TRY_SIZES', (100, 400))
  inputs = _dense_inputs(seed=4)
  for level, value in inputs[1].items():
    inputs[1][level] = np.float32(
        np.round(np.clip(value, -1., 4.) * levels / 4.) * 4. / levels)
  _check_tries(inputs, version, max_total_size=40, nms_iou_threshold=.5,
               score_threshold=.05, pre_nms_num_boxes=200)


@pytest.mark.parametrize('version', _VERSIONS)
def test_boxes_without_area(version):
  """All boxes shrink to one pixel; each is reported once, if at all."""
  box_outputs, class_outputs, anchors = _dense_inputs(seed=3)
  for value in box_outputs.values():
    value[...] = np.float32([0., 0., -20., -20.] * 4)
  params = {'max_total_size': 100, 'nms_iou_threshold': .5,
            'score_threshold': .5}
  result = _detected((box_outputs, class_outputs, anchors), version, **params)
  for image in range(2):
    num = result['num_detections'][image]
    rows = set(zip(result['detection_classes'][image, :num],
                   result['detection_scores'][image, :num],
                   map(tuple, result['detection_boxes'][image, :num])))
    assert len(rows) == num == 100


def test_zero_area_boxes_of_the_reference_case():
  """What ml_degenerate_v1 shows a kernel doing wrong."""
  cases = [c for c in golden.load_cases('postprocess')
           if c.name in _NOT_REPRODUCED]
  for case in cases:
    result = _run(_reference_one_stage(case))
    raw = _run(_reference_one_stage(case, apply_nms=False))
    params = {name: case.params[name] for name in (
        'max_total_size', 'nms_iou_threshold', 'score_threshold',
        'pre_nms_num_boxes')}
    for image, expected in _slow(raw['raw_boxes'], raw['raw_scores'], 'v1',
                                 **params):
      _compare(result, image, expected)


@pytest.mark.parametrize('version', _VERSIONS)
def test_padding(version):
  inputs = _dense_inputs(seed=4, batch_size=1)
  boxes, scores = _flat(*inputs)
  result = _run(detections.generate_one_stage_detections(
      *inputs, image_shape=tf.constant([[[128., 128.]]]), nms_version=version,
      score_threshold=2., max_total_size=7))
  assert result['num_detections'].tolist() == [0]
  assert result['detection_classes'].tolist() == [[1] * 7]
  expected_score = 0. if version == 'batched' else -1.
  assert result['detection_scores'].tolist() == [[expected_score] * 7]
  expected_box = np.zeros(4)
  if version == 'v1':
    expected_box = boxes[0, np.argmax(scores[0, :, 0]), 0]
  np.testing.assert_allclose(
      result['detection_boxes'][0], [expected_box] * 7, atol=1e-4)


@pytest.mark.parametrize('version', _VERSIONS)
def test_equal_scores_everywhere(version):
  box_outputs, class_outputs, anchors = _dense_inputs(seed=5, batch_size=1)
  for value in class_outputs.values():
    value[...] = 0.
  params = {'max_total_size': 30, 'nms_iou_threshold': .5,
            'score_threshold': .1}
  result = _detected((box_outputs, class_outputs, anchors), version, **params)
  for image, expected in _slow(*_flat(box_outputs, class_outputs, anchors),
                               version=version, **params):
    _compare(result, image, expected)


def test_batched_flag_is_the_batched_version():
  inputs = _dense_inputs(seed=6, batch_size=1)
  shape = tf.constant([[[128., 128.]]])
  flag, name = _run([
      detections.generate_one_stage_detections(
          *inputs, image_shape=shape, nms_version='v1', use_batched_nms=True),
      detections.generate_one_stage_detections(
          *inputs, image_shape=shape, nms_version='batched')])
  for key in flag:
    np.testing.assert_array_equal(flag[key], name[key])


@pytest.mark.parametrize('version', [
    runtimes.only('tf2', 'batched'), runtimes.only('tf1', 'v1'),
    runtimes.only('tf2', 'v2')])
def test_batch_may_be_unknown(version, monkeypatch):
  monkeypatch.setattr(detections, 'TRY_SIZES', (64, 512))
  box_values, class_values, anchors = _dense_inputs(seed=7, batch_size=3)
  box_outputs, class_outputs = [
      {level: tf.placeholder(tf.float32, [None] + list(value.shape[1:]))
       for level, value in by_level.items()}
      for by_level in (box_values, class_values)]
  shapes = tf.placeholder(tf.float32, [None, 1, 2])
  outputs = detections.generate_one_stage_detections(
      box_outputs, class_outputs, anchors, shapes, nms_version=version,
      max_total_size=20)
  assert outputs['detection_boxes'].shape.as_list() == [None, 20, 4]
  results = {}
  with tf.Session() as session:
    for size in (1, 3):
      feeds = {shapes: [[[128., 100.]]] * size}
      for level in box_values:
        feeds[box_outputs[level]] = box_values[level][:size]
        feeds[class_outputs[level]] = class_values[level][:size]
      results[size] = session.run(outputs, feeds)
  for key in outputs:
    np.testing.assert_allclose(
        results[1][key][0], results[3][key][0], atol=1e-4, err_msg=key)
  assert results[3]['detection_boxes'].max() <= 127.


@pytest.mark.parametrize('version', runtimes.alternate(_VERSIONS))
def test_compiles_with_xla(version, monkeypatch):
  """As on a TPU: static shapes, functional control flow."""
  monkeypatch.setattr(detections, 'TRY_SIZES', (64,))
  box_outputs, class_outputs, anchors = _dense_inputs(seed=8, size=64)

  def build(*tensors):
    result = detections.generate_one_stage_detections(
        dict(zip((3, 4, 5), tensors[:3])), dict(zip((3, 4, 5), tensors[3:])),
        anchors, tf.constant([[[64., 64.]]] * 2), nms_version=version,
        max_total_size=20, pre_nms_num_boxes=50)
    return [result[key] for key in sorted(result)]

  tensors = [tf.constant(value[level]) for value in (box_outputs, class_outputs)
             for level in (3, 4, 5)]
  tf.enable_control_flow_v2()
  try:
    plain, compiled = _run(
        [build(*tensors), tf.xla.experimental.compile(build, tensors)])
  finally:
    tf.disable_control_flow_v2()
  assert plain[-1].min() == 20
  for expected, value in zip(plain, compiled):
    np.testing.assert_allclose(value, expected, atol=1e-4)


def test_graph_optimizer_does_not_complain(capfd, monkeypatch):
  """TF 1.15 stumbles over some constants inside conditionals, with noise."""
  monkeypatch.setattr(detections, 'TRY_SIZES', (64, 512))
  capfd.readouterr()
  _run(detections.generate_one_stage_detections(
      *_dense_inputs(seed=10), image_shape=tf.constant([[[128., 128.]]] * 2)))
  assert 'optimizer' not in capfd.readouterr().err


def test_unknown_version_names_the_known_ones():
  inputs = _dense_inputs(seed=9, batch_size=1)
  with pytest.raises(ValueError, match='v3.*batched, v1, v2'):
    detections.generate_one_stage_detections(
        *inputs, image_shape=tf.constant([[[128., 128.]]]), nms_version='v3')


def _view(*found, places=3):
  """The dict of `detect` of (class, score, y0, x0, y1, x1), one image."""
  rows = list(found) + [(1, -1., 0, 0, 0, 0)] * (places - len(found))
  return {
      'num_detections': tf.constant([len(found)]),
      'detection_boxes': tf.constant([[row[2:] for row in rows]], tf.float32),
      'detection_classes': tf.constant([[row[0] for row in rows]]),
      'detection_scores': tf.constant([[row[1] for row in rows]], tf.float32)}


@pytest.mark.parametrize('version', sorted(detections.NMS_VERSIONS))
def test_merge_by_hand(version):
  views = [
      _view((1, .9, 0, 0, 10, 10), (2, .5, 0, 0, 10, 10)),
      _view((1, .95, 0, 1, 10, 11), (1, .2, 20, 20, 30, 30)),  # better; new
      _view((2, .6, 0, 0, 10, 30), (2, .5, 0, 0, 10, 10))]  # apart; a tie
  with tf.Session() as session:
    found = session.run(detections.merge(views, version, max_total_size=5))
  assert found['num_detections'].tolist() == [4]
  assert found['detection_classes'][0, :4].tolist() == [1, 2, 2, 1]
  np.testing.assert_allclose(found['detection_scores'][0, :4],
                             [.95, .6, .5, .2])
  np.testing.assert_array_equal(found['detection_boxes'][0], [
      [0, 1, 10, 11], [0, 0, 10, 30], [0, 0, 10, 10], [20, 20, 30, 30],
      [0, 0, 0, 0]])
  padding = 0. if version == 'batched' else -1.
  assert found['detection_scores'][0, 4] == padding
  assert found['detection_classes'][0, 4] == 1


@pytest.mark.parametrize('version, expected', [('v1', 2), ('v2', 1),
                                               ('batched', 2)])
def test_merge_has_the_rules_of_its_version(version, expected):
  """An overlap of exactly the threshold: two boxes, or one."""
  views = [_view((1, .9, 0, 0, 4, 6)), _view((1, .8, 0, 2, 4, 8))]
  with tf.Session() as session:
    found = session.run(detections.merge(views, version))
    assert found['num_detections'].tolist() == [expected]
    few = session.run(detections.merge(views, version, max_total_size=1))
  assert few['num_detections'].tolist() == [1]
  assert few['detection_boxes'].shape == (1, 1, 4)


def test_merge_of_logits():
  """Scores below the padding's are detections; empty views add nothing."""
  with tf.Session() as session:
    found = session.run(detections.merge(
        [_view(), _view((3, -7., 0, 0, 4, 6))]))
  assert found['num_detections'].tolist() == [1]
  assert found['detection_scores'][0, 0] == -7.
  assert found['detection_classes'][0, 0] == 3
