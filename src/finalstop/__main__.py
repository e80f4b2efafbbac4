"""`python -m finalstop`: the command line, where its script is not on the PATH."""

from finalstop.cli import main

if __name__ == "__main__":
    main()
