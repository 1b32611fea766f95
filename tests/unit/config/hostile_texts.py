"""Texts with characters that a place on a value's way gives a meaning."""

HOSTILE = (
    "costs $$5 $(KUBERNETES_SERVICE_HOST)",
    "$(GREETING)$$(HOME) $HOME ${HOME} $",
    "`id`; rm -rf x | cat && true",
    "%n %% %h",
    "\\n \\\\ \\u0041 \\",
    "'single' \"double\"",
    "{{ 7 * 7 }} {% raw %} {# no #}",
    "key: value # comment",
    "- &a *b !!int 1",
    "a=b=c",
    "a\tb",
    " both ends ",
    "grüß 😀 \u202e",
    "one\u2028two\u2029three",
    "null",
    "yes",
    "0x1f",
    "1e3",
    "--help",
    "-x",
    "@file",
    "a,b;c",
    "*?[a]",
    "<b>&amp;</b>",
    'self.metadata.name == "x" || true',
    "?a=b&c=%2e#d",
    "\ufeffmark",
)
"""Each has a meaning in YAML, Jinja, a shell, a container's environment, systemd, JSON, CEL, a URL or an argv."""
CONTROLS = ("a\x00b", "a\x0bb\x0cc\x1cd", "a\rb", "a\x1b[31mb", "a\x7fb", "a\x85b", "a\x9bb", "a\ud800b", "a\uffffb")
"""Neither YAML, nor a file name, nor UTF-8 can hold one of these."""
