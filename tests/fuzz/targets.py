"""The targets of the fuzz by name, the slowest first, so that no core waits for one at the end."""

from tests.fuzz import annotations, doctor, files, options, weights

TARGETS = options.TARGETS | doctor.TARGETS | annotations.TARGETS | weights.TARGETS | files.TARGETS
