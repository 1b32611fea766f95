# Sourced: sets $python to the interpreter that has the pulumi package: KINKY_PYTHON if set, the checkout's
# virtual environment, else the active one, else python3.
python=${KINKY_PYTHON:-$here/../../.venv/bin/python}
[ -x "$python" ] || python=${VIRTUAL_ENV:+$VIRTUAL_ENV/bin/python}
[ -x "$python" ] || python=python3
