"""How fast gazecrop is, and how well it crops, beside what one would take instead.

instruments     what measures: perf_analyzer, servers of one's own, timers, photos, tables
croppers        gazecrop and its peers, each as one function with one setting
measurements    what is measured, a module each; each runs alone
report          all of them, their figures as JSON, and the text and pictures made from it
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # of onnxruntime, to its makers
