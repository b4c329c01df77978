"""Effects as what happened less what was to be expected from months before exposure."""
