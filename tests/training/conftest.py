"""Training is tested where PyTorch is there, on one thread: two fight for the cores with whatever else runs."""

import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)
