"""Files of weights of other programs, as variables of models here.

LAYOUTS is the table: what --from can name.
"""

import re
from typing import Any, Callable, Dict, NamedTuple, Optional

import numpy as np

from architecture.backbones import resnet
from tools.weights import accounts as accounts_lib
from tools.weights import variables as variables_lib

Accounts = accounts_lib.Accounts
LayoutError = accounts_lib.LayoutError
_HEAD = 'classification_head'
_COUNTERS = 'counts of batches, which no layer here has'


class Imported(NamedTuple):
  """What a file becomes.

  Attributes:
    variables: {name: array}.
    changes: {dotted key: value} of the model that has them.
    is_classifier: whether the variables are those of a complete classifier.
    model: type of the model whose variables they are, or are among.
    notes: sentences.
  """
  variables: Dict[str, np.ndarray]
  changes: Dict[str, Any]
  is_classifier: bool
  model: str = 'classification'
  notes: tuple = ()


class Layout(NamedTuple):
  """A row of the table.

  Attributes:
    convert: Accounts -> Imported.
    about: a line that describes it.
  """
  convert: Callable[[Accounts], Imported]
  about: str


class _Torch:
  """Layers by their names in a PyTorch file."""

  def __init__(self, accounts):
    self._accounts = accounts

  def kernel(self, name):
    return self._accounts.take(name + '.weight', 4).transpose(2, 3, 1, 0)

  def depthwise(self, name):
    return self._accounts.take(name + '.weight', 4).transpose(2, 3, 0, 1)

  def statistics(self, name):
    return [self._accounts.take('%s.%s' % (name, part), 1) for part in (
        'weight', 'bias', 'running_mean', 'running_var')]

  def bias(self, name):
    del name  # Before batch norm there is none.

  def dense(self, name):
    return (self._accounts.take(name + '.weight', 2).T,
            self._accounts.take(name + '.bias', 1))

  def has(self, name):
    return self._accounts.has(name + '.weight')


class _Keras:
  """Layers by their names in a Keras file."""

  def __init__(self, accounts):
    self._accounts = accounts

  def kernel(self, name):
    return self._accounts.take(name + '/kernel', 4)

  def depthwise(self, name):
    return self._accounts.take(name + '/depthwise_kernel', 4)

  def statistics(self, name):
    return [self._accounts.take('%s/%s' % (name, part), 1) for part in (
        'gamma', 'beta', 'moving_mean', 'moving_variance')]

  def bias(self, name):
    return (self._accounts.take(name + '/bias', 1)
            if self._accounts.has(name + '/bias') else None)

  def dense(self, name):
    return (self._accounts.take(name + '/kernel', 2),
            self._accounts.take(name + '/bias', 1))

  def has(self, name):
    return self._accounts.has(name + '/kernel')


# ResNet.


def _add_resnet(accounts, source, made, depth, names, epsilon):
  """Adds the backbone; `names(unit)` are those of convolution and norm."""
  for unit in variables_lib.resnet_units(depth, resnet.GROUPS[depth]):
    conv, norm = names(unit)
    if unit.part == 0 and unit.group == 1 and not source.has(conv):
      # Shallow ResNets leave out a projection that changes no shape.
      made.convolution(unit.conv, np.eye(64, dtype='f4')[np.newaxis,
                                                         np.newaxis])
      made.no_normalization(unit.norm, 64, epsilon)
      accounts.fill(unit.conv, 'the file has no projection there: one that '
                    'changes nothing')
      continue
    made.convolution(unit.conv, source.kernel(conv))
    made.normalization(unit.norm, *source.statistics(norm), source.bias(conv))


def _add_classifier(source, made, name):
  """Adds the dense layer; returns the number of classes, 0 for none."""
  if not source.has(name):
    return 0
  kernel, bias = source.dense(name)
  made.classifier(_HEAD + '/dense', kernel, bias)
  return len(bias) + 1


def _resnet_keys(depth, epsilon, **changes):
  keys = {'architecture.backbone': 'resnet', 'resnet.resnet_depth': depth,
          'resnet.pool_padding': 'symmetric',
          'batch_norm_activation.batch_norm_epsilon': epsilon,
          'batch_norm_activation.activation': 'relu'}
  keys.update({'resnet.' + key: value for key, value in changes.items()})
  return keys


