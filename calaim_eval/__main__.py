"""`python -m calaim_eval` is `calaim-eval`."""

from calaim_eval.cli import main

if __name__ == "__main__":
    main()
