"""Weights of every framework that has a YOLOX: loading, matching, recognising and converting them.

:func:`.files.read_weights` reads a file; :func:`.convert.convert` finds out where it comes from and which
model it holds, and accounts for every tensor; :func:`.configs.config_for` names the config of that model. A
framework is one module of :mod:`.sources`.
"""
