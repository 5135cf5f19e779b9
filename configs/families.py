"""What `type` can be: the table of model families."""

import dataclasses
import functools
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple, Union

from configs import parts


class Family(NamedTuple):
  """What the rest of the code has to know of a family.

  Functions and classes are given as such or as 'module:name', which is loaded
  when it is used: configurations need no TensorFlow.

  config: the class of its experiments; from a plugin, whose imports come before
    those of the configurations, a function without arguments that returns it.
  build: (config) -> model; see modeling.factory.build_model.
  parser: (config, mode) -> dataloader.parser.Parser; '': the one that
    `architecture.parser` names.
  head: configs.parts.Part of another dense head. Its section is added to
    `config`, and `build` gets its build function as `build_head`.
  """
  config: Union[str, Callable[[], type]]
  build: Union[str, Callable[..., Any]]
  parser: Union[str, Callable[..., Any]] = ''
  head: Optional[parts.Part] = None


FAMILIES: Dict[str, Family] = {
    'classification': Family('configs.classification:Classification',
                             'modeling.factory:build_classification'),
    'retinanet': Family('configs.retinanet:RetinaNet',
                        'modeling.factory:build_retinanet'),
    'mask_rcnn': Family('configs.maskrcnn:MaskRCNN',
                        'modeling.factory:build_mask_rcnn'),
    'cascade_mask_rcnn': Family('configs.maskrcnn:MaskRCNN',
                                'modeling.factory:build_cascade_mask_rcnn'),
    'segmentation': Family('configs.segmentation:Segmentation',
                           'modeling.factory:build_segmentation'),
    'shapemask': Family('configs.shapemask:ShapeMask',
                        'modeling.factory:build_shapemask'),
}


@functools.lru_cache(maxsize=None)
def experiment_class(name: str) -> type:
  """The class of the experiments of a family, with the section of its head."""
  family = FAMILIES[name]
  cls = parts.load(family.config)
  if not isinstance(cls, type):
    cls = cls()
  if not family.head:
    return cls
  added = type(cls.__name__, (cls,), {'__annotations__': {},
                                      '__doc__': cls.__doc__})
  return dataclasses.dataclass(frozen=True)(
      parts.with_sections({name: family.head})(added))


def identity_keys(name: str) -> Tuple[str, ...]:
  """Keys of the head's section of which another value is another model."""
  head = FAMILIES[name].head
  return parts.identity_keys({name: head} if head else {}, name)
