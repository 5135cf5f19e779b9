"""Answers of an export, in a process of its own; see serving.parity.

  python -m serving.run_export FOLDER IMAGES ANSWERS
"""

import io
import pickle
import sys
from typing import Dict, List, Sequence

import numpy as np
from PIL import Image

from ops import compat
from serving import exported_model
from serving import images as images_lib
from serving import input_types
from serving import segmentation_outputs
from serving import warm_up


def answers(folder: str,
            images: Sequence[bytes]) -> List[Dict[str, np.ndarray]]:
  """Runs every signature of an export on every image.

  Args:
    folder: folder of the export.
    images: [bytes].

  Returns:
    [{key: array}]; PNGs are decoded, objects that fill unused places left out.
  """
  compat.enable_graph_mode()
  model = exported_model.ExportedModel(folder)
  found = []
  for image in images:
    answer = {}
    for signature in model.signatures.values():
      answer.update(_answer(model, signature, image))
    found.append(answer)
  return found


def _answer(model, signature, image):
  fed = _fed(model, image)
  info = exported_model.image_input(signature['inputs'], model.folder)
  count = max(info['shape'][0], 1)
  batch = np.stack([fed] * count) if isinstance(fed, np.ndarray) else (
      np.array([fed] * count, object))
  answer = model.run_signature({info['tensor']: batch}, signature)
  # Images of a batch must not depend on each other: the last one counts.
  answer = {name: value[-1] for name, value in answer.items()}
  for name in (segmentation_outputs.CATEGORY_BYTES,
               segmentation_outputs.SCORE_BYTES):
    if name in answer:
      answer[name] = np.asarray(Image.open(io.BytesIO(answer[name])))
  return answer


def _fed(model, image):
  """What the export is fed for the bytes of an image."""
  if model.input_type == input_types.IMAGE_BYTES:
    return image
  pixels = images_lib.load(image, follow_exif=False)
  if model.input_type == input_types.TF_EXAMPLE:
    return warm_up.encoded(pixels, model.input_type)
  if model.input_type == input_types.IMAGE_TENSOR:
    return pixels
  return model.prepare(pixels)[0]


def main(arguments: Sequence[str]) -> None:
  """Reads the images, writes the answers."""
  folder, images_path, answers_path = arguments
  with open(images_path, 'rb') as f:
    images = pickle.load(f)
  found = answers(folder, images)
  with open(answers_path, 'wb') as f:
    pickle.dump(found, f, protocol=4)


if __name__ == '__main__':
  main(sys.argv[1:])
