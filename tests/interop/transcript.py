"""How the Python programs write down what happens, without what no two runs have in common."""

import datetime


def heading(title):
    print(f"== {title}", flush=True)


def say(*what):
    print(*what, flush=True)


def plain(value):
    if isinstance(value, (datetime.datetime, datetime.date)):
        return "TIME"
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict):
        return {key: plain(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value


def headers(table):
    """A line for each, deaths one by one."""
    for key, value in sorted((table or {}).items()):
        if key == "x-death":
            for death in value:
                for field, what in sorted(death.items()):
                    say("  death:", field, "TIME" if field == "time" else plain(what))
        else:
            say("  header:", key, repr(plain(value)))
