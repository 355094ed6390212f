"""A Ray node without what looks at it: no dashboard, monitor, log reader or agent.

Ray's two agents serve jobs, metrics and environments of packages, of which nothing here asks. They import half of Ray,
which takes most of the time in which a node starts; on a busy machine more than the 15 s that a node waits for them.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from ray import _raylet
from ray._private import services
from ray._private.node import Node
from ray._private.parameter import RayParams

_core: Any = _raylet
"""Ray's part in C++, which carries no annotations."""
_AGENTS = ("--dashboard_agent_command", "--runtime_env_agent_command")
_IDLE = subprocess.list2cmdline([sys.executable, "-I", "-S", str(Path(__file__).with_name("idle.py"))])
_NOBODY = -1
"""The port of an agent that is not there, as Ray's own agents write it down for parts of theirs."""
_start_process = services.start_ray_process


class BareNode(Node):
    """The processes of one node: its raylet and, if it is the head, the control process."""

    def __init__(self, *, head: bool, **options: Any) -> None:
        """Starts them, with these parameters of Ray's; they end with this process, or with `kill_all_processes`.

        Raises:
            Exception: they did not start, as Ray says it.
        """
        services.start_ray_process = _start_with_idle_agents
        parameters = RayParams(include_dashboard=False, include_log_monitor="", no_monitor=True, **options)
        super().__init__(parameters, head=head, shutdown_at_exit=False, spawn_reaper=True)

    def start_api_server(self, **_: Any) -> None:
        """Nothing: there is no dashboard."""

    def start_raylet(self, *arguments: Any, **options: Any) -> None:
        """Starts the raylet, which reads where its agents are before it takes part."""
        names = (
            _core.METRICS_AGENT_PORT_NAME,
            _core.METRICS_EXPORT_PORT_NAME,
            _core.DASHBOARD_AGENT_LISTEN_PORT_NAME,
            _core.RUNTIME_ENV_AGENT_PORT_NAME,
        )
        for name in names:
            _core.persist_port(self._session_dir, self._node_id, name, _NOBODY)
        super().start_raylet(*arguments, **options)


def _start_with_idle_agents(command: list[str], *more: Any, **options: Any) -> Any:
    """Starts a process of Ray's; if it is a raylet, which refuses to be without agents, with some that do nothing."""
    names = [word.partition("=")[0] for word in command]
    idle = [f"{name}={_IDLE}" if name in _AGENTS else word for name, word in zip(names, command, strict=True)]
    return _start_process(idle, *more, **options)
