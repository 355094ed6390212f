"""Certificates as documents: a page to read, and what test reports are made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

_STYLE = """\
.gradserve-certificate { font: 15px/1.5 system-ui, sans-serif; }
.gradserve-certificate .verdict { font-weight: 600; color: #a40000; }
.gradserve-certificate .agrees { color: #16703a; }
.gradserve-certificate .inconclusive, .gradserve-certificate .kink { color: #8a5a00; }
.gradserve-certificate table { border-collapse: collapse; margin: 1em 0; font-variant-numeric: tabular-nums; }
.gradserve-certificate th, .gradserve-certificate td { padding: .25em .9em; text-align: left; }
.gradserve-certificate th { border-bottom: 1px solid #888; }
.gradserve-certificate pre { padding: .8em; border: 1px solid #8884; overflow-x: auto; }"""
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def page(title: str, body: str) -> str:
    """A whole page of HTML around its body."""
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<style>body { margin: 2em auto; max-width: 70em; padding: 0 1em; color-scheme: light; }</style>\n"
        f"</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def section(headline: str, verdict: str, tables: Iterable[str], notes: Iterable[str], code: str) -> str:
    """The part of a page that holds a certificate."""
    told = "".join(f"<li>{escape(note)}</li>" for note in notes)
    again = f"<p>The worst check once more:</p><pre><code>{escape(code)}</code></pre>" if code else ""
    return (
        f'<style>{_STYLE}</style><section class="gradserve-certificate">'
        f'<p class="verdict {escape(verdict)}">{escape(headline)}</p>{"".join(tables)}<ul>{told}</ul>{again}</section>'
    )


def rows(header: Sequence[str], cells: Iterable[Sequence[str]]) -> str:
    """A table."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in cells)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def junit(suite: str, names: Sequence[str], failed: Mapping[str, str], text: str) -> str:
    """A test suite with a case for each name."""
    from xml.etree import ElementTree

    counts = {"tests": str(len(names)), "failures": str(len(failed)), "errors": "0"}
    root = ElementTree.Element("testsuite", {"name": _legal(suite), **counts})
    for name in names:
        case = ElementTree.SubElement(root, "testcase", {"classname": _legal(suite), "name": _legal(name)})
        if name in failed:
            ElementTree.SubElement(case, "failure", {"message": _legal(failed[name])}).text = _legal(text)
    ElementTree.SubElement(root, "system-out").text = _legal(text)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def _legal(text: str) -> str:
    """The text without the characters that XML has no way to write."""
    return _NO_XML.sub("?", text)
