"""A Ray node as a process: `python -m tests.system.bare OPTIONS`, with Ray's parameters as JSON.

It says when it is there, and ends with its standard input or by a signal.
"""

import json
import sys

from gradserve.pools.ray.bare_node import BareNode

if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    node = BareNode(head="gcs_address" not in options, object_store_memory=100 << 20, **options)
    print("there", flush=True)
    sys.stdin.read()
    node.kill_all_processes(check_alive=False, allow_graceful=True)
