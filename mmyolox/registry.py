"""The registries of the scope ``mmyolox``: children of MMEngine's.

A config with ``default_scope = 'mmyolox'`` finds our components by their bare names and those of other
projects by a prefix (``mmdet.DetVisualizationHook``). The packages named here are imported when a registry is
first searched. The registries without a package are empty: MMEngine looks through every kind of registry
for the default scope, and warns where it has none.
"""

from mmengine import registry as mmengine_registry
from mmengine.registry import Registry


def _child(parent: Registry, *packages: str) -> Registry:
    locations = [f'mmyolox.{package}' for package in packages]
    return Registry(parent.name, parent=parent, scope='mmyolox', locations=locations)


DATA_SAMPLERS = _child(mmengine_registry.DATA_SAMPLERS, 'datasets')
DATASETS = _child(mmengine_registry.DATASETS, 'datasets')
TRANSFORMS = _child(mmengine_registry.TRANSFORMS, 'datasets')
MODELS = _child(mmengine_registry.MODELS, 'models', 'engine')
TASK_UTILS = _child(mmengine_registry.TASK_UTILS, 'models')
HOOKS = _child(mmengine_registry.HOOKS, 'engine')
PARAM_SCHEDULERS = _child(mmengine_registry.PARAM_SCHEDULERS, 'engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(mmengine_registry.OPTIM_WRAPPER_CONSTRUCTORS, 'engine')
OPTIM_WRAPPERS = _child(mmengine_registry.OPTIM_WRAPPERS, 'engine')
METRICS = _child(mmengine_registry.METRICS, 'evaluation')
VISUALIZERS = _child(mmengine_registry.VISUALIZERS, 'apis.drawing')

EVALUATOR = _child(mmengine_registry.EVALUATOR)
LOG_PROCESSORS = _child(mmengine_registry.LOG_PROCESSORS)
LOOPS = _child(mmengine_registry.LOOPS)
MODEL_WRAPPERS = _child(mmengine_registry.MODEL_WRAPPERS)
OPTIMIZERS = _child(mmengine_registry.OPTIMIZERS)
RUNNERS = _child(mmengine_registry.RUNNERS)
VISBACKENDS = _child(mmengine_registry.VISBACKENDS)
WEIGHT_INITIALIZERS = _child(mmengine_registry.WEIGHT_INITIALIZERS)
