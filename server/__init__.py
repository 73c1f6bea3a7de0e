"""The embedded Triton: a real tritonserver, assembled from PyPI packages."""
