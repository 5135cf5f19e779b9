"""Folders of small models of every family, with weights by a formula."""

import glob
import os
import pathlib
import tempfile

import numpy as np
import tensorflow.compat.v1 as tf

from configs import factory
from configs import io
from serving import inputs
from serving import networks
from tests import reference_weights

_GAINS = [['box-predict|rpn-box', .02], ['class-predict|rpn-class', .2],
          ['mask_fcn_logits|fine_mask', 8.],
          ['', 1.6]]
_BASE = {'use_tpu': False, 'architecture.use_bfloat16': False,
         'resnet.resnet_depth': 10}
_DETECTOR = {
    'architecture.min_level': 3, 'architecture.max_level': 5,
    'architecture.num_classes': 4, 'fpn.fpn_feat_dims': 16,
    'anchor.num_scales': 1, 'anchor.aspect_ratios': [1.0],
    'anchor.anchor_size': 4.0, 'postprocess.score_threshold': 0.05,
    'postprocess.max_total_size': 10}
_HEAD = {'retinanet_head.num_convs': 1, 'retinanet_head.num_filters': 16}
_TWO_STAGE = {
    'rpn_head.num_filters': 16, 'frcnn_head.num_convs': 0,
    'frcnn_head.fc_dims': 16, 'frcnn_head.num_filters': 16,
    'mrcnn_head.num_convs': 1, 'mrcnn_head.num_filters': 8,
    'roi_proposal.test_rpn_pre_nms_top_k': 40,
    'roi_proposal.test_rpn_post_nms_top_k': 20,
    'maskrcnn_parser.output_size': [64, 64]}
CHANGES = {
    'retinanet': dict(_DETECTOR, **dict(_HEAD, **{
        'retinanet_parser.output_size': [64, 96]})),
    'mask_rcnn': dict(_DETECTOR, **_TWO_STAGE),
    'cascade_mask_rcnn': dict(_DETECTOR, **dict(_TWO_STAGE, **{
        'roi_sampling.cascade_iou_thresholds': [0.6],
        'frcnn_head.class_agnostic_bbox_pred': True})),
    'shapemask': dict(_DETECTOR, **dict(_HEAD, **{
        'shapemask_parser.output_size': [64, 64],
        'shapemask_parser.mask_crop_size': 16,
        'shapemask_parser.upsample_factor': 2,
        'shapemask_head.num_convs': 1,
        'shapemask_head.num_downsample_channels': 8,
        'shapemask_head.mask_crop_size': 16,
        'shapemask_head.upsample_factor': 2})),
    'classification': {'architecture.num_classes': 7,
                       'classification_parser.output_size': [64, 64]},
    'segmentation': {'architecture.num_classes': 5, 'fpn.fpn_feat_dims': 16,
                     'architecture.min_level': 3, 'architecture.max_level': 5,
                     'segmentation_head.num_convs': 1,
                     'segmentation_parser.output_size': [64, 64],
                     'segmentation_parser.resize_eval': True},
}
MODELS = tuple(sorted(CHANGES))
# {(model, changes): {ending: bytes}} of checkpoints, which many tests want.
_MADE = {}


def config(model, **changes):
  """A small experiment, with changes by dotted key ('__')."""
  values = dict(_BASE, **CHANGES[model])
  values.update({key.replace('__', '.'): value
                 for key, value in changes.items()})
  return factory.load_config(model, extra=values)[0]


def make(folder, model, step=7, **changes):
  """Writes params.yaml, and a checkpoint of the formula's weights.

  Args:
    folder: pathlib.Path; it may be there.
    model: of MODELS.
    step: int, of the checkpoint's name.
    **changes: of `config`.

  Returns:
    The checkpoint's prefix.
  """
  experiment = _experiment(folder, model, changes)
  (folder / 'params.yaml').write_text(io.dump_yaml(experiment))
  key = (model, repr(sorted(changes.items())))
  if key not in _MADE:
    with tempfile.TemporaryDirectory() as other:
      _MADE[key] = _contents(_save(_experiment(
          pathlib.Path(other), model, changes), other))
  prefix = str(folder / ('model.ckpt-%d' % step))
  for ending, content in _MADE[key].items():
    with open(prefix + ending, 'wb') as f:
      f.write(content)
  tf.train.update_checkpoint_state(str(folder), prefix)
  return prefix


def _experiment(folder, model, changes):
  """The configuration of `make`; writes priors where there are none."""
  os.makedirs(str(folder), exist_ok=True)
  if model == 'shapemask' and 'shapemask_head__shape_prior_path' not in changes:
    changes = dict(changes, shapemask_head__shape_prior_path=_write_priors(
        folder))
  return config(model, model_dir=str(folder), **changes)


def _contents(prefix):
  """{ending: bytes} of the files of a checkpoint."""
  result = {}
  for path in glob.glob(prefix + '.*'):
    with open(path, 'rb') as f:
      result[path[len(prefix):]] = f.read()
  return result


def _save(experiment, folder):
  """Writes the formula's weights; returns the checkpoint's prefix."""
  with tf.Graph().as_default(), tf.Session() as session:
    height, width = inputs.input_spec(experiment).padded_size
    networks.outputs(experiment,
                     tf.placeholder(tf.float32, [1, height, width, 3]),
                     tf.placeholder(tf.float32, [1, 4, 2]))
    variables = tf.global_variables()
    session.run([v.initializer for v in variables], {
        v.initializer.inputs[1]: reference_weights.weight(
            v.op.name, v.shape.as_list(), _GAINS) for v in variables})
    return tf.train.Saver().save(
        session, os.path.join(folder, 'model.ckpt'), write_meta_graph=False)


def _write_priors(folder):
  path = str(folder / 'priors.npy')
  np.save(path, reference_weights.shape_priors(0, 4, 2, 16))
  return path


def image(height, width, seed=0):
  """uint8 [height, width, 3] of coloured blocks and some noise."""
  rng = np.random.RandomState(seed)
  blocks = rng.randint(0, 256, [-(-height // 16), -(-width // 16), 3])
  pixels = np.repeat(np.repeat(blocks, 16, axis=0), 16, axis=1)
  pixels = pixels[:height, :width] + rng.randint(-20, 20, [height, width, 3])
  return np.clip(pixels, 0, 255).astype(np.uint8)
