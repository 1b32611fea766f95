"""The part of a worker's boot that waits for the gate's wall, run by a real shell with a curl that counts."""

import subprocess
from pathlib import Path

from kinky import names, paths
from kinky.kube import resources

SCRIPT = paths.project_root() / "node-image/files/usr/lib/kinky/role-worker"
REFUSALS = 2
"""How often the API says 403 or 404, as it does until the last object of the wall is written."""
CURL = f"""#!/bin/sh
echo "$*" >> "$0.calls"
[ $(wc -l < "$0.calls") -gt {REFUSALS} ]
"""


def test_no_kubelet_starts_before_the_wall_stands(tmp_path: Path) -> None:
    text = SCRIPT.read_text()
    wait = text[text.index("now=gate\n") : text.index("systemctl start")]
    for name, content in (("curl", CURL), ("sleep", "#!/bin/sh\n")):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755)
    shell = f'PATH={tmp_path}:$PATH\npki=/pki name=api.dev.test poll=1\nstage() {{ echo "stage $1"; }}\n{wait}'
    said = subprocess.run(["sh", "-eu"], input=shell, text=True, check=True, capture_output=True).stdout
    assert said == "stage gate\n"
    asked = (tmp_path / "curl.calls").read_text().splitlines()
    assert len(asked) == REFUSALS + 1
    kind = resources.ADMISSION_POLICY_BINDINGS
    assert asked[0].endswith(f"https://api.dev.test:6443{kind.build_path(None, names.GATE)}")
    assert "--cacert /pki/ca.crt --cert /pki/kubelet-client.crt --key /pki/kubelet-client.key" in asked[0]
