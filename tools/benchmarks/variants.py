"""The configurations that a benchmark compares."""

import collections
from typing import Any, Dict, Optional, Sequence

from configs import base
from configs import factory
from configs import io


def load(model: Optional[str], config_file: Any, params_override: Any,
         variants: Sequence[str], image_size: int,
         bfloat16: bool = False) -> Dict[str, base.Config]:
  """Resolves the configuration of every variant.

  Args:
    model: name of the model, or None for the one that an override names.
    config_file: see `configs.factory.load_config`.
    params_override: the same.
    variants: ['NAME: OVERRIDES'], laid over all else; empty for none.
    image_size: int, height and width.
    bfloat16: whether the network runs in bfloat16.

  Returns:
    {name: experiment}; {type: experiment} without variants.

  Raises:
    ConfigError: for a wrong configuration, or a variant without a name.
  """
  config, _ = factory.load_config(model, config_file, params_override)
  # One device, images in the layout that the parser gives them.
  changes = {
      'use_tpu': False,
      'architecture.use_bfloat16': bfloat16,
      'train.transpose_input': False,
      config.architecture.parser + '.output_size': [image_size, image_size],
  }
  if config.type == 'segmentation':
    changes['segmentation_parser.resize_eval'] = True
  config = base.override(config, io.nest(changes), source='the flags')
  if not variants:
    return {config.type: config}
  configs = collections.OrderedDict()
  for variant in variants:
    name, colon, text = variant.partition(':')
    if not colon:
      raise base.ConfigError("--variant=%r has no name: write 'NAME: "
                             "OVERRIDES'." % variant)
    changes, _ = io.parse_override(text.strip(), '--variant')
    configs[name] = base.override(config, changes, source='--variant')
  return configs
