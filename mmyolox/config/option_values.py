"""The values of options as they are typed on a command line."""

from typing import Any

_DEEPEST = 20


def parse_option_value(text: str) -> Any:
    """Reads the value of one option by the rules of MMEngine's ``DictAction``, whose import takes its time.

    ``1``, ``0.5``, ``true`` and ``None`` become what they look like; ``a,b`` and ``[a,b]`` a list;
    ``(a,b)`` a tuple; brackets nest; quotes around a value are dropped. There are two differences: spaces
    inside a value stay (MMEngine removes them, so that a path or a class name with a space is lost), and
    ``(1,2),(3,4)`` is a list of tuples (MMEngine recurses without end).

    Args:
        text: What stands after ``KEY=``.

    Returns:
        An int, float, bool, None, str, or a list or tuple of these.

    Raises:
        ValueError: The brackets do not match, or are nested too deeply.
    """
    text = text.strip(' \'"')
    parts = _split_at_commas(text)
    if len(parts) == 1 and text.startswith('(') and text.endswith(')'):
        return tuple(_parse_elements(text[1:-1]))
    if len(parts) == 1 and text.startswith('[') and text.endswith(']'):
        return _parse_elements(text[1:-1])
    if len(parts) > 1:
        return _parse_elements(text)
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return {'true': True, 'false': False}.get(text.lower(), None if text == 'None' else text)


def _parse_elements(text: str) -> list[Any]:
    parts = _split_at_commas(text)
    if not parts[-1].strip():  # `a,` and an empty pair of brackets
        parts.pop()
    return [parse_option_value(part) for part in parts]


def _split_at_commas(text: str) -> list[str]:
    """Splits at the commas outside all brackets."""
    parts = ['']
    depth = 0
    for char in text:
        depth += (char in '([') - (char in ')]')
        if depth > _DEEPEST:
            raise ValueError(f'brackets are nested more than {_DEEPEST} deep')
        if depth < 0:
            break
        if char == ',' and depth == 0:
            parts.append('')
        else:
            parts[-1] += char
    if depth:
        raise ValueError(f'the brackets in {text!r} do not match')
    return parts
