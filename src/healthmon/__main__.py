"""`python -m healthmon` is the same as `healthmon`."""

from healthmon.cli import main

main()
