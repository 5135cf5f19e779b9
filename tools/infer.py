"""Shows what a trained model detects in images and videos.

  python -m tools.infer --model_dir=demo/retinanet --input=photos \\
      --output=seen
  python -m tools.infer --saved_model=export/retinanet --input=clip.mp4 \\
      --output=seen --min_score=0.5 --classes=person,dog

writes into the output folder
  index.html        thumbnails, to be sorted and filtered by class and score
  drawn/            every image with its detections drawn; also videos
  detections.json   the same as a COCO results list, for other programs and for
                    tools.evaluate_detections (with --min_score=0)
  detections.csv    the same as a table

The id of an image is its path within the folder that was given, or the one in
--image_ids; that of a video frame is the file name and a number, such as
clip.mp4#12. Files that cannot be read are named and skipped.

Exit status: 0 done; 1 the model, the input or the output cannot be used; 2 the
command line is wrong; 3 some files were skipped; 130 stopped with Ctrl-C, and
the results so far are written.
"""

import os
import sys
from typing import Optional, Sequence

from tools.inference import arguments as arguments_lib


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Runs the command; returns the exit status."""
  arguments = arguments_lib.parse(argv, __doc__)
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
  # TensorFlow takes seconds to load: not before the arguments are right.
  from tools.inference import command
  try:
    return command.run(arguments)
  except command.EXPECTED_ERRORS as error:
    print('Error: %s' % error, file=sys.stderr)
    return 1


if __name__ == '__main__':
  sys.exit(main())
