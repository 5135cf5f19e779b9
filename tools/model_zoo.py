"""Rebuilds docs/MODEL_ZOO.md: counts every published model and compares.

  python -m tools.model_zoo                    # all rows: many minutes
  python -m tools.model_zoo --rows=resnet50    # some, only printed

Each row is a file below configs/experiments. The tool builds its model, counts
parameters and multiply-adds (see tools.model_stats) and compares them with the
published figures. The exit code is 1 if a row is out of tolerance or could not
be counted.
"""

import argparse
import json
import os
import re
import time
from typing import Any, Dict, List, Optional, Sequence

from configs import factory
from tools.common import config_arguments
from tools.zoo import page as zoo_page
from tools.zoo import rows as zoo_rows
from utils import files

EXPERIMENTS = 'configs/experiments'


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
  """Command line to a namespace."""
  parser = argparse.ArgumentParser(
      prog='python -m tools.model_zoo', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument(
      '--rows', metavar='REGEX', help='count only the rows whose file name '
                                      'matches; print the result without '
                                      'writing the page')
  parser.add_argument(
      '--output', metavar='FILE.md', default='docs/MODEL_ZOO.md',
      help='page to write (default: %(default)s)')
  parser.add_argument(
      '--results', metavar='FILE.jsonl',
      help='file that gets a line for every row as soon as it is counted')
  parser.add_argument(
      '--reuse', action='store_true',
      help='reuse the rows in --results: after an interruption, if the code '
           'has not changed')
  return parser.parse_args(argv)


def count(row: zoo_rows.Row) -> Dict[str, Any]:
  """Builds the model of a row and counts it.

  Args:
    row: zoo_rows.Row.

  Returns:
    {'config_file', 'size', 'params', 'flops'}; where that was not possible
    {'config_file', 'error'}.
  """
  from modeling import statistics
  result = {'config_file': row.config_file}
  path = os.path.join(EXPERIMENTS, row.config_file)
  try:
    config, _ = factory.load_config(None, path)
    stats = statistics.model_statistics(config)
  except (OSError, ValueError) as e:
    return dict(result, error=str(e))
  return dict(result, size=statistics.input_size(config), params=stats.params,
              flops=stats.flops)


def problems(row: zoo_rows.Row, result: Dict[str, Any]) -> List[str]:
  """What is wrong with a row.

  Args:
    row: zoo_rows.Row.
    result: result of `count`.

  Returns:
    [str], empty where all is well.
  """
  if 'error' in result:
    return ['not counted: ' + result['error']]
  if not row.fits:
    return []
  found = []
  params = (result['params'] + row.unused_params) / 1e6
  for name, value, printed, tolerance in (
      ('parameters, millions', params, row.params, row.params_tolerance),
      ('multiply-adds, billions', result['flops'] / 1e9, row.flops,
       row.flops_tolerance)):
    if printed and not agrees(value, printed, tolerance):
      found.append('%s: %.3f, published %s' % (name, value, printed))
  return found


def agrees(value: float, printed: str, tolerance: float = 0.) -> bool:
  """Whether a number is the printed one, rounded, cut off, or nearly so.

  Args:
    value: float.
    printed: text such as '34.0'.
    tolerance: float, relative difference that is allowed besides.

  Returns:
    bool.
  """
  unit = 10. ** -len(printed.partition('.')[2])
  difference = value - float(printed)
  # Rounding: within half a unit. Cutting off: up to a unit above.
  return (-.5 * unit <= difference < unit
          or abs(difference) <= tolerance * float(printed))


def count_all(rows: Sequence[zoo_rows.Row], results_file: Optional[str] = None,
              reuse: bool = False) -> Dict[str, Dict[str, Any]]:
  """Counts rows, and shows and saves each as it is done.

  Args:
    rows: [zoo_rows.Row].
    results_file: JSON lines to append to, or None.
    reuse: whether to take rows from there.

  Returns:
    {config_file: result of `count`}.
  """
  results = _read(results_file) if reuse else {}
  for i, row in enumerate(rows, 1):
    start = time.time()
    if row.config_file not in results:
      results[row.config_file] = count(row)
      _append(results_file, results[row.config_file])
    result = results[row.config_file]
    print('%2d/%d %s: %s, %.0f s' % (
        i, len(rows), row.config_file,
        '; '.join(problems(row, result)) or _summary(row, result),
        time.time() - start), flush=True)
  return results


def _summary(row, result):
  return '%.3f M parameters, %.3f B multiply-adds, %s' % (
      result['params'] / 1e6, result['flops'] / 1e9,
      'ok' if row.fits else 'another reading of a row')


def _read(path):
  """{config_file: result} of the rows that a file has and that were counted."""
  if not path or not os.path.exists(path):
    return {}
  with open(path) as f:
    results = [json.loads(line) for line in f]
  return {r['config_file']: r for r in results if 'error' not in r}


def _append(path, result):
  if path:
    with open(path, 'a') as f:
      f.write(json.dumps(result) + '\n')


def run(arguments: argparse.Namespace) -> bool:
  """Counts, prints and writes.

  Args:
    arguments: namespace of `parse_arguments`.

  Returns:
    Whether all rows are well.

  Raises:
    OSError, ValueError: if no row matches, or a file cannot be written.
  """
  rows = [row for row in zoo_rows.ROWS
          if re.search(arguments.rows or '', row.config_file)]
  if not rows:
    raise ValueError('--rows=%s matches none of the files: %s.' % (
        arguments.rows, ', '.join(row.config_file for row in zoo_rows.ROWS)))
  config_arguments.start_tensorflow()
  results = count_all(rows, arguments.results, arguments.reuse)
  bad = [row for row in rows if problems(row, results[row.config_file])]
  if not arguments.rows:
    files.write_atomically(arguments.output, zoo_page.page(
        [(row, results[row.config_file],
          problems(row, results[row.config_file])) for row in rows]))
    print('Wrote %s.' % arguments.output)
  print('%d rows, %d of them not as published.' % (len(rows), len(bad)))
  return not bad


def main(argv: Optional[Sequence[str]] = None) -> None:
  arguments = parse_arguments(argv)
  try:
    is_well = run(arguments)
  except (OSError, ValueError) as e:
    raise SystemExit('Error: %s' % e)
  if not is_well:
    raise SystemExit(1)


if __name__ == '__main__':
  main()
