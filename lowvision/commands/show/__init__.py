"""What `lowvision show` tells of a name: a thing of a plugin, a recipe, a weights file or an exported package.

names.py finds out which of them it is; things.py, recipes.py and files.py describe each kind; options.py and
networks.py are what they have in common; page.py tells the description to a person.
"""
