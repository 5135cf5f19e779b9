"""Errors that end a job early, with a message and an exit code."""


class JobError(Exception):
  """Ends the program with its message, without a traceback."""
  exit_code = 1


class SetupError(JobError):
  """The job cannot start as it was asked for."""
  exit_code = 2

  def __init__(self, *problems: str) -> None:
    """Takes a sentence for each mistake, one at least."""
    self.problems = problems
    super().__init__(problems[0] if len(problems) == 1 else '\n  '.join(
        ('%d things are wrong with this job:' % len(problems),) + problems))


class EvalTimeout(JobError):
  """No new checkpoint came within `eval.eval_timeout`."""
  exit_code = 3


class TrainingDiverged(JobError):
  """A loss or a weight is no longer finite, or a loss is above its limit.

  Attributes:
    step: the step at which it was noticed.
  """
  exit_code = 4

  def __init__(self, message: str, step: int = 0) -> None:
    super().__init__(message)
    self.step = step


class NotEvaluated(JobError):
  """The training run ended, but its last checkpoint could not be read."""
  exit_code = 5


class Terminated(JobError):
  """A signal asked the training run to stop; its state is saved."""
  exit_code = 7  # Not 128 + the signal: that is how unsaved ones end, too.


class Stalled(JobError):
  """There was no progress for too long; `watchdog` ends the process itself."""
  exit_code = 6
