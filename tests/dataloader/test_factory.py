"""The table of parsers."""

import dataclasses

import pytest

from configs import factory as config_factory
from dataloader import factory
from utils import modes


def test_unknown_parser():
  config = config_factory.default_config('retinanet')
  config = dataclasses.replace(config, architecture=dataclasses.replace(
      config.architecture, parser='retina_parser'))
  with pytest.raises(ValueError, match='retina_parser.*retinanet_parser'):
    factory.build_parser(config, modes.TRAIN)


@pytest.mark.parametrize('model', ['retinanet', 'mask_rcnn', 'classification',
                                   'cascade_mask_rcnn', 'segmentation',
                                   'shapemask'])
def test_every_parser_builds(model):
  config = config_factory.default_config(model)
  assert config.architecture.parser in factory.PARSERS
  assert factory.build_parser(config, modes.TRAIN).labels_spec()
