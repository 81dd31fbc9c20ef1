"""A wrong command line in the voice of every other error; what people know from elsewhere is told by its name here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Final

from bayplan.errors import UsageError

# Verbs of docker compose, docker, Kamal, Kubernetes and the like.
_VERBS: Final[dict[str, str]] = {
    "bayplan up": "deploy redeploy apply setup create stack release update upgrade watch",
    "bayplan up, which builds and pushes; bayplan image push does that alone": "build push",
    "bayplan up --pull; hosts pull by themselves what they start": "pull",
    "bayplan stop": "kill pause",
    "bayplan start": "unpause resume",
    "bayplan down": "rm remove delete destroy undeploy teardown",
    "bayplan ps": "ls list status details app service services get",
    "bayplan stats": "top",
    "bayplan exec SERVICE COMMAND": "ssh shell bash sh console attach",
    "bayplan history": "events audit releases",
    "bayplan config": "validate convert check lint",
    "bayplan image ls": "images",
    "bayplan balancer show": "port proxy gateway",
    "bayplan volume backup and bayplan volume restore": "backup restore",
    "bayplan volume ls": "volumes",
    "hosts: in fleet.yaml, and bayplan doctor": "host hosts node nodes server",
    "registry: in fleet.yaml": "registry login",
    "secrets: in the Compose file": "secret secrets",
    "bayplan --help": "help",
    "bayplan --version": "version",
}
_OPTIONS: Final[dict[str, str]] = {
    "--remove-orphans": "leave it out: what the file does not have any more always goes",
    "--force-recreate": "bayplan restart SERVICE starts its replicas anew",
    "--dry-run": "bayplan plan shows what up would do",
    "--scale": "bayplan scale SERVICE=N, or deploy.replicas in the Compose file",
    "--no-deps": "leave it out: what is as it should be is left alone",
    "--no-build": "leave it out: what has not changed is not built",
    "--env-file": "COMPOSE_ENV_FILES=FILE in the environment",
    "--context": "name the fleet: --fleet FILE, or BAYPLAN_FLEET",
    "--host": "name the fleet: --fleet FILE, or BAYPLAN_FLEET",
    "--project-directory": "name the file: -f DIRECTORY/compose.yaml",
    "--verbose": "leave it out: bayplan plan and bayplan explain tell why",
}
# What pydantic says of a value, in our words.
_VALUES: Final[tuple[tuple[str, str], ...]] = (
    (r"Value error, (.*)", r"\1"),
    (r"Input should be a valid number.*", "must be a number"),
    (r"Input should be a valid integer.*", "must be a whole number"),
    (r"Input should be greater than or equal to (\S+)", r"must be \1 or more"),
    (r"Input should be less than or equal to (\S+)", r"must be \1 or less"),
)


def usage_error(wrong: Any) -> UsageError:
    """What typer found wrong (its UsageError), where on the command line, and what to do."""
    verb = wrong.ctx.command_path if wrong.ctx else "bayplan"
    what, todo = _told(wrong, verb)
    return UsageError(what, where=verb, todo=todo or f"{verb} --help tells more")


def _told(wrong: Any, verb: str) -> tuple[str, str]:
    """What is wrong, and what to do, "" if that is to read the help."""
    said = str(wrong.message)
    parameter = getattr(wrong, "param", None)
    if option := re.match(r"No such option: (\S+)", said):
        return f"there is no option {option[1]}", _option(option[1], wrong.possibilities or (), verb)
    if word := re.match(r"No such command '(.*?)'", said):
        return f"there is no verb {word[1]!r}", _verb(word[1], wrong.ctx)
    if more := re.match(r"Got unexpected extra argument\S* \((.*)\)", said):
        return f"takes no {more[1]!r}", ""
    if parameter is None:
        return said[:1].lower() + said[1:].rstrip("."), ""
    is_option = parameter.param_type_name == "option"
    name = "/".join(parameter.opts) if is_option else parameter.display_name_raw.upper()
    return (f"{name}: {_value(said)}" if said else f"{name} is missing"), ""


def _value(said: str) -> str:
    ours = next((re.sub(theirs, ours, said) for theirs, ours in _VALUES if re.fullmatch(theirs, said)), said)
    return ours.rstrip(".")


def _option(name: str, near: Sequence[str], verb: str) -> str:
    if name in _OPTIONS:
        return _OPTIONS[name]
    return f"did you mean {' or '.join(sorted(near))}? {verb} --help has all of them" if near else ""


def _verb(word: str, ctx: Any) -> str:
    """What that is called here; in a group of verbs, and of a slip, what is written alike."""
    here = next((here for here, words in _VERBS.items() if word in words.split()), "")
    if here and ctx.parent is None:
        return f"here that is {here}"
    near = get_close_matches(word, ctx.command.list_commands(ctx))
    return f"did you mean {' or '.join(near)}? {ctx.command_path} --help has all of them" if near else ""
