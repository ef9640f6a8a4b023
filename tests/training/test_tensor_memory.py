"""Training keeps the memory of its tensors: a step does not fault in the pages of the step before."""

import subprocess
import sys

FAULTS = """
import resource
import torch
from vidsr.training.malloc import keep_freed_memory

def step():
    tensors = [torch.ones(10, 2**20) for _ in range(3)]  # 40 MiB each
    return sum(each.sum().item() for each in tensors)

def faults():
    for _ in range(3):  # the first steps divide the memory
        step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults())
keep_freed_memory()
print(faults())
"""


def test_a_step_uses_the_memory_of_the_step_before() -> None:
    run = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    returned, kept = map(int, run.stdout.split())
    assert 2 * kept < returned  # page faults; 120 MiB have 30,720 pages, of which a tensor may be new now and then
