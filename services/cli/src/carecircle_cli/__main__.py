"""`python -m carecircle_cli`: the same as the `carecircle` command."""

from carecircle_cli.main import app

if __name__ == "__main__":
    app(prog_name="carecircle")
