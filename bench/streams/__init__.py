"""How many live streams one worker carries, against FunASR's and sherpa-onnx's way of serving the same weights.

`python -m bench.streams` makes model directories of real size with random weights (`model_dirs`), starts one server after
another (`server`), drives N streams in real time from a process of their own (`clients`), and looks for the largest N that
is answered in time (`search`). What counts as in time is `measures`; what is compared is `rows`.
"""
