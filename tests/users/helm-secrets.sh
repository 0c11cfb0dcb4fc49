#!/bin/sh
# The calls of helm-secrets' backend for sops, in the order of a life of a file. As there, standard
# error goes where standard output goes: whatever is said besides the data would be in the data.
set -eu

sops() {
    command sops "$@" 2>&1
}

is_encrypted() {
    grep -q 'mac.*,type:str]' -
}

type=yaml
values=values.yaml

# secrets encrypt
sops --encrypt --input-type "$type" --output-type "$type" "$values" > printed.yaml
is_encrypted < printed.yaml
sops --encrypt --input-type "$type" --output-type "$type" --output secrets.yaml "$values"
is_encrypted < secrets.yaml
cp "$values" in-place.yaml
sops --encrypt --input-type "$type" --output-type "$type" --in-place in-place.yaml
is_encrypted < in-place.yaml

# secrets decrypt
for file in printed.yaml secrets.yaml in-place.yaml; do
    sops --decrypt --input-type "$type" --output-type "$type" "$file" | cmp - "$values"
    sops --decrypt --input-type "$type" --output-type "$type" --output dec.yaml "$file"
    cmp dec.yaml "$values"
done
sops --decrypt --input-type "$type" --output-type "$type" --in-place in-place.yaml
cmp in-place.yaml "$values"

# A literal value
literal=$(printf '{"a":"b"}' | sops --encrypt --input-type json --output-type json /dev/stdin)
printf '%s' "$literal" | is_encrypted
printf '%s' "$literal" | sops --decrypt --input-type json --output-type json /dev/stdin

# secrets edit
EDITOR='sed -i s/5432$/6543/' sops --input-type yaml --output-type yaml secrets.yaml
sops --decrypt --input-type "$type" --output-type "$type" secrets.yaml | grep port
