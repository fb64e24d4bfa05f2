#!/bin/sh
# Other tools that benchmarks compare with, each in an environment of its own, for their versions of numpy, TensorFlow and
# PyTorch need not be ours:  sh benchmarks/peers/install.sh FOLDER [PYTHON]
# makes FOLDER/stardist, whose python runs stardist_peer.py and stardist_speed.py, and FOLDER/cellpose for
# cellpose_speed.py. Cellpose 4 has another network, whose weights alone are a gigabyte; 3 is the last with its own.
set -eu
folder=${1:?"give the folder for the environments, outside of the repository"}
python=${2:-python3}
"$python" -m venv "$folder/stardist"
"$folder/stardist/bin/pip" install --quiet "stardist>=0.9.1,<0.10" "tensorflow-cpu>=2.16"
"$folder/stardist/bin/python" -c 'import stardist, tensorflow; print("stardist", stardist.__version__, "tensorflow", tensorflow.__version__)'
"$python" -m venv "$folder/cellpose"
"$folder/cellpose/bin/pip" install --quiet "cellpose>=3.1,<4" "torch>=2.6,<2.14"
"$folder/cellpose/bin/python" -c 'from importlib.metadata import version; print("cellpose", version("cellpose"), "torch", version("torch"))'