def _finished(accounts, made, keys, num_classes, notes=()):
  """Imported of a file of ImageNet weights."""
  accounts.close()
  if num_classes:
    keys = dict(keys, **{'architecture.num_classes': num_classes})
  return Imported(dict(made), keys, bool(num_classes), notes=tuple(notes))


def _torch_resnet_names(unit):
  if unit.group == 0:
    return 'conv1', 'bn1'
  block = 'layer%d.%d.' % (unit.group, unit.block)
  if unit.part == 0:
    return block + 'downsample.0', block + 'downsample.1'
  return block + 'conv%d' % unit.part, block + 'bn%d' % unit.part


def _torch_resnet(accounts, depth):
  epsilon = 1e-5
  source, made = _Torch(accounts), variables_lib.Variables()
  _add_resnet(accounts, source, made, depth, _torch_resnet_names, epsilon)
  num_classes = _add_classifier(source, made, 'fc')
  accounts.leave_out(r'.*\.num_batches_tracked', _COUNTERS)
  return _finished(accounts, made, _resnet_keys(depth, epsilon), num_classes)


def _timm_resnet(accounts):
  """The same names; the depth shows from the blocks."""
  counts = [1 + max([int(match.group(1)) for match in (
      re.match(r'layer%d\.(\d+)\.conv1' % group, name)
      for name in accounts.names) if match] or [-1]) for group in range(1, 5)]
  kind = 'bottleneck' if accounts.has('layer1.0.conv3.weight') else 'residual'
  for depth, groups in resnet.GROUPS.items():
    if groups == (kind, tuple(counts)):
      return _torch_resnet(accounts, depth)
  raise LayoutError(
      'The file has %s blocks in its four groups, of the kind "%s"; no ResNet '
      'here has. Depths are %s.' % (
          counts, kind, ', '.join(map(str, resnet.DEPTHS))))


def _keras_resnet_names(unit):
  if unit.group == 0:
    return 'conv1_conv', 'conv1_bn'
  block = 'conv%d_block%d_%d' % (unit.group + 1, unit.block + 1, unit.part)
  return block + '_conv', block + '_bn'


def _keras_resnet(accounts, depth):
  epsilon = 1.001e-5
  source, made = _Keras(accounts), variables_lib.Variables()
  _add_resnet(accounts, source, made, depth, _keras_resnet_names, epsilon)
  scope = 'resnet%d/' % depth
  made.stem(scope + 'conv2d/kernel', scope + 'batch_normalization/moving_mean',
            variables_lib.Colors(variables_lib.CAFFE_MEAN, (1.,) * 3, True))
  num_classes = _add_classifier(source, made, 'predictions')
  return _finished(accounts, made,
                   _resnet_keys(depth, epsilon, strided_conv='1x1'),
                   num_classes)


# EfficientNet.


class _BlockNames(NamedTuple):
  """Names of the layers of a block in a file; None where it has none.

  Attributes are (convolution, norm), but for the last two, convolutions.
  """
  expand: Optional[tuple]
  depthwise: tuple
  project: tuple
  reduce: Optional[str]
  widen: Optional[str]


def _add_efficientnet(source, made, scope, stem, blocks, head):
  """Adds all but the dense layer; names are (convolution, norm)."""
  def add(where, names, numbers):
    made.convolution('%s/%s' % (where, variables_lib.numbered(
        'conv2d', numbers[0])), source.kernel(names[0]))
    made.normalization('%s/%s' % (where, variables_lib.numbered(
        _NORM, numbers[1])), *source.statistics(names[1]))

  add(scope + '/stem', stem, (0, 0))
  for number, names in enumerate(blocks):
    where = '%s/blocks_%d' % (scope, number)
    first = int(names.expand is not None)
    if names.expand:
      add(where, names.expand, (0, 0))
    made[where + '/depthwise_conv2d/depthwise_kernel'] = source.depthwise(
        names.depthwise[0])
    made.normalization('%s/%s' % (where, variables_lib.numbered(
        _NORM, first)), *source.statistics(names.depthwise[1]))
    add(where, names.project, (first, first + 1))
    for layer, name in (('conv2d', names.reduce), ('conv2d_1', names.widen)):
      if name:
        made['%s/se/%s/kernel' % (where, layer)] = source.kernel(name)
        made['%s/se/%s/bias' % (where, layer)] = source.bias(name)
  if source.has(head[0]):
    made.convolution(_HEAD + '/conv2d', source.kernel(head[0]))
    made.normalization(_HEAD + '/batch_normalization',
                       *source.statistics(head[1]))


