"""From the exported ONNX to a TensorRT engine, checked on the GPU that will serve it.

    python -m export.tensorrt                  # model.onnx → model.plan, in float16
    python -m export.tensorrt --check          # will the server here load model.plan?

A plan loads only in the TensorRT that built it and on GPUs like the one it was built on. So
build it where it will be served, inside that tritonserver image, against its libraries: the
extra `tensorrt` brings all but TensorRT's Python bindings, whose version has to be that of
the image. Without them the command says what to install:

    pip install '.[tensorrt]'
    python -m export.tensorrt
    pip install 'tensorrt-cu12-bindings==11.4.0.*'       # as it was told
    python -m export.tensorrt
    tritonserver --model-repository=model_repository --model-config-name=gpu

The modules: `machine` finds GPU and TensorRT, `plan` describes a plan and judges whether it
fits them (neither needs a package), `build` makes a plan, `engine` runs it.
"""
