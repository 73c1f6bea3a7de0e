#!/usr/bin/env bash
# Run the tests, all or those named, as on quite another machine: one core without AVX-512, which
# serves the network in floats; a German locale in Latin-1, Nepal's time, a folder with a space.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
copy="$folder/a copy"
mkdir "$copy"
git ls-files -z --cached --others --exclude-standard | tar --null -T - -c | tar -x -C "$copy"
ln -s "$PWD/.venv" "$copy/.venv"
sed -i 's/model\.int8\.onnx/model.onnx/' "$copy/model_repository/student/config.pbtxt"
localedef --inputfile=de_DE --charmap=ISO-8859-1 "$folder/de_DE.ISO-8859-1"

cd "$copy"
LOCPATH="$folder" LC_ALL=de_DE.ISO-8859-1 TZ=Asia/Kathmandu PYTHONPATH="$copy/client" \
    ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 taskset -c 0 .venv/bin/python -m pytest "$@"
