//! `publish`: with moto (S3), a real `OpenBao` (both versions of its key-value store), and a
//! stand-in for Google Cloud Storage; beside the real SOPS.

mod gcs;
mod rules;
mod s3;
mod vault;

use crate::files::ALICE;
use crate::keys::bao::ROOT;
use crate::sandbox::Sandbox;

/// What `app.yaml` holds.
const PLAIN: &str = "\
b: 1
a: canary-a
list:
    - c: true
      d: 1.5
    - null
# canary-comment
t: 2024-01-02T03:04:05Z
";

/// Returns a sandbox with encrypted files, and a config with these destination rules.
fn sandbox(rules: &str) -> Sandbox {
    let sandbox = Sandbox::with_identity(ALICE);
    sandbox.encrypted_by_sops("app.yaml", PLAIN, &[ALICE]);
    sandbox.env("AWS_EC2_METADATA_DISABLED", "true").env("VAULT_TOKEN", ROOT);
    config(&sandbox, rules);
    sandbox
}

fn config(sandbox: &Sandbox, rules: &str) {
    let rules = rules.trim_end().replace('\n', "\n    ");
    sandbox.write(".sops.yaml", format!("destination_rules:\n  - {rules}\n"));
}

/// Returns the absolute path of `app.yaml`.
fn app(sandbox: &Sandbox) -> String {
    sandbox.path("app.yaml").display().to_string()
}
