"""PyYAML's parser in C, or the same in Python where PyYAML came without libyaml: slower, and it reads the same."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from yaml._yaml import CParser as Parser

    __all__ = ["Parser"]
else:
    try:
        from yaml._yaml import CParser as Parser
    except ImportError:
        from yaml import composer, parser, reader, scanner

        class Parser(reader.Reader, scanner.Scanner, parser.Parser, composer.Composer):
            """Text to nodes; wants a resolver beside it."""

            def __init__(self, stream: IO[bytes]) -> None:
                reader.Reader.__init__(self, stream)
                scanner.Scanner.__init__(self)
                parser.Parser.__init__(self)
                composer.Composer.__init__(self)
