"""Writes MindSpore's files, byte by byte."""


def varint(number):
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def chunk(field, content):
    """A field of protobuf's that has a length."""
    return varint(field << 3 | 2) + varint(len(content)) + content


def value(name, kind, dims, content):
    """A tensor as MindSpore stores it."""
    shape = b''.join(b'\x08' + varint(size) for size in dims)
    return chunk(1, chunk(1, name.encode()) + chunk(2, shape + chunk(2, kind.encode()) + chunk(3, content)))


def checkpoint(tensors):
    """A file's content, of float32 tensors."""
    return b''.join(
        value(name, 'Float32', tensor.shape, tensor.numpy().tobytes()) for name, tensor in tensors.items()
    )
