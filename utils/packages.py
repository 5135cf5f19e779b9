"""The packages of this environment."""

import sys
from typing import Dict


def installed() -> Dict[str, str]:
  """{name: version} of the installed packages, as they write their names.

  Of one that is there twice, the version that Python imports.
  """
  if sys.version_info >= (3, 8):
    from importlib import metadata
    pairs = [(d.metadata['Name'], d.version) for d in metadata.distributions()]
  else:
    import pkg_resources
    pairs = [(d.project_name, d.version) for d in pkg_resources.working_set]
  found: Dict[str, str] = {}
  for name, version in pairs:  # In the order of sys.path.
    if name:
      found.setdefault(name, version)
  return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def normalized(name: str) -> str:
  """The name as pip compares it: lower case, '-' for '_' and '.'."""
  return name.lower().replace('_', '-').replace('.', '-')
