"""Benchmark of a run, measured on the pipeline that upscales."""
