# The repository in which each script of leaks.txt and harmless.txt runs. ALICE, BOB and CAROL are
# recipients, and the identity is that of ALICE.
git init -q -b main .
cat > .sops.yaml <<EOF
creation_rules:
  - path_regex: ^secrets/groups/
    shamir_threshold: 2
    key_groups:
      - age: [$ALICE]
      - age: [$BOB]
  - path_regex: ^secrets/
    age: $ALICE,$BOB
  - path_regex: ^k8s/.*\.yaml$
    encrypted_regex: ^(data|stringData)$
    age: $ALICE
  - path_regex: (^|/)\.env(\.[a-z]+)?$
    age: $ALICE
EOF
mkdir -p secrets/groups k8s src
printf '# database\npassword: canary-one\nport: 5432\nusers:\n    - name: canary-two\n    - name: canary-three\nnote_unencrypted: plain\n' > secrets/app.yaml
printf '{\n    "password": "canary-one",\n    "port": 5432,\n    "users": ["canary-two"]\n}\n' > secrets/app.json
printf 'PASSWORD=canary-one\nPORT=5432\n' > secrets/app.env
printf '[database]\npassword = canary-one\nport     = 5432\n' > secrets/app.ini
printf 'password = "canary-one"\n\n[database]\nport = 5432\n' > secrets/app.toml
printf -- '-----BEGIN KEY-----\ncanary-one\n-----END KEY-----\n' > secrets/tls.pem
printf 'shared: canary-one\n' > secrets/groups/root.yaml
printf 'kind: Secret\nmetadata:\n    name: app\nstringData:\n    password: canary-one\n' > k8s/secret.yaml
printf 'TOKEN=canary-one\n' > .env
for file in secrets/app.* secrets/tls.pem secrets/groups/root.yaml k8s/secret.yaml .env; do
    encfile encrypt -i "$file"
done
printf '# App\n' > README.md
printf 'fn main() {}\n' > src/main.rs
printf 'replicas: 2\n' > values.yaml
git add .
git commit -qm start
encfile git install 2>/dev/null
git add .
git commit -qm hooks
