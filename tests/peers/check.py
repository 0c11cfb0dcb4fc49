#!/usr/bin/env python3
"""Checks encrypted files without any code of encfile or SOPS.

    check.py verify [--age PROGRAM] [--identity FILE]... FILE...
    check.py same   [--age PROGRAM] --type yaml|json|toml|dotenv|ini|binary LEFT RIGHT...

`verify` parses each file with its own small readers, unwraps the data key with the `age` program
(key groups are combined here), decrypts every value and comment, recomputes the MAC and compares.
`same` says whether the two plain files of each pair hold the same data: the same keys in the same
order with values of the same type. No message shows a value.

Exit status: 0 all right, 1 something is wrong, 2 usage or a file that cannot be read.
Needs `cryptography`, for YAML `pyyaml`, for TOML Python 3.11.
"""

import argparse
import base64
import datetime
import hashlib
import json
import re
import subprocess
import sys
from decimal import Decimal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SEALED = re.compile(
    r"ENC\[AES256_GCM,data:([A-Za-z0-9+/=]*),iv:([A-Za-z0-9+/=]+),"
    r"tag:([A-Za-z0-9+/=]+),type:([a-z]+)\]"
)
SELECTORS = (
    "unencrypted_suffix",
    "encrypted_suffix",
    "unencrypted_regex",
    "encrypted_regex",
    "unencrypted_comment_regex",
    "encrypted_comment_regex",
)


class Bad(Exception):
    """Something that is wrong with a file; the text has no value of it."""


# A tree: a Map is a list of (key, tree), a list is a Python list, the rest are leaves.
class Map(list):
    pass


class Comment(str):
    pass


class Time(str):
    pass


# -- numbers and leaves as bytes ------------------------------------------------------------------


def positional(number):
    """The shortest digits that give the same double, without exponent or needless zeros."""
    if number != number:
        return "NaN"
    if number in (float("inf"), float("-inf")):
        return "+Inf" if number > 0 else "-Inf"
    text = format(Decimal(repr(number)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def leaf_bytes(leaf):
    """What of a leaf is encrypted and enters the MAC."""
    if leaf is None:
        return b""
    if isinstance(leaf, bool):
        return b"True" if leaf else b"False"
    if isinstance(leaf, int):
        return b"%d" % leaf
    if isinstance(leaf, float):
        return positional(leaf).encode()
    return leaf.encode("utf-8", "surrogateescape")


# -- readers --------------------------------------------------------------------------------------


def read_json(text):
    def whole(digits):
        number = int(digits)
        return number if -(2**63) <= number < 2**63 else float(digits)

    return [json.loads(text, object_pairs_hook=Map, parse_int=whole)]


def read_dotenv(text):
    entries = Map()
    for line in text.split("\n"):
        if line.startswith("#"):
            entries.append((Comment(line[1:]), None))
        elif line:
            key, equals, value = line.partition("=")
            if not equals:
                raise Bad("a line without `=`")
            entries.append((key, value.replace("\\n", "\n")))
    return [entries]


def read_ini(text):
    """Sections as maps, each key followed by its comment, as SOPS has them."""
    lines = iter(text.removeprefix("\ufeff").split("\n"))
    section = Map()
    sections = Map([("DEFAULT", section)])
    waiting = []

    def add_comment():
        if waiting:
            joined = "\n".join(waiting).strip()
            # Of an encrypted comment SOPS reads the first line only.
            joined = joined.lstrip(joined[0] + " ")
            section.append((Comment(joined.split("\n")[0] if SEALED.match(joined) else joined), None))
            waiting.clear()

    for line in lines:
        line = line.lstrip()
        if not line:
            continue
        if line[0] in "#;":
            waiting.append(line)
        elif line[0] == "[":
            name, bracket, behind = line[1:].rpartition("]")
            if not name:
                raise Bad("a line that is no section")
            section = Map()
            sections.append((name, section))
            if behind.strip():
                waiting.append(behind.strip())
            add_comment()
        else:
            quoted = re.match(r'("""|["`])(.*?)\1\s*[=:]', line)
            key, value = (quoted[2], line[quoted.end() :]) if quoted else ("", "")
            if not quoted:
                found = re.match(r"([^=:]+)[=:](.*)", line, re.DOTALL)
                if not found:
                    raise Bad("a line without `=`")
                key, value = found[1], found[2]
            section.append((key.strip(), ini_value(value.lstrip(), lines, waiting)))
            add_comment()
    return [sections]


def ini_value(value, lines, waiting):
    for quote in ('"""', "`"):
        if value.startswith(quote):
            body = value[len(quote) :]
            if quote in body:
                return body[: body.rindex(quote)]
            for line in lines:
                if quote in line:
                    end = line.rindex(quote)
                    waiting.extend(re.findall("[#;].*", line[end:])[:1])
                    return body + "\n" + line[:end]
                body += "\n" + line
            raise Bad("an open quote")
    value = value.rstrip()
    if value.endswith("\\"):
        joined = value[:-1]
        for line in lines:
            line = line.strip()
            joined += line.removesuffix("\\")
            if not line.endswith("\\"):
                break
        return joined
    comment = re.search("[#;]", value)
    if comment:
        waiting.append(value[comment.start() :])
        value = value[: comment.start()].rstrip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" and value[0] not in value[1:-1]:
        value = value[1:-1]
    return value


PLAIN_TIME = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{1,2}-[0-9]{1,2})"
    r"([Tt](?P<clock>[0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2})([.,](?P<part>[0-9]+))?(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})"
    r"|[ ](?P<local>[0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2})([.,](?P<rest>[0-9]+))?)?"
)
PLAIN_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
PLAIN_INTEGER = re.compile(
    r"(?P<sign>[-+]?)(0[xX](?P<x>[0-9a-fA-F]+)|0[oO](?P<o>[0-7]+)|0[bB](?P<b>[01]+)"
    r"|0(?P<old>[0-7]+)|(?P<d>0|[1-9][0-9]*))$"
)
PLAIN_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}


