"""Rows of the tables of backbones and decoders, and sections made of them."""

import dataclasses
import importlib
from typing import Any, Callable, Dict, Mapping, Optional, Tuple, Union


@dataclasses.dataclass(frozen=True)
class Part:
  """What the rest of the code has to know of a backbone or a decoder.

  build: a function (config, norm_activation) -> part, or 'module:function',
    which is loaded when it is called: configurations need no TensorFlow.
  section: name of its YAML section; '': it has none.
  defaults: the section with its defaults, a frozen dataclass.
  identity: keys of the section of which another value is another model: their
    checkpoints do not mix.
  levels: (finest, coarsest) it makes where those cannot be chosen freely. A
    backbone without it has the features 2 to 5, and a decoder goes on from
    them; one with it makes the pyramid itself.
  """
  build: Union[str, Callable]
  section: str = ''
  defaults: Any = None
  identity: Tuple[str, ...] = ()
  levels: Optional[Tuple[int, int]] = None


def load(reference: Any) -> Any:
  """What 'module:name' refers to; anything but text is itself."""
  if not isinstance(reference, str):
    return reference
  module, name = reference.split(':')
  return getattr(importlib.import_module(module), name)


def sections(table: Mapping[str, Part]) -> Dict[str, Any]:
  """{name of a section: its defaults} of a table {name: Part}."""
  return {part.section: part.defaults for part in table.values()
          if part.section}


def with_sections(table: Mapping[str, Part]) -> Callable[[type], type]:
  """Class decorator: a field for each section of a table {name: Part}.

  It stands below `dataclasses.dataclass`, which sees the fields as if they were
  written in the class.
  """
  def add(cls):
    for name, defaults in sections(table).items():
      cls.__annotations__[name] = type(defaults)
      setattr(cls, name, defaults)
    return cls
  return add


def identity_keys(table: Mapping[str, Part], name: str) -> Tuple[str, ...]:
  """('resnet.resnet_depth', ...) of one entry; () for an unknown name."""
  part = table.get(name)
  return tuple('%s.%s' % (part.section, key)
               for key in part.identity) if part else ()
