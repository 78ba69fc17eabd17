"""Memory that a process freed is used again, not given back and fetched anew."""

import ctypes
import os

# Parameters of mallopt, from glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_SETTINGS = {'MALLOC_MMAP_MAX_': '0', 'MALLOC_TRIM_THRESHOLD_': '-1'}


def keep_freed_memory() -> bool:
    """Tells glibc to keep what is freed for the next allocation.

    By default glibc takes large blocks from the kernel and returns them when freed. Every temporary of a
    training step then costs a page fault for each of its 4 kB. With this, a process keeps the most that
    it ever used until it ends. Forked data workers inherit it, programs started anew find it in their
    environment.

    Nothing is done on systems without glibc, under another allocator (``LD_PRELOAD``), or when the user has
    set ``MALLOC_...`` or ``GLIBC_TUNABLES`` variables.

    Returns:
        Whether it was done.
    """
    is_glibc = 'CS_GNU_LIBC_VERSION' in getattr(os, 'confstr_names', {})
    is_chosen = any(name.startswith('MALLOC_') and name.endswith('_') for name in os.environ)
    is_tuned = 'malloc' in os.environ.get('GLIBC_TUNABLES', '') + os.environ.get('LD_PRELOAD', '')
    if not is_glibc or is_chosen or is_tuned:
        return False
    os.environ.update(_SETTINGS)
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(_MMAP_MAX, 0) and libc.mallopt(_TRIM_THRESHOLD, -1))