def plain_time(text):
    """A time in the spelling that is encrypted and enters the MAC, or None."""
    match = PLAIN_TIME.fullmatch(text)
    if not match:
        return None
    year, month, day = (int(part) for part in match["date"].split("-"))
    clock = match["clock"] or match["local"] or "0:0:0"
    hour, minute, second = (int(part) for part in clock.split(":"))
    try:
        # Python knows no year 0, which is a leap year as 2000 is.
        datetime.datetime(year or 2000, month, day, hour, minute, second)
    except ValueError:
        return None
    fraction = (match["part"] or match["rest"] or "")[:9].rstrip("0")
    zone = match["zone"] or "Z"
    return Time(
        "%04d-%02d-%02dT%02d:%02d:%02d" % (year, month, day, hour, minute, second)
        + ("." + fraction if fraction else "")
        + ("Z" if zone[1:] == "00:00" else zone)
    )


def plain_scalar(text):
    """A plain scalar without tag, as the YAML library of SOPS resolves it."""
    if text in PLAIN_WORDS:
        return PLAIN_WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    time = plain_time(text)
    if time is not None:
        return time
    digits = text.replace("_", "")
    if match := PLAIN_INTEGER.match(digits):
        for group, base in (("x", 16), ("o", 8), ("b", 2), ("old", 8), ("d", 10)):
            if match[group] is not None:
                number = int(match["sign"] + match[group], base)
                return number if -(2**63) <= number < 2**63 else float(number)
    if PLAIN_FLOAT.match(digits):
        number = float(digits)
        return text if number in (float("inf"), float("-inf")) else number
    return text


def read_yaml(text):
    import yaml

    loader = yaml.BaseLoader(text)
    trees = []
    try:
        while loader.check_node():
            trees.append(yaml_tree(yaml, loader.get_node()))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise Bad("not YAML at line %s" % (mark.line + 1 if mark else "?")) from None
    return trees


