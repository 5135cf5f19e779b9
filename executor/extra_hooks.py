"""Training hooks from outside this code; a plugin adds them here."""

# {name: (experiment) -> tf.train.SessionRunHook}; see loops.train. This module
# imports nothing, so that a plugin can import it at its top.
HOOKS = {}
