"""An exported folder to a service and its application."""

import logging
from typing import Any, Optional

from serving import class_names
from serving import sources
from serving.server import app as app_lib
from serving.server import image_model
from serving.server import page as page_lib
from serving.server import served_model
from serving.server import service as service_lib


def make(path: str, name: str, limits: Any = None,
         label_map: Optional[str] = None, num_threads: Optional[int] = None,
         with_page: bool = True, min_score: float = .3) -> Any:
  """Loads a model, puts a server around it and asks it once.

  Args:
    path: path of an export; see served_model.newest_version.
    name: str, of the model in addresses.
    limits: service.Limits.
    label_map: path of a label map, or {class id: name}; None: that of the
      export.
    num_threads: int, CPU threads of the network; None: all cores.
    with_page: bool, whether there is a page at /.
    min_score: float, where the slider of the page stands at first.

  Returns:
    (service.Service, aiohttp.web.Application).

  Raises:
    LoadError: if there is no model, or its label map cannot be read.
  """
  names = class_names.given(label_map)
  model = served_model.ServedModel(path, num_threads)
  service = service_lib.Service(model, name, limits, names)
  try:
    detect = image_model.Detect(service, label_map)
    detect.warm_up()
  except sources.LoadError as e:
    logging.warning('There is no page, only the REST interface: %s', e)
    return service, app_lib.make(service)
  service.class_names = detect.class_names
  page = page_lib.Page(service, detect, min_score) if with_page else None
  return service, app_lib.make(service, page)