def yaml_tree(yaml, node):
    if isinstance(node, yaml.MappingNode):
        return Map((key.value, yaml_tree(yaml, value)) for key, value in node.value)
    if isinstance(node, yaml.SequenceNode):
        return [yaml_tree(yaml, item) for item in node.value]
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if kind in ("int", "float", "bool", "null", "timestamp", "!") or (kind == "str" and node.style is None):
        leaf = plain_scalar(node.value)
        return float(leaf) if kind == "float" and isinstance(leaf, int) else leaf
    if kind == "binary":
        return base64.b64decode(node.value).decode("utf-8", "surrogateescape")
    return node.value


def read_toml(text):
    import tomllib

    text = text.removeprefix("\ufeff")
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise Bad("not TOML") from None
    # To rops a table is where its header is, even if one of its sub-tables has been there before.
    order, defined, moved = {}, set(), set()
    for match in re.finditer(r"^[ \t]*\[\[?([\w.-]+)\]", text, re.MULTILINE):
        path = tuple(match[1].split("."))
        for length in range(1, len(path) + 1):
            names, name = order.setdefault(path[: length - 1], []), path[length - 1]
            if name in names and length == len(path) and path not in defined:
                names.remove(name)
                moved.add(path[:-1])
            if name not in names:
                names.append(name)
        defined.add(path)
    for path in moved:
        table = data
        for step in path:
            table = table[step]
        table.update([(name, table.pop(name)) for name in order[path]])
    return [toml_tree(data)]


def toml_tree(data):
    if isinstance(data, dict):
        return Map((key, toml_tree(value)) for key, value in data.items())
    if isinstance(data, list):
        return [toml_tree(item) for item in data]
    if hasattr(data, "isoformat"):
        # Dates are texts, in the spelling of rops.
        text = data.isoformat().replace("+00:00", "Z")
        return re.sub(r"(\.[0-9]*?)0+(?=$|[Z+-])", r"\1", text)
    return data


READERS = {
    "json": read_json,
    "toml": read_toml,
    "binary": read_json,
    "dotenv": read_dotenv,
    "ini": read_ini,
    "yaml": read_yaml,
}


def type_by_name(path):
    endings = (
        (".yaml", "yaml"),
        (".yml", "yaml"),
        (".json", "json"),
        (".toml", "toml"),
        (".env", "dotenv"),
        (".ini", "ini"),
    )
    for ending, name in endings:
        if path.endswith(ending):
            return name
    return "binary"


def read_text(path):
    with open(path, "rb") as file:
        return file.read().decode("utf-8", "surrogateescape")


# -- metadata -------------------------------------------------------------------------------------


def plain_data(tree):
    if isinstance(tree, Map):
        return {key: plain_data(value) for key, value in tree if not isinstance(key, Comment)}
    if isinstance(tree, list):
        return [plain_data(item) for item in tree]
    return tree


def unflatten(pairs):
    """Nested metadata from `age__list_0__map_enc` and the like."""
    root = {}
    for key, value in pairs:
        steps = [step for step in re.split(r"__(map|list)_", "__map_" + key) if step]
        here = root
        for position in range(1, len(steps), 2):
            step = steps[position] if steps[position - 1] == "map" else int(steps[position])
            if position + 1 == len(steps):
                here[step] = value
            else:
                here = here.setdefault(step, {})
    return listed(root)


def listed(data):
    if not isinstance(data, dict):
        return data
    data = {key: listed(value) for key, value in data.items()}
    if data and all(isinstance(key, int) for key in data):
        return [data[key] for key in sorted(data)]
    return data


