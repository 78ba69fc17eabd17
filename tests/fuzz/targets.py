"""The targets of the fuzz by name, the slowest first, so that no core waits for one at the end."""

from tests.fuzz import annotations, files, options, weights

TARGETS = options.TARGETS | annotations.TARGETS | weights.TARGETS | files.TARGETS
