"""One file that says what a collection is made of, and a run that does what is out of date.

    loaded = read_run_file(Path("shop.yaml"))
    for step in plan(loaded.file, read_state(loaded)): ...       # what would be done, and why
    for outcome in act(loaded): ...                        # do it

A section of the file is a step, called as the command that does the same.
"""

__all__: list[str] = []
