"""Readers for weights files of the ClassSR authors' code (Kong et al., CVPR 2021): single networks and containers.

Names and shapes are facts of the files; the networks are independent implementations.
"""
