"""`python -m lingqu`, and the console script, is `lingqu`."""

import signal

# While the rest is loaded there is nothing to close: Ctrl-C ends the process at once, without a traceback. `main` then
# obeys it in its own way.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from lingqu.cli import main

if __name__ == "__main__":
    main()
