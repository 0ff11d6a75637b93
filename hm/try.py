import sys, subprocess, json, shutil, pathlib
sys.path.insert(0, "/tmp/w/h-media")
from tests.scripted_daemon import ScriptedDaemon
from tests.scripted_worker import NOT_MEDIA, recording
root = pathlib.Path("/tmp/w/me/hm/world"); shutil.rmtree(root, ignore_errors=True); root.mkdir()
d = ScriptedDaemon(root, {"output": {"result": "hidden", "formats": ["srt"], "subtitle_language": True}, "processing": {"failed": "leave", "growth_wait_seconds": 0}, "watch": {"recursive": True, "rescan_seconds": 1.0, "settle_seconds": .05, "stable_seconds": .2}})
(d.shared/"F").mkdir()
(d.shared/"F/bad.mkv").write_bytes(NOT_MEDIA*40)
(d.shared/"F/good.mkv").write_bytes(recording(3))
def cmd(*a):
    p = subprocess.run(d.command(*a), env=d.environment(), capture_output=True, text=True, timeout=120); print(a, p.returncode, p.stdout.strip(), p.stderr.strip()[-300:])
cmd("status")
with d: d.wait_for_log("left where it is", 60); d.wait_for_log("of audio in", 60)
cmd("status"); cmd("retry", str(d.shared/"F/bad.mkv")); cmd("retry", "F/good.mkv"); cmd("status"); 
print(sorted(str(p.relative_to(d.shared)) for p in d.shared.rglob("*") if p.is_file()))
with d: d.wait_for_log("left where it is", 60)
print(d.log.count("attempt 1 failed")); cmd("queue"); cmd("doctor"); cmd("export", "F/good.mkv", "--format", "txt"); cmd("submit", str(d.shared/"F/bad.mkv"))
with d: d.wait_for_log("left where it is", 60)
cmd("delete", "--yes", "F/bad.mkv"); cmd("delete", "--yes", "F/good.mkv")
print(sorted(str(p.relative_to(d.shared)) for p in d.shared.rglob("*")))
