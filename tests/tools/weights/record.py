"""Records what original implementations say of weights by the formula.

  python -m tests.tools.weights.record torch   # torch, torchvision,
                                               # efficientnet_lite_pytorch
  python -m tests.tools.weights.record keras   # TensorFlow 2.15
  python -m tests.tools.weights.record photos FILE.pth

Each in an environment of its own that has these; tests need the arrays of
tests/data/weights only.
"""

import glob
import os
import sys

import numpy as np

from tests.tools.weights import formula

FOLDER = os.path.join(os.path.dirname(__file__), '..', '..', 'data', 'weights')
SIZE = (64, 96)
WIDE = (64, 128)  # multiples of the coarsest stride, as of detectors
_MEAN = np.array([.485, .456, .406]) * 255
_STDDEV = np.array([.229, .224, .225]) * 255
CAFFE = np.array([123.68, 116.779, 103.939])
DETECTRON2 = np.array([123.675, 116.28, 103.53])


def _save(name, shapes, **outputs):
  """Names and shapes of the file, and the outputs, small."""
  np.savez_compressed(
      os.path.join(FOLDER, name + '.npz'), names=np.array(sorted(shapes)),
      shapes=np.array([' '.join(map(str, shapes[n])) for n in sorted(shapes)]),
      **{key: np.asarray(value, 'f4') for key, value in outputs.items()})
  print(name, {key: np.std(value) for key, value in outputs.items()})


def _images(mean=_MEAN, deviation=_STDDEV, is_bgr=False, size=SIZE):
  image = (formula.image(*size) - mean) / deviation
  return (image[..., ::-1] if is_bgr else image)[np.newaxis].astype('f4')


def _fill(model):
  """Sets the formula; returns {name: shape}."""
  import torch
  shapes = {}
  with torch.no_grad():
    for name, value in model.state_dict().items():
      shapes[name] = tuple(value.shape)
      if value.ndim:
        value.copy_(torch.from_numpy(formula.array(name, shapes[name], True)))
  model.eval()
  return shapes


def _run(model, images):
  import torch
  with torch.no_grad():
    result = model(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
  if isinstance(result, dict):
    return {'p%d' % (2 + i): value.numpy().transpose(0, 2, 3, 1)
            for i, value in enumerate(result.values())}
  return result.numpy()


def _torch():
  import torchvision
  from torchvision.models import detection
  for depth in (18, 50):
    model = getattr(torchvision.models, 'resnet%d' % depth)(weights=None)
    shapes = _fill(model)
    _save('torchvision_resnet%d' % depth, shapes,
          logits=_run(model, _images()))
  _detectron2(detection.backbone_utils.resnet_fpn_backbone(
      backbone_name='resnet50', weights=None, trainable_layers=5))
  _lite()


def _detectron2(model):
  """The same network as detectron2's, under its names."""
  import torch
  body = model.body
  for group in range(1, 5):
    for block in getattr(body, 'layer%d' % group):
      # The stride in the 1x1 convolution, as MSRA's.
      stride = block.conv2.stride
      block.conv2.stride, block.conv1.stride = (1, 1), stride
  shapes = {}
  with torch.no_grad():
    for name, value in model.state_dict().items():
      new = _detectron2_name(name)
      if not new:
        continue
      shapes[new] = tuple(value.shape)
      value.copy_(torch.from_numpy(formula.array(new, shapes[new], True)))
  model.eval()
  outputs = _run(model, _images(DETECTRON2, np.ones(3), True, WIDE))
  _save('detectron2_r50_fpn', shapes,
        **{key: value[..., ::16] for key, value in outputs.items()})


def _detectron2_name(name):
  parts = name.split('.')
  if parts[-1] == 'num_batches_tracked':
    return None
  if parts[0] == 'fpn':
    kind = {'inner_blocks': 'lateral', 'layer_blocks': 'output'}[parts[1]]
    return 'backbone.fpn_%s%d.%s' % (kind, 2 + int(parts[2]), parts[-1])
  if parts[1] == 'conv1':
    return 'backbone.bottom_up.stem.conv1.' + parts[-1]
  if parts[1] == 'bn1':
    return 'backbone.bottom_up.stem.conv1.norm.' + parts[-1]
  group = 'backbone.bottom_up.res%d.%s.' % (1 + int(parts[1][-1]), parts[2])
  if parts[3] == 'downsample':
    return group + 'shortcut.' + ('norm.' if parts[4] == '1' else ''
                                  ) + parts[-1]
  if parts[3].startswith('bn'):
    return group + 'conv%s.norm.%s' % (parts[3][-1], parts[-1])
  return group + parts[3] + '.' + parts[-1]


def _lite():
  """As it is, and with our colour at the edge instead of its own."""
  import efficientnet_lite_pytorch as lite
  import torch
  model = lite.EfficientNet.from_name('efficientnet-lite0', image_size=SIZE)
  shapes = _fill(model)
  images = _images(127., 128.)
  outputs = {'original': _run(model, images)}
  padding = model._conv_stem.static_padding
  colour = (_MEAN - 127.) / 128.

  class Padding(torch.nn.Module):

    def forward(self, x):
      colours = torch.from_numpy(colour.astype('f4'))[None, :, None, None]
      return padding(x - colours) + colours

  model._conv_stem.static_padding = Padding()
  _save('efficientnet_lite0', shapes, logits=_run(model, images), **outputs)


def _keras():
  import tensorflow as tf
  for name, build, images in (
      ('keras_resnet50', tf.keras.applications.ResNet50,
       _images(CAFFE, np.ones(3), True)),
      ('keras_efficientnet_b0', tf.keras.applications.EfficientNetB0,
       formula.image(*SIZE)[np.newaxis].astype('f4'))):
    # Three channels of any size; with a top the size is fixed.
    model = build(weights=None, input_shape=SIZE + (3,), classes=10)
    shapes = {}
    for layer in model.layers:
      values = []
      for weight in layer.weights:
        key = '/'.join(weight.name.split(':')[0].split('/')[-2:])
        if layer.name == 'normalization' and '/' not in key:
          key = 'normalization/' + key
        shapes[key] = tuple(weight.shape)
        values.append({
            'normalization/mean': np.array([.485, .456, .406], 'f4'),
            'normalization/variance': np.array([.229, .224, .225], 'f4') ** 2,
            'normalization/count': np.zeros(shapes[key], weight.dtype.name),
        }.get(key, formula.array(key, shapes[key], False)))
      layer.set_weights(values)
      if layer.name == 'normalization':
        layer.finalize_state()
    _save(name, shapes, pooled=tf.keras.Model(
        model.input, model.layers[-2].output)(images, training=False).numpy(),
          probabilities=model(images, training=False).numpy())


def _photos(path):
  """Logits of the real weights, and where the original's padding is kept."""
  import efficientnet_lite_pytorch as lite
  from PIL import Image
  import torch
  model = lite.EfficientNet.from_name('efficientnet-lite0')
  model.load_state_dict(torch.load(path, weights_only=True))
  model.eval()
  files = sorted(glob.glob(os.path.join(FOLDER, 'photos', '*.jpg')))
  images = np.stack([np.asarray(Image.open(f)) for f in files])
  np.savez_compressed(
      os.path.join(FOLDER, 'photos.npz'),
      names=np.array([os.path.basename(f) for f in files]),
      logits=_run(model, ((images - 127.) / 128.).astype('f4')))


if __name__ == '__main__':
  {'torch': _torch, 'keras': _keras, 'photos': _photos}[sys.argv[1]](
      *sys.argv[2:])
