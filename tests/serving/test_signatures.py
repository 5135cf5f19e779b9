"""Exported signatures beside those that published models have."""

import os

import pytest
import tensorflow.compat.v1 as tf

from serving import export
from serving import inputs
from serving import signatures
from tests import golden
from tests import runtimes
from tests.serving import small_models
from utils import fields

# The reference's were made of models whose sizes these are.
_SIZES = {'retinanet': dict(
    architecture__num_classes=91, anchor__num_scales=3,
    anchor__aspect_ratios=[1., 2., .5], postprocess__max_total_size=100),
          'mask_rcnn': dict(postprocess__max_total_size=10),
          'shapemask': dict(
              postprocess__max_total_size=100,
              shapemask_parser__mask_crop_size=32,
              shapemask_head__mask_crop_size=32,
              shapemask_parser__upsample_factor=4,
              shapemask_head__upsample_factor=4),
          'segmentation': {}}


def _cases():
  """The exports of the reference, for pytest.parametrize."""
  exports = golden.load_json(os.path.join(
      golden.REFERENCE_DIR, 'config', 'export_signatures.json'))['exports']
  return [runtimes.only(runtimes.RUNTIMES[i % 2], case, id='%s-%s-%s-%d' % (
      case['model'], case['input_type'].strip('()'), case['batch_size_flag'],
      i)) for i, case in enumerate(exports)]


def _plan(case):
  """export.Plan of a case."""
  given = dict(case['options'])
  model = case['model']
  changes = dict(_SIZES[model])
  for pair in filter(None, given.pop('params_override', '').split(',')):
    key, value = pair.split('=')
    if key == 'type':
      model = value
    else:
      changes[key.replace('.', '__')] = value == 'true'
  size = given.pop('input_image_size', None)
  size = [int(v) for v in size.split(',')] if size else (
      (128, 128) if model == 'shapemask' else (64, 64))
  options = signatures.Options(
      signatures.NORMALIZED if given.pop('output_normalized_coordinates', False)
      else signatures.MODEL, given.pop('output_image_info', True),
      given.pop('cast_num_detections_to_float', False),
      given.pop('cast_detection_classes_to_float', False))
  if not case['input_type'].startswith('('):
    given['input_type'] = case['input_type']
  return export.plan(
      small_models.config(model, **changes), 'none',
      batch_size=case['batch_size_flag'], options=options, image_size=size,
      **given)


@pytest.mark.parametrize('case', _cases())
def test_signatures_are_the_published_ones(case):
  the_plan = _plan(case)
  found = {name: signatures.describe_signature(one)
           for name, one in export.build(the_plan).items()}
  expected = case['meta_graphs'][0]['signatures']
  if the_plan.batch_size is None:
    # Published classes of any number of images were floats without being
    # asked for.
    outputs = expected['serving_default']['outputs']
    if fields.DETECTION_CLASSES in outputs:
      outputs[fields.DETECTION_CLASSES]['dtype'] = 'int32'
  assert found['serving_default'] == expected['serving_default']
  graph = tf.get_default_graph()
  for infos in (found['serving_default']['inputs'],
                found['serving_default']['outputs']):
    for info in infos.values():
      assert graph.get_tensor_by_name(info['tensor']) is not None


def _build(model, **options):
  changes = {name: options.pop(name) for name in list(options) if '__' in name}
  return {name: signatures.describe_signature(one)
          for name, one in export.build(export.plan(
              small_models.config(model, **changes), 'none',
              **options)).items()}


def test_classifiers_give_logits_probabilities_and_classes():
  found = _build('classification', batch_size=-1)['serving_default']
  assert found['outputs'] == {
      'logits': {'dtype': 'float32', 'shape': [-1, 7], 'tensor': 'Logits:0'},
      'probabilities': {'dtype': 'float32', 'shape': [-1, 7],
                        'tensor': 'Probabilities:0'},
      'classes': {'dtype': 'int32', 'shape': [-1], 'tensor': 'Classes:0'}}


@pytest.mark.parametrize('model', ['mask_rcnn', 'shapemask'])
def test_two_stages_without_suppression_give_raw_boxes(model):
  outputs = _build(model, batch_size=2, postprocess__apply_nms=False)[
      'serving_default']['outputs']
  assert fields.RAW_BOXES in outputs and fields.RAW_SCORES in outputs
  assert not [name for name in outputs if name.startswith('detection')]
  assert (fields.RAW_ENCODED_BOXES in outputs) == (model == 'shapemask')


def test_segmentation_also_gives_label_maps():
  for input_type in ('tf_example', 'raw_image_tensor', 'image_tensor'):
    tf.reset_default_graph()
    found = _build('segmentation', batch_size=2, input_type=input_type,
                   input_name='x')
    assert set(found['serving_default']['inputs']) == {
        'x', 'key', 'score_thresholds'}
    outputs = found['label_maps']['outputs']
    assert outputs['masks']['shape'] == [2, 64, 64, 1]
    assert outputs['masks']['dtype'] == 'int32'
    assert outputs['pixel_scores']['tensor'] == 'PixelScores:0'


def test_pasted_masks_take_the_place_of_masks():
  outputs = _build('mask_rcnn', paste_masks=True)['serving_default']['outputs']
  assert fields.DETECTION_MASKS not in outputs
  assert outputs['pasted_masks'] == {
      'dtype': 'uint8', 'shape': [1, 10, -1, -1], 'tensor': 'PastedMasks:0'}


@pytest.mark.parametrize('model,options,words', [
    ('retinanet', dict(paste_masks=True), 'has none'),
    ('classification', dict(paste_masks=True), 'has none'),
    ('mask_rcnn', dict(paste_masks=True, postprocess__apply_nms=False), 'nms'),
    ('retinanet', dict(batch_size=0), 'batch size is 0'),
    ('retinanet', dict(input_type='raw_image_tensor', image_size=(70, 64)),
     '--input_image_size=96,64'),
    ('retinanet', dict(input_type='jpeg'), 'image_bytes, image_tensor')])
def test_what_does_not_go_together_is_named(model, options, words):
  with pytest.raises(ValueError, match=words):
    _build(model, **options)


def test_sizes():
  spec = inputs.input_spec(small_models.config('retinanet'), (70, 60))
  assert spec.size == (70, 60) and spec.padded_size == (96, 64)
  spec = inputs.input_spec(small_models.config('classification'), (70, 60))
  assert spec.padded_size == (70, 60)
  with pytest.raises(ValueError, match='positive'):
    inputs.input_spec(small_models.config('retinanet'), (0, 60))
