"""What programs have in common that run a converted model by itself.

No TensorFlow here: some run where there is none.
"""

import pickle
from typing import Any, Callable, Dict, List, Optional, Sequence

import numpy as np

from serving.targets import description

# Of models that take any number of images.
_FREE_BATCH = 2


def of_images(model: Any,
              images: Sequence[np.ndarray]) -> List[Dict[str, np.ndarray]]:
  """Runs a model on images, one by one, filling its batch with copies.

  Images of a batch must not depend on each other: the last one counts.

  Args:
    model: object with `run`: float32 [B, H, W, 3] to {key: array [B, ...]},
      and `batch_size`: int, or None for any.
    images: [float32 [H, W, 3]].

  Returns:
    [{key: array}].
  """
  count = model.batch_size or _FREE_BATCH
  return [{key: np.asarray(value)[-1]
           for key, value in model.run(np.stack([image] * count)).items()}
          for image in images]


def batch_size(values: Dict[str, Any]) -> Optional[int]:
  """The images of a batch; None: any. Takes what description.read gives."""
  size = values['input']['shape'][0]
  return size if size > 0 else None


def main(load: Callable[[str, Dict[str, Any]], Any],
         arguments: Sequence[str]) -> None:
  """Reads images, writes answers; see parity.answers_of_export.

  Args:
    load: function of (folder, description) that makes a model.
    arguments: [folder, path of the images, path of the answers].
  """
  folder, images_path, answers_path = arguments
  model = load(folder, description.read(folder))
  with open(images_path, 'rb') as f:
    images = pickle.load(f)
  found = of_images(model, images)
  with open(answers_path, 'wb') as f:
    pickle.dump(found, f, protocol=4)
