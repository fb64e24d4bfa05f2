#!/usr/bin/env bash
# Every page of figures that rests on the shipped weights, one after the other, on a machine that does nothing else:
#   bash benchmarks/all.sh DATA [PEERS]
# DATA holds the sets; PEERS the environments that peers/install.sh made, for the page of speed.
# About an hour and a half on 2 cores. PYTHON=… chooses the interpreter; what is kept in results/ is not done again.
set -euo pipefail
data=${1:?"give the folder that holds the sets dsb2018, kromp2020 and others"}
peers=${2:-}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-python}

"$python" benchmarks/nuclei.py "$data" --tta
"$python" benchmarks/heads.py "$data/dsb2018" --run src/cellproof/weights/nuclei.safetensors
"$python" benchmarks/calibration.py "$data"
"$python" benchmarks/trust.py "$data"
"$python" benchmarks/views.py "$data"
"$python" benchmarks/enlarge.py "$data/dsb2018"
"$python" benchmarks/limits.py "$data/dsb2018"
"$python" benchmarks/speed.py "$data/dsb2018" \
  ${peers:+--stardist "$peers/stardist/bin/python" --cellpose "$peers/cellpose/bin/python"}
"$python" benchmarks/readme_images.py --data "$data"
