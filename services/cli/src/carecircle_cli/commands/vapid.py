"""`carecircle vapid`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from carecircle_cli.console import messages
from carecircle_cli.environment import DEFAULT_DATA_DIR, DataDirOption, adopt

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The key pair by which push services know this installation."
)


@app.command()
def generate(
    out: Annotated[Path, typer.Option(help="The file to write; never replaced.")] = Path("vapid.pem"),
) -> None:
    """Make a private key (PEM, readable by its owner only) and print the public one."""
    from carecircle.runtime import vapid
    from carecircle_cli.errors import CommandFailed

    try:
        public = vapid.generate(out)
    except FileExistsError:
        raise CommandFailed(
            f"{out} is there already. Browsers that subscribed with its key could not be reached with another one; "
            "move it away yourself if that is what you want."
        ) from None
    except OSError as error:
        raise CommandFailed(f"{out} cannot be written: {error.strerror}") from error
    typer.echo(public)
    messages().print(f"Set CARECIRCLE_VAPID_PRIVATE_KEY_FILE={out} for the API and the push worker.", soft_wrap=True)


@app.command()
def show(
    file: Annotated[
        Path | None, typer.Argument(help="The private key.  [default: CARECIRCLE_VAPID_PRIVATE_KEY_FILE]")
    ] = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Print the public key, as browsers want it in `applicationServerKey`."""
    import os

    from carecircle.runtime import vapid
    from carecircle_cli.errors import CommandFailed

    adopt(data_dir)
    named = os.environ.get("CARECIRCLE_VAPID_PRIVATE_KEY_FILE")
    path = file or (Path(named) if named else None)
    if path is None:
        raise CommandFailed("name the key's file, or set CARECIRCLE_VAPID_PRIVATE_KEY_FILE")
    typer.echo(vapid.public_key(path))
