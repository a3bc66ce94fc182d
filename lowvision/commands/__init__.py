"""Do what each command of the command line does; the words are parsed in `lowvision.cli`."""
