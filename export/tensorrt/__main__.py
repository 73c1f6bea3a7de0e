"""The command line; see the package's description."""

import argparse
import sys
from pathlib import Path

from export.tensorrt.machine import EngineError, gpus, load_tensorrt, served_version
from export.tensorrt.plan import PLAN, TOLERANCES, PlanInfo, misfits, outdated


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m export.tensorrt", description="the exported student as a TensorRT engine"
    )
    parser.add_argument("--check", action="store_true", help="only say whether --out fits here")
    parser.add_argument(
        "--out", type=Path, default=PLAN, metavar="FILE", help="the plan, beside model.onnx"
    )
    parser.add_argument("--precision", choices=tuple(TOLERANCES), default="fp16")
    parser.add_argument(
        "--hardware-compatible", action="store_true", help="for all GPUs from Ampere on; slower"
    )
    args = parser.parse_args()
    try:
        if args.check:
            check(args.out)
        else:
            export(args.out, args.precision, args.hardware_compatible)
    except EngineError as error:
        sys.exit(f"error: {error}")
    except ModuleNotFoundError as error:
        sys.exit(f"error: {error.name} is not installed: pip install '.[tensorrt]'")


def check(plan: Path) -> None:
    """
    Raises:
        EngineError: a Triton here would not load the plan, or it is out of date.
    """
    info, offered, served = PlanInfo.read(plan), gpus(), served_version()
    found = misfits(info, served, offered) + outdated(info, plan)
    if found:
        raise EngineError("\n  ".join([f"{plan} does not fit:", *found]))
    names = ", ".join(sorted({gpu.name for gpu in offered}))
    print(f"{plan} fits TensorRT {served} on {names}: {info.precision}, to {info.max_batch} photos")


def export(plan: Path, precision: str, hardware_compatible: bool) -> None:
    """
    Raises:
        EngineError: something is missing here, or TensorRT fails; the message says what.
    """
    model = plan.with_name("model.onnx")
    if not model.is_file():
        raise EngineError(f"{model} does not exist: make it with python -m export.onnx")
    gpu = gpus()[0]
    load_tensorrt()

    from export.tensorrt.make import make  # only now: it needs all of that

    make(model, plan, gpu, precision, hardware_compatible)


if __name__ == "__main__":
    main()
