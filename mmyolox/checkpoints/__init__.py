"""Weights of every framework that has a YOLOX: loading, matching, recognising and converting them.

:func:`.load.read_weights` reads a file; :func:`.convert.convert` finds out where it comes from and which
model it holds, and accounts for every tensor; :func:`.recognise.config_for` names the config of that model,
and :func:`.match.match_weights` fits weights to a model at hand. A framework is a module of :mod:`.sources`.
"""