_NORM = 'tpu_batch_normalization'


def _efficientnet_keys(name, section, activation, made):
  """Keys of the model; the size of the last convolution is that of the file."""
  keys = {'architecture.backbone': name,
          section + '.activation': activation,
          section + '.batch_norm_epsilon': 1e-3,
          'batch_norm_activation.batch_norm_epsilon': 1e-3,
          'batch_norm_activation.activation': activation}
  kernel = made.get(_HEAD + '/conv2d/kernel')
  if kernel is not None:
    keys['classification_head.endpoints_num_filters'] = kernel.shape[-1]
  return keys


# Image sizes that the published weights were trained with.
_SIZES = {'lite0': 224, 'lite1': 240, 'lite2': 260, 'lite3': 280, 'lite4': 300,
          'b0': 224, 'b1': 240, 'b2': 260, 'b3': 300, 'b4': 380, 'b5': 456,
          'b6': 528, 'b7': 600}


def _lite(accounts, variant):
  """The port of the published weights to PyTorch, with TensorFlow's padding."""
  source, made = _Torch(accounts), variables_lib.Variables()
  name = 'efficientnet-' + variant
  blocks, number = [], 0
  while source.has('_blocks.%d._depthwise_conv' % number):
    block = '_blocks.%d.' % number
    expand = block + '_expand_conv'
    norms = [block + '_bn%d' % i for i in range(3)]
    blocks.append(_BlockNames(
        (expand, norms[0]) if source.has(expand) else None,
        (block + '_depthwise_conv', norms[1]),
        (block + '_project_conv', norms[2]), None, None))
    number += 1
  _add_efficientnet(source, made, name, ('_conv_stem', '_bn0'), blocks,
                    ('_conv_head', '_bn1'))
  made.stem(name + '/stem/conv2d/kernel',
            '%s/stem/%s/moving_mean' % (name, _NORM),
            variables_lib.Colors((127.,) * 3, (128.,) * 3))
  num_classes = _add_classifier(source, made, '_fc')
  accounts.leave_out(r'.*\.num_batches_tracked', _COUNTERS)
  return _finished(
      accounts, made,
      _sized(variant, _efficientnet_keys(name, 'efficientnet_lite', 'relu6',
                                         made)), num_classes)


def _sized(variant, keys):
  return dict(keys, **{'classification_parser.output_size':
                       [_SIZES[variant]] * 2})


def _keras_blocks(accounts, source):
  """_BlockNames of blocks such as block2a, in their order."""
  prefixes = sorted({match.group(1) for match in (
      re.match(r'(block\d[a-z])_dwconv/', name) for name in accounts.names)
                     if match})
  for prefix in prefixes:
    expand = prefix + '_expand_conv'
    yield _BlockNames(
        (expand, prefix + '_expand_bn') if source.has(expand) else None,
        (prefix + '_dwconv', prefix + '_bn'),
        (prefix + '_project_conv', prefix + '_project_bn'),
        prefix + '_se_reduce', prefix + '_se_expand')


def _keras_efficientnet(accounts, variant):
  source, made = _Keras(accounts), variables_lib.Variables()
  name = 'efficientnet-' + variant
  _add_efficientnet(source, made, name, ('stem_conv', 'stem_bn'),
                    list(_keras_blocks(accounts, source)),
                    ('top_conv', 'top_bn'))
  made.stem(name + '/stem/conv2d/kernel',
            '%s/stem/%s/moving_mean' % (name, _NORM), _keras_colors(accounts))
  num_classes = _add_classifier(source, made, 'predictions')
  accounts.leave_out('normalization/count', 'the number of images behind the '
                     'mean of the colours')
  return _finished(accounts, made, _sized(variant, _efficientnet_keys(
      name, 'efficientnet', 'swish', made)), num_classes)


def _keras_colors(accounts):
  """What the layers before the stem do to colours."""
  if not accounts.has('normalization/mean'):
    return variables_lib.OURS
  mean = accounts.take('normalization/mean', 1)
  variance = accounts.take('normalization/variance', 1)
  deviation = np.sqrt(variance)
  # Published weights have deviations there, and a further layer that divides
  # by their root once more.
  if np.allclose(variance, (.229, .224, .225), atol=1e-4):
    deviation = variance
  return variables_lib.Colors(tuple(255 * mean), tuple(255 * deviation))


# detectron2.


