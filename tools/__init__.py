"""Commands; see README.md."""

from executor import log

log.quiet_tensorflow()
