"""What the ClassSR authors' code writes (Kong et al., CVPR 2021): its networks, one file each, and its containers.

The names and shapes are facts of the files; the networks are ours.
"""
