"""The file beside a converted model that says how to use it.

No TensorFlow here: the programs that run a converted model read it, too.
"""

import json
import os
from typing import Any, Dict, Mapping

from serving.targets import network_graph
from utils import types

FILE = 'model.json'


def write(folder: str, target: str, notes: Mapping[str, Any],
          names: types.LabelMap, network: network_graph.Network,
          details: Mapping[str, Any]) -> Dict[str, Any]:
  """Writes it.

  Args:
    folder: folder of the export.
    target: name of the target.
    notes: {name: value} of export_notes.describe.
    names: {class id: name}.
    network: network_graph.Network.
    details: {name: value} of the conversion; `input` and `outputs` are names
      inside of the file, where they are not those of the graph.

  Returns:
    The description, {name: value}.
  """
  details = dict(details)
  outputs = details.pop('outputs', None) or {
      key: name.split(':')[0] for key, name in network.outputs.items()}
  key, tensor = list(network.inputs.items())[0]
  described = dict(notes['input'], key=key, dtype='float32', layout='NHWC',
                   shape=[side or -1 for side in network.shape],
                   name=details.pop('input', None) or tensor.split(':')[0])
  values = dict(notes, target=target, input=described, outputs=outputs,
                class_names={str(i): name for i, name in names.items()},
                conversion=details)
  with open(os.path.join(folder, FILE), 'w', encoding='utf-8') as f:
    json.dump(values, f, indent=1, sort_keys=True, ensure_ascii=False)
    f.write('\n')
  return values


def read(folder: str) -> Dict[str, Any]:
  """Reads it.

  Args:
    folder: folder of the export.

  Returns:
    {name: value}.

  Raises:
    OSError: if there is none.
  """
  path = os.path.join(folder, FILE)
  if not os.path.exists(path):
    raise OSError('There is no %s: it should be the folder that an export was '
                  'written to.' % path)
  with open(path, encoding='utf-8') as f:
    return json.load(f)
