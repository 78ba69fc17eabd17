"""The JSON stream: any text, in pieces of any size, gives what Python's decoder gives, or its message."""

import io
import json
import random

import pytest

from mmyolox.datasets.json_stream import JsonError, JsonStream

TEXT = json.dumps(
    dict(
        info={},
        images=[dict(id=i, name=f'Möwe "{i}" \\ }}, {{ ]', at=[1.5, -2e3, {}, [{}, {}]]) for i in range(9)],
        empty=[],
        nested={'a': [None, True], '': ''},
        annotations=[{'a': 1}, 7, 'x', {'b': {'c': [{'d': 1}, {'d': 2}]}}, [], {'a': 1}, {'a': -12}],
        last=123,
    ),
    ensure_ascii=False,
)


def take_all(text, take):
    """The content of an object, its lists read element by element."""
    stream = JsonStream(io.BytesIO(text), json.JSONDecoder())
    if stream.peek() != '{':
        value = stream.value()
        stream.check_end()
        return value
    content = {}
    for key in stream.members():
        if stream.peek() != '[':
            content[key] = stream.value('{"":')
            continue
        content[key] = []
        for values in stream.elements(lambda raw, key=key: take(raw, content[key])):
            content[key] += values
    return content


def never(raw, taken):
    return False


def whenever_valid(raw, taken):
    try:
        taken += json.loads(raw)
    except ValueError:
        return False
    return True


def wanted(text):
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        return f'line {error.lineno}, column {error.colno}: not valid JSON ({error.msg})'


def outcome(text, take):
    try:
        return take_all(text, take)
    except JsonError as error:
        return str(error)


@pytest.fixture(params=[1, 7, 64, 2**20])
def block(request, monkeypatch):
    monkeypatch.setattr('mmyolox.datasets.json_stream._BLOCK', request.param)


@pytest.mark.parametrize('take', [never, whenever_valid])
@pytest.mark.parametrize(
    'text',
    [
        TEXT,
        json.dumps(json.loads(TEXT), indent=1),
        json.dumps(json.loads(TEXT), separators=(' \n\t,\r\n ', ' : ')),
        '  {} ',
        ' [1, 2] ',
        '12',
        '{"a": [{}]}',
        '{"a": [1], "a": [{}, {}]}',
        '{"a": [NaN, {"b": Infinity}, {"b": -Infinity}]}'.replace('NaN', '1'),
    ],
)
def test_values(block, take, text):
    assert take_all(text.encode(), take) == json.loads(text)


@pytest.mark.parametrize('take', [never, whenever_valid])
def test_texts_at_fault_anywhere(block, take):
    draw = random.Random(0)
    text = json.dumps(json.loads(TEXT), indent=1, ensure_ascii=False)
    for _ in range(150):
        place = draw.randrange(len(text))
        changed = draw.choice(
            [text[:place], text[:place] + draw.choice('{}[],:"\\x1 \n') + text[place + draw.randrange(2) :]]
        )
        assert outcome(changed.encode(), take) == wanted(changed), changed


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'utf-16-le', 'utf-16-be', 'utf-32'])
def test_encodings(block, encoding):
    assert take_all(TEXT.encode(encoding), whenever_valid) == json.loads(TEXT)


def test_bytes_that_are_no_text(block):
    for text in (b'{"a": ["\xff"]}', b'{"a": [{}, {"b": "\xc3"}, {}]}', b'\x89PNG\xff'):
        with pytest.raises(UnicodeDecodeError):
            take_all(text, never)
