"""How a TPU is named: by flag or variable, by name or address."""

import os
import re
from typing import Mapping, Optional, Tuple

LOCAL = 'local'  # of a TPU VM, whose chips are in the machine itself
# TensorFlow's variables, in its order: a cluster of Kubernetes, a TPU by name.
VARIABLES = ('KUBE_GOOGLE_CLOUD_TPU_ENDPOINTS', 'TPU_NAME')
_ADDRESS = re.compile(r'^\w+://|^[\w.-]+:\d+$')


def resolve(
    name: Optional[str],
    environment: Optional[Mapping[str, str]] = None
) -> Tuple[Optional[str], Optional[str]]:
  """The TPU that a job uses.

  Args:
    name: str, of --tpu; None or '' if it is not given.
    environment: {name: value} instead of os.environ.

  Returns:
    (str or None, the flag or variable that says it).
  """
  if name:
    return name, '--tpu'
  values = os.environ if environment is None else environment
  for variable in VARIABLES:
    if values.get(variable):
      return values[variable], variable
  return None, None


def is_node(name: Optional[str]) -> bool:
  """Whether a TPU has a machine of its own, which this one talks to.

  That machine reads the records and writes the checkpoints, so it sees no local
  file of this one; and its processors are other ones.

  Args:
    name: str, of --tpu, or None.
  """
  return resolve(name)[0] not in (None, LOCAL)


def is_address(name: str) -> bool:
  """Whether it is grpc://host:port or host:port, and not a name to look up."""
  return bool(_ADDRESS.match(name))
