"""Contradictions between the keys of a model: levels, sizes, partitions."""

import functools
from typing import Iterator, Set

from configs import backbones
from configs import base
from configs import decoders
from configs import effects
from configs import parts

_STAGES = (2, 5)  # finest and coarsest level of the features of a backbone
# Keys that the sections of EfficientNets have beside batch_norm_activation.
_NORMALIZATION = ('batch_norm_momentum', 'batch_norm_epsilon', 'activation',
                  'use_sync_bn')


def problems(config: base.Config) -> Iterator[str]:
  """Yields a sentence for every contradiction.

  Args:
    config: experiment.
  """
  yield from _level_problems(config)
  yield from _size_problems(config)
  yield from _partition_problems(config.train, config.architecture)
  if (config.dropblock.dropblock_keep_prob is None) != (
      config.dropblock.dropblock_size is None):
    yield ('dropblock.dropblock_keep_prob (%r) and dropblock.dropblock_size '
           '(%r) must be given together.' % (
               config.dropblock.dropblock_keep_prob,
               config.dropblock.dropblock_size))


def notes(config: base.Config, given: Set[str]) -> Iterator[str]:
  """Yields a sentence for what is probably not meant so.

  Args:
    config: experiment.
    given: {dotted key} that a person wrote.
  """
  name, level = config.architecture.parser, config.architecture.max_level
  size = getattr(config, name).output_size
  # Smaller ones are padded.
  if (has_decoder(config) and 2 ** level > max(size)
      and given & {'architecture.max_level', name + '.output_size'}):
    yield ('architecture.max_level (%d) is beyond %s.output_size %s: a cell of '
           'that level has %d pixels a side, and images are padded to it.' % (
               level, name, list(size), 2 ** level))


  if _is_efficientnet(config):
    yield from _efficientnet_notes(config, given)


def _efficientnet_notes(config, given):
  """Keys of batch_norm_activation that do not reach the backbone."""
  common = config.batch_norm_activation
  name = backbones.BACKBONES[config.architecture.backbone].section
  section = getattr(config, name)
  differing = [
      key for key in _NORMALIZATION if 'batch_norm_activation.' + key in given
      and getattr(common, key) != getattr(section, key)]
  if differing:
    yield ('%s: of the decoder and heads only; in the backbone %s it is %s.' % (
        ', '.join('batch_norm_activation.%s (%r)' % (
            key, getattr(common, key)) for key in differing),
        config.architecture.backbone, ', '.join('%s.%s (%r)' % (
            name, key, getattr(section, key)) for key in differing)))


def _is_efficientnet(config):
  return config.architecture.backbone in (
      backbones.EFFICIENTNETS + backbones.EFFICIENTNET_LITES)


def has_decoder(config: base.Config) -> bool:
  """Whether the model has a feature pyramid behind its backbone."""
  return hasattr(config, 'fpn')


def _level_problems(config):
  """Levels that the backbone or the decoder does not have."""
  architecture = config.architecture
  backbone = architecture.backbone
  low, high = architecture.min_level, architecture.max_level
  own_levels = backbones.BACKBONES[backbone].levels
  first, last = own_levels or _STAGES
  wanted = 'architecture.min_level (%d) and architecture.max_level (%d)' % (
      low, high)
  if own_levels and not first <= low <= high <= last:
    yield ('architecture.backbone (%r) has levels %d to %d: %s must be among '
           'them.' % (backbone, first, last, wanted))
  if not has_decoder(config):
    return
  decoder = architecture.multilevel_features
  fixed = decoders.DECODERS[decoder].levels
  if fixed and (low, high) != fixed:
    yield ('architecture.multilevel_features (%r) has levels %d to %d: %s must '
           'be these.' % ((decoder,) + fixed + (wanted,)))
  if own_levels:
    return
  if not first <= low <= last:
    yield ('architecture.min_level (%d) must be a level of '
           'architecture.backbone (%r), which has %d to %d.' % (
               low, backbone, first, last))
  if decoder == 'identity' and high > last:
    yield ('architecture.max_level (%d) must be a level of '
           'architecture.backbone (%r), which has %d to %d, as '
           'architecture.multilevel_features (%r) adds none.' % (
               high, backbone, first, last, decoder))


