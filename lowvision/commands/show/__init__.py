"""Implement `lowvision show`: describe a component, a recipe, a weights file or an exported package.

names.py resolves the name; descriptions.py and recipes.py build the documents; options.py and networks.py build parts
of them; request.py holds the arguments; page.py formats the documents as text.
"""
