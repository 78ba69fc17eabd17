"""Cases from valid content: a JSON tree with odd values, bytes with changed bits."""

import copy
import json

from hypothesis import strategies as st

BIG = 10**400
ODD = st.sampled_from(
    [None, True, False, 0, 1, -1, 2, 0.5, -0.0, 1e308, float('nan'), float('inf'), float('-inf'), 2**63]
    + [-(2**63), 2**31, 2**20 + 1, BIG, '', '0', '1', '1.0', 'true', 'None', ' 1 ', '1e5', '\u0661', 'cat']
    + ['\0', '\ud800', '../x', '/', 'x' * 300, 'a\nb', '\x1b[31m', [], {}, [[]], [0], [None], {'': 0}]
    + [{'type': 'x'}, [1, 2, 3, 4], [1.5, 2, 3e9, 4], ['a', 'b'], (1, 2)]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
VALUES = ODD | LEAVES | TREES
ENCODINGS = st.sampled_from(['utf-8'] * 8 + ['utf-8-sig', 'utf-16', 'utf-16-le', 'utf-32', 'latin-1'])


def places(node, path=()):
    """The ways to all values in a tree."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield *path, key
        yield from places(child, (*path, key))


@st.composite
def changed(draw, content, most=3):
    """A tree in which up to ``most`` values are replaced, absent, repeated or put under another key."""
    content = copy.deepcopy(content)
    for _ in range(draw(st.integers(0, most))):
        ways = list(places(content))
        if not ways:
            break
        *way, key = draw(st.sampled_from(ways))
        node = content
        for step in way:
            node = node[step]
        how = draw(st.sampled_from(['replace', 'replace', 'replace', 'drop', 'repeat', 'rename']))
        if how == 'drop':
            del node[key]
        elif how == 'replace':
            node[key] = copy.deepcopy(draw(VALUES))  # else a later change would change the strategy
        elif isinstance(node, list):
            node.append(copy.deepcopy(node[key]))
        elif how == 'rename':
            node[draw(st.text(max_size=6))] = node.pop(key)
        else:
            node[key] = [copy.deepcopy(node[key])] * 2
    return content


def json_bytes(content, encoding='utf-8', ascii_only=True):
    """A tree as a JSON file's bytes, where the encoding can hold it."""
    return json.dumps(content, ensure_ascii=ascii_only).encode(encoding, 'backslashreplace')


def json_files(content, most=3):
    """Bytes of JSON files: changed ones, ones with changed bytes, and others."""
    text = st.builds(json_bytes, changed(content, most), ENCODINGS, st.booleans())
    whole = json_bytes(content)
    nested = st.builds(lambda depth, pair: pair[0] * depth + pair[1] * depth, st.integers(1, 5000), BRACKETS)
    return st.one_of(
        text,
        text,
        text,
        text,
        text,
        damaged(whole),
        st.builds(json_bytes, TREES),
        st.binary(max_size=80),
        nested,
    )


BRACKETS = st.sampled_from([(b'[', b']'), (b'{"a":', b'}'), (b'{"images":[', b']}'), (b'[', b'')])


@st.composite
def damaged(draw, content, structure=600):
    """Bytes that are cut off, missing, additional or changed in bits; often near their start or end."""
    changed = bytearray(content)
    length = len(content)
    where = draw(st.sampled_from(['start', 'end', 'all', 'all']))
    low = max(length - structure, 0) if where == 'end' else 0
    high = min(length, structure) if where == 'start' else length
    position = st.integers(low, max(high - 1, low))
    how = draw(st.sampled_from(['flip', 'flip', 'flip', 'byte', 'cut', 'take', 'add', 'repeat']))
    at = draw(position)
    if how == 'cut':
        del changed[at:]
    elif how == 'take':
        del changed[at : at + draw(st.integers(1, 20))]
    elif how == 'add':
        changed[at:at] = draw(st.binary(min_size=1, max_size=20))
    elif how == 'repeat':
        changed[at:at] = changed[at : at + draw(st.integers(1, 60))]
    elif how == 'byte':
        changed[at : at + 1] = draw(st.sampled_from([b'\0', b'\xff', b'\x7f', b'\x80']))
    else:
        for place in [at, *draw(st.lists(position, max_size=5))]:
            if place < len(changed):
                changed[place] ^= 1 << draw(st.integers(0, 7))
    return bytes(changed)
