"""The table of decoders, and their sections.

`architecture.multilevel_features` names the one in use.
"""

import dataclasses
from typing import Optional

from configs import base
from configs import parts


@dataclasses.dataclass(frozen=True)
class FPN:
  """YAML section `fpn`; arXiv:1612.03144."""
  fpn_feat_dims: int = base.option(256, at_least=1)  # channels of all levels
  use_separable_conv: bool = False
  use_batch_norm: bool = True


@dataclasses.dataclass(frozen=True)
class NASFPN:
  """YAML section `nasfpn`; arXiv:1904.07392."""
  fpn_feat_dims: int = base.option(256, at_least=1)
  num_repeats: int = base.option(5, at_least=1)  # cells; 7 in the paper
  use_separable_conv: bool = False
  block_fn: str = base.option('conv', choices=('conv', 'bottleneck'))
  # null: that of batch_norm_activation.
  activation: Optional[str] = base.option(
      None, choices=('relu', 'relu6', 'swish'))
  # Rate of stochastic depth, the same in all bottlenecks; null: off.
  init_drop_connect_rate: Optional[float] = base.option(
      None, at_least=0, below=1)
  # Sum where the paper has attention-like global pooling.
  use_sum_for_combination: bool = False
  # Written in a published file, never read by a model.
  min_level: Optional[int] = base.option(
      None, inert='architecture.min_level decides')
  max_level: Optional[int] = base.option(
      None, inert='architecture.max_level decides')


# All that `architecture.multilevel_features` can name; see parts.Part.
# identity: the backbone itself has all levels (SpineNet).
DECODERS = {
    'fpn': parts.Part('architecture.decoders.fpn:build', 'fpn', FPN()),
    # Its levels are those of the published cell.
    'nasfpn': parts.Part('architecture.decoders.nasfpn:build', 'nasfpn',
                         NASFPN(), levels=(3, 7)),
    'identity': parts.Part('architecture.decoders.fpn:build_identity')}
