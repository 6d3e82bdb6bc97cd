"""JAX takes memory as it needs it, for torch holds some of the same device."""

import os

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
