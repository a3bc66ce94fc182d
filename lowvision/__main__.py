"""`python -m lowvision`: the command line."""

from lowvision.cli import main

main()
