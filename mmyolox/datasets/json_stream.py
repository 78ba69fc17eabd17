"""JSON read piece by piece, so that the memory depends on no list's length.

Values and messages are those of Python's ``json``, whose scanner reads them. The elements of a list may also
be taken as bytes, many at a time, by something faster.
"""

import codecs
import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

_BLOCK = 2**20
_SPACE = re.compile(r'[ \t\n\r]*')
_GAP = 1024
_NEAR_END = 16
"""How far before the end of a cut text the scanner may find fault with it: no word or escape is longer."""


class JsonError(ValueError):
    """A text is no JSON; the message says where and why."""


class JsonStream:
    """A JSON text, from its beginning to its end.

    Args:
        file: The file, in UTF-8, UTF-16 or UTF-32.
        decoder: The decoder of values, Python's own with the hooks of the caller.
    """

    def __init__(self, file: BinaryIO, decoder: json.JSONDecoder) -> None:
        start = file.read(4)
        encoding = json.detect_encoding(start)
        if encoding == 'utf-8-sig':
            start, encoding = start[len(codecs.BOM_UTF8) :], 'utf-8'
        if encoding != 'utf-8':  # seldom: all at once
            text = (start + file.read()).decode(encoding, 'surrogatepass')
            start, file = b'', io.BytesIO(text.encode('utf-8', 'surrogatepass'))
        self._file = file
        self._decoder = decoder
        self._data = start
        self._is_end = False
        self._line, self._column = 1, 1

    def peek(self) -> str:
        """The next character that is no space, ``''`` at the end."""
        while True:
            rest = self._data.lstrip(b' \t\n\r')
            self._skip(self._data[: len(self._data) - len(rest)].decode())
            if rest or self._is_end:
                return chr(rest[0]) if rest else ''
            self._fill(_BLOCK)

    def value(self, before: str = '') -> Any:
        """Reads the next value.

        Args:
            before: What could stand before it in a text of its own, for messages.

        Raises:
            JsonError: There is none.
        """
        self.peek()
        size = _BLOCK
        while True:
            self._fill(size)
            text = self._text()
            try:
                value, end = self._decoder.raw_decode(text)
            except json.JSONDecodeError as error:
                if self._is_end or not _is_cut(error, text):
                    self._fail(before)
            else:
                if end <= len(text) - _NEAR_END or self._is_end:  # else perhaps a part of a number
                    self._skip(text[:end])
                    return value
            size = 2 * len(self._data)

    def members(self) -> Iterator[str]:
        """The keys of the object that is the whole text; the value of each has to be read before the next.

        Raises:
            JsonError: It is no object, or something follows it.
        """
        self._skip('{')
        before = '{'
        while self.peek() != '}' or before != '{':
            if self.peek() != '"':
                self._fail(before)
            key = self.value(before)
            if self.peek() != ':':
                self._fail('{""')
            self._skip(':')
            yield key
            if self.peek() not in (',', '}'):
                self._fail('{"":0')
            if self.peek() == '}':
                break
            self._skip(',')
            before = '{"":0,'
        self._skip('}')
        self.check_end()

    def check_end(self) -> None:
        """Checks that nothing follows.

        Raises:
            JsonError: Something does.
        """
        if self.peek():
            self._fail('[]')

    def elements(self, take: Callable[[bytes], bool]) -> Iterator[list[Any]]:
        """Reads the next value, a list, some elements at a time.

        Args:
            take: A function of a JSON list of some elements, which takes them and returns True, or leaves
                them to the decoder. It leaves what is no JSON.

        Yields:
            The elements that were left, in their order among the others.

        Raises:
            JsonError: The list is at fault.
        """
        self._skip('[')
        before, size = '[', _BLOCK
        if self.peek() == ']':
            self._skip(']')
            return
        while True:
            self._fill(size)
            end, following = self._boundary()
            if end and take(b'[' + self._data[:end] + b']'):
                self._skip(self._data[:following].decode('utf-8', 'surrogatepass'))
                before, size = '[0,', _BLOCK
                continue
            values, is_last = self._decoded(before)
            yield values
            if is_last:
                return
            if values:
                before, size = '[0,', _BLOCK
            else:
                size = 2 * len(self._data)

    def _boundary(self) -> tuple[int, int]:
        """Where the last object but one of what was read seems to end, and the next one to begin; or zeros.

        If the bytes up to there are elements of a list, then it is so: a text has one reading from the left.
        """
        start = len(self._data)
        while (start := self._data.rfind(b'{', 0, start)) > 0:
            ahead = self._data[max(0, start - _GAP) : start]
            before_comma = ahead.rstrip(b' \t\n\r').removesuffix(b',')
            element = before_comma.rstrip(b' \t\n\r')
            if element.endswith(b'}') and before_comma != ahead.rstrip(b' \t\n\r'):
                return start - len(ahead) + len(element), start
        return 0, 0

    def _decoded(self, before: str) -> tuple[list[Any], bool]:
        """The elements in what was read, and whether the last of the list is among them."""
        values: list[Any] = []
        text, start, is_last = self._text(), 0, False
        while not is_last:
            try:
                value, end = self._decoder.raw_decode(text, start)
            except json.JSONDecodeError as error:
                if not self._is_end and _is_cut(error, text):
                    break
                self._skip(text[:start])
                self._fail('[0,' if values else before)
            if end > len(text) - _NEAR_END and not self._is_end:  # perhaps a part of a number
                break
            end = _space(text, end)
            if end == len(text) and not self._is_end:
                break
            if text[end : end + 1] not in (',', ']'):
                self._skip(text[:end])
                self._fail('[0')
            is_last = text[end] == ']'
            values.append(value)
            start = _space(text, end + 1)
        self._skip(text[:start])
        return values, is_last

    def _fill(self, size: int) -> None:
        """Reads on until there are ``size`` bytes, or all."""
        while len(self._data) < size and not self._is_end:
            more = self._file.read(size - len(self._data))
            self._data += more
            self._is_end = not more

    def _text(self) -> str:
        """What was read and not yet skipped, as far as its characters are whole."""
        return codecs.utf_8_decode(self._data, 'surrogatepass', self._is_end)[0]

    def _skip(self, text: str) -> None:
        self._data = self._data[len(text.encode('utf-8', 'surrogatepass')) :]
        self._line, self._column = self._place(text)

    def _place(self, text: str) -> tuple[int, int]:
        """Line and column behind a text that comes next."""
        lines = text.count('\n')
        column = len(text) - text.rindex('\n') if lines else self._column + len(text)
        return self._line + lines, column

    def _fail(self, before: str) -> None:
        """Raises what Python's decoder says of what comes next."""
        text = self._text()
        try:
            self._decoder.decode(before + text)
        except json.JSONDecodeError as error:
            line, column = self._place(text[: max(0, error.pos - len(before))])
            raise JsonError(f'line {line}, column {column}: not valid JSON ({error.msg})') from None
        raise JsonError('not valid JSON')


def _space(text: str, start: int) -> int:
    return _SPACE.match(text, start).end()  # type: ignore[union-attr]


def _is_cut(error: json.JSONDecodeError, text: str) -> bool:
    """Whether a text may be at fault only for being cut at its end."""
    return error.pos >= len(text) - _NEAR_END or error.msg.startswith('Unterminated string')
