"""`python -m carecircle_dispatcher`: run the dispatcher until SIGTERM."""

from carecircle.runtime.run import start
from carecircle_dispatcher.service import serve
from carecircle_dispatcher.settings import DispatcherSettings


def main() -> None:
    start("dispatcher", DispatcherSettings, serve)


if __name__ == "__main__":
    main()
