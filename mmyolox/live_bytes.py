"""How much memory a piece of torch code needs at its peak, on any device and without its help."""

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that were made inside the context and are still alive.

    Forward and backward passes count alike; what a single operation needs within itself does not, nor do
    the tensors in ``known``.

    Args:
        known: Tensors in any nest of containers.

    Attributes:
        peak: The most bytes after any operation so far.
    """

    def __init__(self, known: object = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.known = {_storage(tensor).cdata for tensor in tree_leaves(known) if isinstance(tensor, Tensor)}
        self.alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        """Runs an operation and looks at what lives after it."""
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and (ref := _storage(leaf)).cdata not in self.known:
                self.alive.setdefault(ref.cdata, (ref, leaf.untyped_storage().nbytes()))
        alive = self.alive.items()
        self.alive = {key: item for key, item in alive if not item[0].expired()}  # type: ignore[no-untyped-call]
        self.peak = max(self.peak, sum(size for _, size in self.alive.values()))
        return out


def _storage(tensor: Tensor) -> StorageWeakRef:
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
