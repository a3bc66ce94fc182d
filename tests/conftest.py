"""What every test run shares."""

import torch

# pytest-xdist runs a worker on each core; threads of their own would only get in each other's way.
torch.set_num_threads(1)
