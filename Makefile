# Each target makes the environment that it needs, from the versions pinned in constraints*.txt.
# On a machine without a GPU, pip's own settings (PIP_INDEX_URL, PIP_FIND_LINKS, ...) can point at a CPU
# build of torch, which is much smaller than the default one for Linux.

PYTHON ?= python3
VENV := .venv
LEGACY := .venv-legacy

.PHONY: help demo demo-pose test test-slow lint crash fuzz soak test-legacy test-multinode clean

help:
	@echo 'make demo         train, evaluate and draw predictions on a small generated data set'
	@echo 'make demo-pose    the same with keypoints'
	@echo 'make test         lint, types and all tests'
	@echo 'make test-slow    the tests that take long: all models on a simulated accelerator, compilers'
	@echo 'make lint         format, lint, spelling and types'
	@echo 'make fuzz         100,000 odd and damaged files and options for all readers: about half an hour'
	@echo 'make soak         2,000 iterations and 20,000 detections: whether memory or files grow, about half an hour'
	@echo 'make crash        kill trainings, restart them, fill their disks: is anything lost?'
	@echo 'make test-multinode  train on two hosts: network namespaces of this machine, which need root'
	@echo 'make test-legacy  the tests on the original mmengine, mmcv-lite and mmdet'
	@echo 'make clean        remove the environments, caches and build products'
	@echo 'Python 3.10 to 3.12 is needed; name one with PYTHON=, if python3 is another.'

demo: $(VENV)/.ready
	$(VENV)/bin/python tools/demo.py

# Threads that wait awake are twice as fast for so small a network, as long as nothing else needs the cores.
demo-pose: export OMP_WAIT_POLICY ?= active
demo-pose: $(VENV)/.ready
	$(VENV)/bin/python tools/demo.py --out demo-pose --config yolox-pose_w025_1xb16-24e_shapes \
	    --images 1200 --metric keypoints_mAP --least 0.80 --next yolox-pose_s_1xb8-50e_custom

test: lint
	$(VENV)/bin/python -m pytest -n logical --dist worksteal

test-slow: $(VENV)/.ready
	$(VENV)/bin/python -m pytest -n logical --dist worksteal -m slow

lint: $(VENV)/.ready
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/ruff check
	$(VENV)/bin/codespell
	$(VENV)/bin/mypy

fuzz: $(VENV)/.ready
	$(VENV)/bin/python -m tests.fuzz

soak: $(VENV)/.ready
	$(VENV)/bin/python benchmarks/soak.py

crash: $(VENV)/.ready
	$(VENV)/bin/python tests/crash/run.py

test-multinode: $(VENV)/.ready
	$(VENV)/bin/python tests/multinode/run.py

test-legacy: $(LEGACY)/.ready
	$(LEGACY)/bin/python -m pytest -n logical --dist worksteal

clean:
	rm -rf $(VENV) $(LEGACY) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

define CHECK_PYTHON
import sys
try:
    import ensurepip, venv
except ImportError:
    sys.exit('error: %s has no venv module: install it (Debian, Ubuntu: python3-venv)' % sys.executable)
if not (3, 10) <= sys.version_info[:2] <= (3, 12):
    sys.exit('error: Python 3.10, 3.11 or 3.12 is needed, %s is %s: name another, e.g. make PYTHON=python3.11 %s'
             % (sys.executable, sys.version.split()[0], sys.argv[1]))
endef
export CHECK_PYTHON

$(VENV)/bin/pip $(LEGACY)/bin/pip:
	@command -v $(PYTHON) > /dev/null || { echo 'error: there is no $(PYTHON): install Python 3.10 to 3.12'; exit 1; }
	@$(PYTHON) -c "$$CHECK_PYTHON" '$(MAKECMDGOALS)'
	$(PYTHON) -m venv $(@D)/..

$(VENV)/.ready: export PIP_CONSTRAINT := constraints.txt
$(VENV)/.ready: constraints.txt setup.cfg setup.py | $(VENV)/bin/pip
	$(VENV)/bin/pip install torch
	@echo 'Installing the OpenMMLab packages, mmyolox and the development tools: about two minutes ...'
	$(VENV)/bin/pip install --quiet --editable '.[mmlab,dev]'
	$(headless_opencv)
	touch $@

$(LEGACY)/.ready: export PIP_CONSTRAINT := constraints-legacy.txt
$(LEGACY)/.ready: constraints-legacy.txt constraints.txt setup.cfg setup.py | $(LEGACY)/bin/pip
	$(LEGACY)/bin/pip install torch
	$(LEGACY)/bin/pip install --quiet mmengine mmcv-lite mmdet --editable '.[dev]'
	$(headless_opencv)
	touch $@

# Dependencies require opencv-python, which needs the system's libGL, and the onedl packages the headless
# form too, which installs the same files: that one is put on top.
headless_opencv = $(@D)/bin/pip install --quiet --force-reinstall --no-deps opencv-python-headless
