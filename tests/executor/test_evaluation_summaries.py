"""What TensorBoard gets of an evaluation."""

import io
import types

import numpy as np
from PIL import Image
import pytest
from tensorboard.plugins.pr_curve import plugin_data_pb2
import tensorflow.compat.v1 as tf

from evaluation import coco_evaluator
from executor import evaluation_summaries
from tests.dataloader import examples
from tests.executor import toy
from utils import masks


@pytest.fixture(name='compared')
def _compared():
  """Two images of two classes; the object of the second is not found."""
  evaluator = coco_evaluator.COCOEvaluator({
      'images': [{'id': i, 'height': 40, 'width': 60} for i in (7, 8)],
      'annotations': [
          {'id': i, 'image_id': i, 'category_id': i - 6, 'iscrowd': 0,
           'area': 200., 'bbox': [5., 5., 20., 10.]} for i in (7, 8)],
      'categories': [{'id': 1, 'name': 'cat'}, {'id': 2, 'name': 'dog'}]},
                                           need_rescale_bboxes=False)
  assert evaluator.compared is None
  evaluator.update({
      'source_id': np.array([7, 8]), 'num_detections': np.array([1, 1]),
      'detection_boxes': np.float32([[[5, 5, 15, 25]], [[20, 20, 30, 30]]]),
      'detection_classes': np.array([[1], [1]]),
      'detection_scores': np.float32([[.9], [.3]])})
  evaluator.evaluate()
  return evaluator.compared


def _pixels(value):
  return np.array(Image.open(io.BytesIO(value.image.encoded_image_string)))


def test_curves_are_read_by_the_plugin(compared):
  values = {v.tag: v for v in evaluation_summaries.curve_values(
      compared.annotations, compared.detections, 'bbox')}
  assert set(values) == {'precision_recall@50IoU/cat',
                         'precision_recall@50IoU/dog', 'confusion_matrix'}
  cat = values['precision_recall@50IoU/cat']
  plugin = cat.metadata.plugin_data
  assert plugin.plugin_name == 'pr_curves'
  content = plugin_data_pb2.PrCurvePluginData.FromString(plugin.content)
  assert (content.version, content.num_thresholds) == (0, 101)
  rows = tf.make_ndarray(cat.tensor)
  assert rows[:, 0].tolist() == [1, 1, 0, 0, .5, 1]
  assert rows[:, 50].tolist() == [1, 0, 0, 0, 1, 1]
  assert rows[:, 95].tolist() == [0, 0, 0, 1, 1, 0]
  assert _pixels(values['confusion_matrix']).shape[0] > 3 * 40


def test_masks_that_exist_are_drawn():
  """Beside an object without one, of which the box alone is drawn."""
  gray = np.full([40, 60, 3], 128, np.uint8)
  mask = np.zeros([40, 60], np.uint8)
  mask[5:15, 5:25] = 1
  objects = types.SimpleNamespace(
      boxes=np.array([[5., 5., 20., 10.], [35., 20., 20., 10.]]),
      categories=np.array([0, 0]), rles=[masks.encode(mask), None])

  def draw(has_masks):
    return evaluation_summaries._draw(gray, objects, None, {0: 'cat'},
                                      has_masks).astype(int)

  with_masks, without = draw(True), draw(False)
  differs = (with_masks != without).any(axis=-1)
  scale = with_masks.shape[1] / 60.
  assert differs[int(10 * scale), int(20 * scale)]
  assert not differs[int(18 * scale):].any()
  objects.rles = None  # Records without masks.
  assert (draw(True) == without).all()


def test_sample_shows_what_is_known_and_what_was_found(compared, tmp_path):
  gray = np.full([40, 60, 3], 128, np.uint8)
  examples.write(tmp_path / 'val', [
      examples.serialize(gray, source_id=name) for name in '789'])
  config = toy.config(tmp_path, eval__eval_file_pattern=str(tmp_path / 'val'),
                      eval__num_summary_images=2)
  sample = evaluation_summaries.Sample(config)
  for _ in range(2):
    values = sample.values(*compared, has_masks=False)
    assert [v.tag for v in values] == ['sample/0', 'sample/1']
    images = [_pixels(v) for v in values]
    for image in images:
      left, right = np.split(image.astype(int), 2, axis=1)
      scale = left.shape[1] / 60.
      assert abs(left[int(36 * scale):] - 128).max() < 3  # below all objects
      assert abs(left - 128).max() > 60 and abs(right - 128).max() > 60
    # Found in the first image, in another place than known in the second.
    left, right = np.split(images[1], 2, axis=1)
    assert (left != right).any()
    examples.write(tmp_path / 'val', [])  # What was read stays the sample.