def take_metadata(kind, trees):
    """Removes the metadata from all documents and returns that of the first."""
    metadata = None
    for number, tree in enumerate(trees):
        if not isinstance(tree, Map):
            raise Bad("a document that is not a map")
        if kind == "dotenv":
            flat = [(k[5:], v) for k, v in tree if not isinstance(k, Comment) and k.startswith("sops_")]
            trees[number] = Map(
                (k, v) for k, v in tree if isinstance(k, Comment) or not k.startswith("sops_")
            )
            found = unflatten(flat) if flat else None
        else:
            blocks = [value for key, value in tree if key == "sops" and not isinstance(key, Comment)]
            if len(blocks) > 1:
                raise Bad("two `sops` entries")
            trees[number] = Map((k, v) for k, v in tree if isinstance(k, Comment) or k != "sops")
            found = plain_data(blocks[0]) if blocks else None
            if kind == "ini" and found:
                found = unflatten((key, value.replace("\\n", "\n")) for key, value in found.items())
        metadata = found if number == 0 else metadata
    if not isinstance(metadata, dict):
        raise Bad("no metadata")
    return metadata


# -- data key -------------------------------------------------------------------------------------


KNOWN_KEYS = {}


def unwrap(group, options):
    for entry in group.get("age") or []:
        command = [options.age, "--decrypt"]
        for identity in options.identity:
            command += ["--identity", identity]
        done = subprocess.run(command, input=entry["enc"].encode(), capture_output=True, check=False)
        if done.returncode == 0:
            return done.stdout
    return None


def multiply(left, right):
    product = 0
    while right:
        if right & 1:
            product ^= left
        left <<= 1
        if left & 0x100:
            left ^= 0x11B
        right >>= 1
    return product


def inverse(number):
    power = 1
    for _ in range(254):
        power = multiply(power, number)
    return power


def combine(shares):
    """Shamir's scheme over GF(256): the polynomials at 0; the last byte of a share is its x."""
    secret = bytearray()
    for position in range(len(shares[0]) - 1):
        total = 0
        for share in shares:
            term = share[position]
            for other in shares:
                if other is not share:
                    term = multiply(term, multiply(other[-1], inverse(other[-1] ^ share[-1])))
            total ^= term
        secret.append(total)
    return bytes(secret)


def data_key(metadata, options):
    """The data key; that of files with the same entry is unwrapped once."""
    entry = json.dumps([metadata.get(name) for name in ("age", "key_groups", "shamir_threshold")])
    if entry not in KNOWN_KEYS:
        KNOWN_KEYS[entry] = recovered_key(metadata, options)
    return KNOWN_KEYS[entry]


def recovered_key(metadata, options):
    if metadata.get("age"):
        groups = [metadata]
    else:
        groups = metadata.get("key_groups") or []
    shares = [share for share in (unwrap(group, options) for group in groups) if share]
    needed = 1 if len(groups) == 1 else max(2, int(metadata.get("shamir_threshold") or 0))
    if len(shares) < needed:
        raise Bad("%d of %d key groups opened, %d needed" % (len(shares), len(groups), needed))
    key = shares[0] if len(groups) == 1 else combine(shares)
    if len(key) != 32:
        raise Bad("the data key has %d bytes" % len(key))
    return key


# -- values ---------------------------------------------------------------------------------------


def unseal(text, key, context):
    # A YAML block scalar has a line break behind it; SOPS reads that too.
    match = SEALED.fullmatch(text.rstrip("\n"))
    if not match:
        raise Bad("not a ciphertext")
    data, iv, tag = (base64.b64decode(part, validate=True) for part in match.groups()[:3])
    if len(iv) != 32 or len(tag) != 16:
        raise Bad("an IV of %d or a tag of %d bytes" % (len(iv), len(tag)))
    try:
        plain = AESGCM(key).decrypt(iv, data + tag, context.encode("utf-8", "surrogateescape"))
    except InvalidTag:
        raise Bad("authentication failed") from None
    return match.group(4), plain.decode("utf-8", "surrogateescape")


def typed(kind, text):
    """A decrypted text as a leaf; it must be the canonical spelling of the leaf."""
    leaf = {
        "str": str,
        "int": int,
        "float": float,
        "bool": lambda word: {"True": True, "False": False}[word],
        "time": Time,
        "comment": Comment,
    }[kind](text)
    if leaf_bytes(leaf).decode("utf-8", "surrogateescape") != text:
        raise Bad("a %s in another than its canonical spelling" % kind)
    return leaf


