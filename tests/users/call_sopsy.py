"""What sopsy offers, with the `sops` of the PATH."""

from pathlib import Path

from sopsy import Sops, SopsyInOutType
from sopsy.errors import SopsyCommandFailedError
from sopsy.sopsy import SopsyInputSource

plain = {"user": "app", "port": 5432, "hosts": ["a", "b"]}
text = "user: app\nport: 5432\nhosts:\n    - a\n    - b\n"
file = Path("app.yaml")
file.write_text(text)

assert Sops(file, config="config.yaml").encrypt()["port"].startswith("ENC[")
Sops(file, config="config.yaml", in_place=True).encrypt(to_dict=False)
assert "ENC[" in file.read_text()

assert Sops(file).decrypt() == plain
assert Sops(file).decrypt(to_dict=False).decode() == text
assert Sops(file, output_type=SopsyInOutType.JSON).decrypt() == plain
assert Sops(file, extract='["hosts"][1]').decrypt(to_dict=False) == b"b"
assert Sops(file).get("user") == "app"
assert Sops(file).get("none", default="default") == "default"

from_stdin = {"input_source": SopsyInputSource.STDIN, "input_type": "yaml"}
assert Sops(file.read_bytes(), **from_stdin).decrypt() == plain
sealed = Sops(text.encode(), config="config.yaml", **from_stdin).encrypt(to_dict=False)
assert Sops(sealed, **from_stdin).decrypt() == plain

assert Sops(file).rotate()["port"] != Sops(file).rotate()["port"]
Sops(file, in_place=True).rotate(to_dict=False)
assert Sops(file).decrypt() == plain

Sops(file, output="plain.yaml").decrypt(to_dict=False)
assert Path("plain.yaml").read_text() == text
try:
    Sops("plain.yaml").decrypt()
except SopsyCommandFailedError as error:
    assert "sops metadata not found" in str(error), error
else:
    raise AssertionError("a plain file was decrypted")
