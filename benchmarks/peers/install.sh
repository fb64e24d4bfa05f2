#!/bin/sh
# Other tools that benchmarks compare with, each in an environment of its own, for their versions of numpy and TensorFlow
# need not be ours:  sh benchmarks/peers/install.sh FOLDER [PYTHON]
# makes FOLDER/stardist, whose python runs benchmarks/peers/stardist_peer.py.
set -eu
folder=${1:?"give the folder for the environments, outside of the repository"}
python=${2:-python3}
"$python" -m venv "$folder/stardist"
"$folder/stardist/bin/pip" install --quiet "stardist>=0.9.1,<0.10" "tensorflow-cpu>=2.16"
"$folder/stardist/bin/python" -c 'import stardist, tensorflow; print("stardist", stardist.__version__, "tensorflow", tensorflow.__version__)'