class Verifier:
    def __init__(self, metadata, key):
        self.key = key
        rules = [(name, metadata[name]) for name in SELECTORS if metadata.get(name)]
        if len(rules) > 1:
            raise Bad("more than one selection rule")
        self.rule = rules[0] if rules else ("unencrypted_suffix", "_unencrypted")
        self.only_encrypted = metadata.get("mac_only_encrypted") in (True, "true", "True", "TRUE", "1")
        self.mac = hashlib.sha512()
        if self.only_encrypted:
            self.mac.update(hashlib.sha256(b"sops").digest())
        self.values = self.comments = 0
        self.containers = set()

    def selected(self, path, leaf):
        name, rule = self.rule
        if name.endswith("comment_regex"):
            # Which comments are active is not known here; what looks sealed must open.
            return isinstance(leaf, str) and (leaf == "" or SEALED.fullmatch(leaf) is not None)
        if name.endswith("suffix"):
            hit = any(step.endswith(rule) for step in path)
        else:
            hit = any(re.search(rule, step) for step in path)
        return hit == name.startswith("encrypted")

    def leaf(self, leaf, path):
        if leaf is None:
            return
        context = ":".join(path) + ":"
        selected = self.selected(path, leaf)
        if selected and leaf != "":
            if not isinstance(leaf, str):
                raise Bad("a value in clear")
            kind, text = unseal(leaf, self.key, context)
            leaf = typed(kind, text)
            self.values += 1
        if not isinstance(leaf, Comment) and (selected or not self.only_encrypted):
            self.mac.update(leaf_bytes(leaf))

    def comment(self, text, path):
        """A comment in clear may be one that no rule covers; a sealed one must open."""
        if SEALED.fullmatch(text):
            unseal(text, self.key, ":".join(path) + ":")
            self.comments += 1

    def walk(self, tree):
        # A stack, not recursion: the files of the tests are allowed to be deep.
        stack = [(tree, ())]
        while stack:
            node, path = stack.pop()
            if isinstance(node, Map):
                self.containers.add(path)
                entries = []
                for key, value in node:
                    if isinstance(key, Comment):
                        entries.append((key, path))
                    else:
                        entries.append((value, path + (key,)))
                stack.extend(reversed(entries))
            elif isinstance(node, list):
                self.containers.add(path)
                stack.extend((item, path) for item in reversed(node))
            else:
                try:
                    self.comment(node, path) if isinstance(node, Comment) else self.leaf(node, path)
                except Bad as error:
                    raise Bad("%s: %s" % (":".join(path), error)) from None

    def loose_comments(self, text):
        """Comments of YAML and TOML: their container is not known here, so one of all must open them."""
        for match in re.finditer(r"#(ENC\[AES256_GCM,[^\]]*\])", text):
            for path in self.containers:
                try:
                    self.comment(match[1], path)
                    break
                except Bad:
                    continue
            else:
                raise Bad("a comment that opens at no place")


def verify(path, options):
    kind = type_by_name(path)
    text = read_text(path)
    trees = READERS[kind](text)
    metadata = take_metadata(kind, trees)
    key = data_key(metadata, options)
    verifier = Verifier(metadata, key)
    for tree in trees:
        verifier.walk(tree)
    if kind in ("yaml", "toml"):
        verifier.loose_comments(text)
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", str(metadata.get("lastmodified"))):
        raise Bad("lastmodified is not a time in UTC")
    _, stored = unseal(metadata.get("mac") or "", key, metadata["lastmodified"])
    if stored != verifier.mac.hexdigest().upper():
        raise Bad("the MAC is wrong")
    return "%d values, %d comments" % (verifier.values, verifier.comments)


# -- comparison -----------------------------------------------------------------------------------


