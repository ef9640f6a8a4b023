"""A file through a plugin by Unmanic's own library test and worker; run by Unmanic's Python.

usage: unmanic_worker.py PLUGIN SOURCE CACHE SETTINGS; prints a line of JSON behind RESULT
"""

import json
import sys
from pathlib import Path
from queue import Queue
from threading import Event
from typing import Any

from unmanic import config
from unmanic.libs.plugins import PluginsHandler
from unmanic.libs.unplugins import PluginExecutor
from unmanic.libs.workers import Worker, WorkerSubprocessMonitor
from unmanic.service import init_db


def work(data: dict[str, Any]) -> tuple[bool, list[int], str]:
    """Whether the command of a plugin ended well, the progress meanwhile, and the log of the task."""
    worker = Worker(0, "worker", 1, Queue(), Queue(), Event())
    worker.worker_log = []
    worker.worker_subprocess_monitor = monitor = WorkerSubprocessMonitor(worker)
    percents, show = [], monitor.set_subprocess_percent
    monitor.set_subprocess_percent = lambda percent: (percents.append(int(percent)), show(percent))
    done = worker._Worker__exec_command_subprocess(data)
    return done, percents, "".join(worker.worker_log)


plugin, source, cache = map(Path, sys.argv[1:4])
database = init_db(config.Config().get_config_path())
facts = json.loads((plugin / "info.json").read_text())
PluginsHandler.write_plugin_data_to_db({**facts, "plugin_id": facts["id"]}, str(plugin))
executor = PluginExecutor()
executor.save_plugin_settings(plugin.name, json.loads(sys.argv[4]))
kinds = executor.get_all_plugin_types_in_plugin(plugin.name)
modifiers = {"{library_path}/{test_file_in}": str(source)}
errors = {kind: executor.test_plugin_runner(plugin.name, kind, test_data_modifiers=modifiers) for kind in kinds}
test = {"library_id": 1, "path": str(source), "issues": [], "priority_score": 0, "shared_info": {}}
test["add_file_to_pending_tasks"] = False
executor.execute_plugin_runner(test, plugin.name, "library_management.file_test")
data = {"library_id": 1, "worker_log": [], "exec_command": [], "current_command": [], "command_progress_parser": None}
data |= {"file_in": str(source), "file_out": str(cache / source.name), "original_file_path": str(source)}
executor.execute_plugin_runner(data, plugin.name, "worker.process")
done, percents, log = work(data)
database.stop()
result = {
    "errors": errors,
    "queued": test["add_file_to_pending_tasks"],
    "done": done,
    "percents": percents,
    "log": log,
}
print("RESULT" + json.dumps(result))
