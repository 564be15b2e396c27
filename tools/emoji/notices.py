"""The notices that a data set built from this art must carry."""

from collections.abc import Sequence

_MIT = """\
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""

_FLUENT = """\
Fluent Emoji, https://github.com/microsoft/fluentui-emoji. MIT License.

Copyright (c) Microsoft Corporation.
"""

_NOTO = """\
Noto Emoji, https://github.com/googlefonts/noto-emoji. Copyright Google Inc.

Licensed under the Apache License, Version 2.0; you may obtain a copy of the licence at
https://www.apache.org/licenses/LICENSE-2.0. It is distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF
ANY KIND, either express or implied.
"""

_TWEMOJI = """\
Twemoji, https://github.com/jdecked/twemoji. Graphics copyright Twitter, Inc and other contributors.

Licensed under CC-BY 4.0, https://creativecommons.org/licenses/by/4.0/.
"""

_WORDS = """\
emojibase-data, https://emojibase.dev. MIT License. Copyright (c) 2017-2019 Miles Johnson

emojilib, https://github.com/muan/emojilib. MIT License. Copyright (c) 2014 Mu-An Chiou
"""

_ART = {"3d": _FLUENT, "flat": _FLUENT, "noto": _NOTO, "twemoji": _TWEMOJI}


def notices(styles: Sequence[str]) -> str:
    """The text of LICENSES.md for a data set in these styles."""
    art = "\n".join(dict.fromkeys(_ART[style] for style in styles))
    return (
        "# Licences\n\n"
        "Changes made to the art: it was drawn over white, resized, and saved as PNG. "
        "The captions were derived from the keywords named below.\n\n"
        f"## Art\n\n{art}\n## Words\n\n{_WORDS}\n## The MIT License\n\n{_MIT}"
    )