def difference(left, right):
    """The path of the first difference, or None. Comments are not compared."""
    stack = [(left, right, "")]
    while stack:
        left, right, path = stack.pop()
        if isinstance(left, Map) and isinstance(right, Map):
            if [key for key, _ in left] != [key for key, _ in right]:
                return path + ": keys"
            stack.extend((a, b, path + "/" + key) for (key, a), (_, b) in zip(left, right))
        elif isinstance(left, list) and isinstance(right, list) and type(left) is type(right):
            if len(left) != len(right):
                return path + ": number of items"
            stack.extend((a, b, "%s/%d" % (path, n)) for n, (a, b) in enumerate(zip(left, right)))
        elif isinstance(left, float) and isinstance(right, float) and left != left and right != right:
            continue
        elif type(left) is not type(right):
            return "%s: %s and %s" % (path, type(left).__name__, type(right).__name__)
        elif left != right:
            return path
    return None


def same(left, right, options):
    if options.type == "binary":
        with open(left, "rb") as left, open(right, "rb") as right:
            if left.read() != right.read():
                raise Bad("the bytes differ")
        return
    trees = [READERS[options.type](read_text(path)) for path in (left, right)]
    if options.type == "json":
        # SOPS reads every JSON number as a float; a whole one is written as before.
        trees = [one_number_type(tree) for tree in trees]
    if options.type == "yaml":
        # SOPS writes a whole float as an integer.
        trees = [[whole_numbers(document) for document in tree] for tree in trees]
    if options.type == "dotenv":
        trees = [[Map((str(k), v) for k, v in document) for document in tree] for tree in trees]
    if options.type == "ini":
        # SOPS writes comments with its own markers.
        trees = [[without_comments(document) for document in tree] for tree in trees]
    if options.type == "toml":
        # rops writes the values of a table in front of the tables in it.
        trees = [sorted_keys(tree) for tree in trees]
    where = difference(*trees)
    if where is not None:
        raise Bad("the data differs at %s" % where)


def without_comments(sections):
    return Map(
        (name, Map((k, v) for k, v in section if not isinstance(k, Comment)))
        for name, section in sections
    )


def whole_numbers(tree):
    if isinstance(tree, Map):
        return Map((key, whole_numbers(value)) for key, value in tree)
    if isinstance(tree, list):
        return [whole_numbers(item) for item in tree]
    return int(tree) if isinstance(tree, float) and tree.is_integer() else tree


def sorted_keys(tree):
    if isinstance(tree, Map):
        return Map((key, sorted_keys(value)) for key, value in sorted(tree, key=lambda entry: entry[0]))
    return [sorted_keys(item) for item in tree] if isinstance(tree, list) else tree


def one_number_type(tree):
    if isinstance(tree, Map):
        return Map((key, one_number_type(value)) for key, value in tree)
    if isinstance(tree, list):
        return [one_number_type(item) for item in tree]
    return float(tree) if isinstance(tree, int) and not isinstance(tree, bool) else tree


def main():
    parser = argparse.ArgumentParser(description="Checks encrypted files.")
    commands = parser.add_subparsers(dest="command", required=True)
    verifying = commands.add_parser("verify")
    verifying.add_argument("--identity", action="append", default=[])
    verifying.add_argument("files", nargs="+")
    comparing = commands.add_parser("same")
    comparing.add_argument("--type", choices=READERS, required=True)
    comparing.add_argument("files", nargs="+", metavar="LEFT RIGHT")
    for command in (verifying, comparing):
        command.add_argument("--age", default="age")
    options = parser.parse_args()

    failed = False
    if options.command == "same":
        if len(options.files) % 2:
            parser.error("a file without its pair")
        for left, right in zip(options.files[::2], options.files[1::2]):
            try:
                same(left, right, options)
            except Bad as error:
                print("%s, %s: %s" % (left, right, error))
                failed = True
        return 1 if failed else 0
    for path in options.files:
        try:
            print("ok  %s: %s" % (path, verify(path, options)))
        except (Bad, KeyError, ValueError) as error:
            # A ValueError's text can have a value in it.
            reason = error if isinstance(error, Bad) else type(error).__name__
            print("BAD %s: %s" % (path, reason))
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
