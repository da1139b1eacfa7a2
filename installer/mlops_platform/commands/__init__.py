"""One module per command: parse, call, render.

A command imports at use what it needs: `--help`, completion and `kubeconfig` load nothing else.
"""
