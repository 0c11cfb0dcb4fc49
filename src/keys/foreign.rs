//! The kinds that SOPS has besides age. Where one has no code in this version, an entry in a file is
//! kept, and a request for a new one is refused by name.

use super::kind::{ConfigNames, KeyCode, KeyFlag, KeyKind, KeyOption, Member, MemberField};
use super::{FieldValue, KeyError};

#[cfg(feature = "aws")]
const AWS_KMS_CODE: Option<KeyCode> = Some(super::aws::CODE);
#[cfg(not(feature = "aws"))]
const AWS_KMS_CODE: Option<KeyCode> = None;

/// AWS KMS.
pub(super) static AWS_KMS: KeyKind = KeyKind {
    name: "kms",
    title: "AWS KMS",
    flag: KeyFlag { long: "kms", short: Some('k'), value: "ARNS", keys: "ARNs of AWS KMS keys" },
    env: "SOPS_KMS_ARN",
    options: &[
        KeyOption {
            long: "aws-profile",
            value: "PROFILE",
            help: "The AWS profile for the KMS keys; without it, AWS_ACCESS_KEY_ID, AWS_PROFILE and \
                   whatever else AWS' own programs read",
            field: "aws_profile",
            is_rule_field: true,
            read: |text| Ok(FieldValue::Text(text.to_owned())),
        },
        KeyOption {
            long: "encryption-context",
            value: "KEY:VALUE,...",
            help: "The encryption context for the KMS keys, the same at each decryption",
            field: "context",
            is_rule_field: false,
            read: read_encryption_context,
        },
    ],
    config: ConfigNames {
        rule: "kms",
        rule_takes_list_only: false,
        group: "kms",
        member: Member::Map(&[
            MemberField::Part { name: "arn", behind: "", is_required: true },
            MemberField::Part { name: "role", behind: "+", is_required: false },
            MemberField::Map("context"),
            MemberField::Text("aws_profile"),
        ]),
    },
    is_remote: true,
    has_versions: false,
    is_dated: true,
    is_in_every_group: false,
    ignores_blanks: true,
    code: AWS_KMS_CODE,
};

#[cfg(feature = "gcp")]
const GCP_KMS_CODE: Option<KeyCode> = Some(super::gcp::CODE);
#[cfg(not(feature = "gcp"))]
const GCP_KMS_CODE: Option<KeyCode> = None;

/// GCP KMS.
pub(super) static GCP_KMS: KeyKind = KeyKind {
    name: "gcp_kms",
    title: "GCP KMS",
    flag: KeyFlag {
        long: "gcp-kms",
        short: None,
        value: "IDS",
        keys: "resource ids of GCP KMS keys",
    },
    env: "SOPS_GCP_KMS_IDS",
    options: &[],
    config: ConfigNames {
        rule: "gcp_kms",
        rule_takes_list_only: false,
        group: "gcp_kms",
        member: Member::Map(&[MemberField::Part {
            name: "resource_id",
            behind: "",
            is_required: true,
        }]),
    },
    is_remote: true,
    has_versions: false,
    is_dated: true,
    is_in_every_group: false,
    ignores_blanks: true,
    code: GCP_KMS_CODE,
};

/// `HuaweiCloud` KMS.
pub(super) static HCKMS: KeyKind = KeyKind {
    name: "hckms",
    title: "HuaweiCloud KMS",
    flag: KeyFlag {
        long: "hckms",
        short: None,
        value: "IDS",
        keys: "ids of HuaweiCloud KMS keys (`region:uuid`)",
    },
    env: "SOPS_HUAWEICLOUD_KMS_IDS",
    options: &[],
    config: ConfigNames {
        rule: "hckms",
        rule_takes_list_only: true,
        group: "hckms",
        member: Member::Map(&[MemberField::Part { name: "key_id", behind: "", is_required: true }]),
    },
    is_remote: true,
    has_versions: false,
    is_dated: true,
    is_in_every_group: false,
    ignores_blanks: false,
    code: HCKMS_CODE,
};

#[cfg(feature = "huawei")]
const HCKMS_CODE: Option<KeyCode> = Some(super::hckms::CODE);
#[cfg(not(feature = "huawei"))]
const HCKMS_CODE: Option<KeyCode> = None;

#[cfg(feature = "azure")]
const AZURE_KV_CODE: Option<KeyCode> = Some(super::azure::CODE);
#[cfg(not(feature = "azure"))]
const AZURE_KV_CODE: Option<KeyCode> = None;

/// Azure Key Vault.
pub(super) static AZURE_KV: KeyKind = KeyKind {
    name: "azure_kv",
    title: "Azure Key Vault",
    flag: KeyFlag {
        long: "azure-kv",
        short: None,
        value: "URLS",
        keys: "URLs of Azure Key Vault keys",
    },
    env: "SOPS_AZURE_KEYVAULT_URLS",
    options: &[],
    config: ConfigNames {
        rule: "azure_keyvault",
        rule_takes_list_only: false,
        group: "azure_keyvault",
        member: Member::Map(&[
            MemberField::Part { name: "vaultUrl", behind: "", is_required: true },
            MemberField::Part { name: "key", behind: "/keys/", is_required: true },
            MemberField::Part { name: "version", behind: "/", is_required: false },
        ]),
    },
    is_remote: true,
    has_versions: true,
    is_dated: true,
    is_in_every_group: false,
    ignores_blanks: false,
    code: AZURE_KV_CODE,
};

/// The transit engine of `HashiCorp` Vault and of `OpenBao`.
pub(super) static HC_VAULT: KeyKind = KeyKind {
    name: "hc_vault",
    title: "HashiCorp Vault",
    flag: KeyFlag {
        long: "hc-vault-transit",
        short: None,
        value: "URIS",
        keys: "URIs of Vault transit keys",
    },
    env: "SOPS_VAULT_URIS",
    options: &[],
    config: ConfigNames {
        rule: "hc_vault_transit_uri",
        rule_takes_list_only: false,
        group: "hc_vault",
        member: Member::Text,
    },
    is_remote: true,
    has_versions: false,
    is_dated: true,
    is_in_every_group: true,
    ignores_blanks: false,
    code: HC_VAULT_CODE,
};

#[cfg(feature = "hc-vault")]
const HC_VAULT_CODE: Option<KeyCode> = Some(super::hc_vault::CODE);
#[cfg(not(feature = "hc-vault"))]
const HC_VAULT_CODE: Option<KeyCode> = None;

/// Reads the encryption context of a flag: `name:value`, separated by commas.
fn read_encryption_context(text: &str) -> Result<FieldValue, KeyError> {
    let entry = |item: &str| match item.split_once(':') {
        Some((name, value)) if !value.contains(':') => {
            Ok((name.to_owned(), FieldValue::Text(value.to_owned())))
        }
        _ => Err(KeyError::EncryptionContext),
    };
    Ok(FieldValue::Map(text.split(',').map(entry).collect::<Result<_, _>>()?))
}