def _size_problems(config):
  """What does not fit the stem or leaves no anchors."""
  block_size = config.architecture.space_to_depth_block_size
  if block_size > 1 and config.architecture.backbone != 'resnet':
    yield ('architecture.space_to_depth_block_size (%d) needs the stem of '
           "'resnet', but architecture.backbone is %r."
           % (block_size, config.architecture.backbone))
  anchor = getattr(config, 'anchor', None)
  if anchor and not anchor.aspect_ratios:
    yield 'anchor.aspect_ratios [] must hold at least one ratio.'


def pyramid_size_problems(config: base.Config) -> Iterator[str]:
  """Yields a sentence about sides that the levels of a pyramid do not share.

  A level and the next coarser one, enlarged, are added up.

  Args:
    config: experiment whose images are not padded to the coarsest stride.
  """
  architecture = config.architecture
  if architecture.multilevel_features == 'identity':
    return
  last = (backbones.BACKBONES[architecture.backbone].levels or _STAGES)[1]
  fixed = decoders.DECODERS[architecture.multilevel_features].levels
  low, high = fixed or (architecture.min_level,
                        min(architecture.max_level, last))
  size = getattr(config, architecture.parser).output_size
  stride = 2 ** high
  if any(-(-side // 2 ** low) % 2 ** (high - low) for side in size):
    larger = [-(-side // stride) * stride for side in size]
    yield ('%s.output_size %s must have sides that are multiples of %d, so '
           'that the levels of architecture.multilevel_features (%r) fit each '
           'other: such as %s.' % (
               architecture.parser, list(size), stride,
               architecture.multilevel_features, larger))


def _partition_problems(train, architecture):
  """Spatial partitioning: cores for an image, and how they cut it."""
  dims, cores = train.input_partition_dims, train.num_cores_per_replica
  if dims is None:
    if cores is not None and cores > 1:
      yield ('train.num_cores_per_replica (%d) needs '
             'train.input_partition_dims, which is null: how the cores divide '
             'an image.' % cores)
    return
  block_size = architecture.space_to_depth_block_size
  if block_size > 1:
    yield ('architecture.space_to_depth_block_size (%d) and '
           'train.input_partition_dims (%s) do not work together.'
           % (block_size, _lists(dims)))
  if cores is None:
    yield ('train.input_partition_dims (%s) needs '
           'train.num_cores_per_replica, which is null.' % _lists(dims))
  for entry in dims:
    yield from _entry_problems(entry, cores)


def _entry_problems(entry, cores):
  """What is wrong with the partition of one input."""
  if entry in (None, 'None'):
    return
  if not (isinstance(entry, tuple) and len(entry) == 4
          and all(isinstance(d, int) and d > 0 for d in entry)):
    yield ('train.input_partition_dims: each entry is null or a list of '
           'four integers (batch, height, width, channels) above 0, not %r.'
           % (_lists(entry),))
  elif cores is not None and _product(entry) != cores:
    yield ('train.input_partition_dims: %s makes %d parts, but '
           'train.num_cores_per_replica is %d.' % (
               list(entry), _product(entry), cores))


def _product(numbers):
  result = 1
  for number in numbers:
    result *= number
  return result


def _lists(value):
  return [_lists(v) for v in value] if isinstance(value, tuple) else value


def _section_rules(table, key):
  """A section has an effect only where `architecture.<key>` names its part."""
  def is_in_use(config, section):
    return table[getattr(config.architecture, key)].section == section
  return tuple(
      effects.Rule((section,), effects.unless(
          functools.partial(is_in_use, section=section), 'architecture.' + key))
      for section in parts.sections(table))


# DropBlock is in the blocks of ResNet and NAS-FPN.
RULES = _section_rules(backbones.BACKBONES, 'backbone') + (
    effects.Rule(('dropblock',), effects.unless(
        lambda c: c.architecture.backbone == 'resnet' or getattr(
            c.architecture, 'multilevel_features', '') == 'nasfpn',
        'architecture.backbone')),)
DECODER_RULES = _section_rules(decoders.DECODERS, 'multilevel_features')
