"""An exported folder to a service and its application."""

import os

import tensorflow.compat.v1 as tf

from serving import sources
from serving.server import app as app_lib
from serving.server import served_model
from serving.server import service as service_lib
from utils import label_map as label_map_lib

_LABEL_MAP = ('assets.extra', 'label_map.csv')  # of an export


def make(path, name, limits=None, label_map=None, num_threads=None,
         with_page=True):
  """Loads a model and puts a server around it.

  Args:
    path: of an export; see served_model.newest_version.
    name: str, of the model in addresses.
    limits: service.Limits.
    label_map: path of a label map, or {class id: name}; None: that of the
      export.
    num_threads: int, CPU threads of the network; None: all cores.
    with_page: bool, whether there is a page at /.

  Returns:
    (service.Service, aiohttp.web.Application).

  Raises:
    LoadError: if there is no model, or its label map cannot be read.
  """
  del with_page
  model = served_model.ServedModel(path, num_threads)
  service = service_lib.Service(model, name, limits,
                                _class_names(model.folder, label_map))
  return service, app_lib.make(service)


def _class_names(folder, label_map):
  """{class id: name}, {} where nothing tells."""
  if isinstance(label_map, dict):
    return label_map
  path = label_map or os.path.join(folder, *_LABEL_MAP)
  if not label_map and not tf.gfile.Exists(path):
    return {}
  try:
    return label_map_lib.read_label_map(path)
  except (OSError, ValueError) as e:
    raise sources.LoadError('The label map cannot be used. %s' % e)