def _detectron2_names(unit):
  if unit.group == 0:
    name = 'stem.conv1'
  else:
    name = 'res%d.%d.%s' % (unit.group + 1, unit.block, 'shortcut' if
                            unit.part == 0 else 'conv%d' % unit.part)
  name = 'backbone.bottom_up.' + name
  return name, name + '.norm'


def _detectron2_fpn(accounts):
  """A ResNet-50 with a pyramid, of the weights of Caffe2 from which it starts.

  The proposals and heads are of other anchors, codings and orders of values.
  """
  epsilon, depth = 1e-5, 50
  source, made = _Torch(accounts), variables_lib.Variables()
  _add_resnet(accounts, source, made, depth, _detectron2_names, epsilon)
  made.stem('resnet50/conv2d/kernel',
            'resnet50/batch_normalization/moving_mean',
            _detectron2_colors(accounts))
  channels = 256
  for level in range(2, 6):
    for theirs, ours in (('lateral', 'l'), ('output', 'post_hoc_d')):
      name = 'backbone.fpn_%s%d' % (theirs, level)
      layer = 'fpn/%s%d' % (ours, level)
      made[layer + '/kernel'] = source.kernel(name)
      made[layer + '/bias'] = accounts.take(name + '.bias', 1)
      channels = len(made[layer + '/bias'])
  kernel = np.zeros([3, 3, channels, channels], 'f4')
  kernel[0, 0] = np.eye(channels)  # An even side is padded behind only.
  made['fpn/p6/kernel'], made['fpn/p6/bias'] = kernel, np.zeros(channels, 'f4')
  accounts.fill('fpn/p6', 'there level 6 is every second pixel of level 5: a '
                'convolution that takes it')
  for level in range(2, 7):
    made.no_normalization('fpn/p%d-bn' % level, channels, epsilon)
  accounts.fill('fpn/p2-bn to p6-bn', 'there the pyramid has no batch norm: '
                'one that changes nothing')
  accounts.leave_out(r'proposal_generator\..*', 'proposals of other anchors, '
                     'half a pixel away, in the order x, y')
  accounts.leave_out(r'roi_heads\..*', 'heads of another order of values, and '
                     'of classes with the background last')
  accounts.leave_out(r'.*\.num_batches_tracked', _COUNTERS)
  accounts.close()
  return Imported(
      dict(made), dict(_resnet_keys(depth, epsilon, strided_conv='1x1'), **{
          'fpn.fpn_feat_dims': channels, 'architecture.min_level': 2,
          'architecture.max_level': 6}), False, 'mask_rcnn')


def _detectron2_colors(accounts):
  """BGR, less the mean of the file, or else that of detectron2."""
  values = {'mean': (103.53, 116.28, 123.675), 'std': (1., 1., 1.)}
  for name in values:
    for rank in (1, 3):
      if accounts.has('pixel_' + name) and (
          accounts.rank('pixel_' + name) == rank):
        values[name] = tuple(accounts.take('pixel_' + name, rank).ravel())
  return variables_lib.Colors(values['mean'][::-1], values['std'][::-1], True)


def _rows():
  for depth in (18, 34, 50, 101, 152):
    yield 'torchvision_resnet%d' % depth, Layout(
        lambda a, depth=depth: _torch_resnet(a, depth),
        'torchvision.models.resnet%d, a state_dict (.pth)' % depth)
  yield 'timm_resnet', Layout(
      _timm_resnet, "timm's resnet18 to resnet152, .pth or .safetensors")
  for depth in (50, 101, 152):
    yield 'keras_resnet%d' % depth, Layout(
        lambda a, depth=depth: _keras_resnet(a, depth),
        'keras.applications.ResNet%d, weights of Keras 2 (.h5)' % depth)
  for number in range(8):
    yield 'keras_efficientnet_b%d' % number, Layout(
        lambda a, n=number: _keras_efficientnet(a, 'b%d' % n),
        'keras.applications.EfficientNetB%d, weights of Keras 2 (.h5)' % number)
  yield 'detectron2_r50_fpn', Layout(
      _detectron2_fpn, 'R50-FPN of detectron2 (.pkl, .pth): backbone and '
      'pyramid')
  for number in range(5):
    yield 'efficientnet_lite%d' % number, Layout(
        lambda a, n=number: _lite(a, 'lite%d' % n),
        'efficientnet_lite_pytorch, a state_dict (.pth)')


LAYOUTS: Dict[str, Layout] = dict(_rows())
