//! Names of KMS keys: an ARN, and the role to take on.

use crate::keys::{FieldValue, Fields};

/// Takes `arn` or `arn+role` apart into the fields of an entry.
pub(super) fn split(text: &str) -> Fields {
    let field = |name: &str, text: &str| (name.to_owned(), FieldValue::Text(text.to_owned()));
    match text.find("+arn:") {
        Some(at) => vec![field("arn", &text[..at]), field("role", &text[at + 1..])],
        None => vec![field("arn", text)],
    }
}

/// Returns the region of the ARN of a key or an alias; `None` if it is none.
///
/// The region becomes a part of the name of the server that gets the data key, and the ARN may be
/// from a file that anybody has written: what is no label of such a name is no region.
pub(super) fn region(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, "kms", region, account, resource] = parts[..] else {
        return None;
    };
    let is_label = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let name = resource.strip_prefix("key/").or_else(|| resource.strip_prefix("alias/"))?;
    let is_arn = partition.starts_with("aws")
        && is_label(partition)
        && is_label(region)
        && !account.is_empty()
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && !name.is_empty();
    is_arn.then_some(region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_that_of_the_arn() {
        for (arn, expected) in [
            (
                "arn:aws:kms:us-east-1:123456789012:key/b99668a3-5ae7-47b9-ad34-e09c20efb160",
                "us-east-1",
            ),
            ("arn:aws:kms:eu-west-1:1:alias/team/ops", "eu-west-1"),
            ("arn:aws-cn:kms:cn-north-1:1:key/mrk-1", "cn-north-1"),
            ("arn:aws-us-gov:kms:us-gov-west-1:1:key/x:y", "us-gov-west-1"),
        ] {
            assert_eq!(region(arn), Some(expected), "{arn}");
        }
    }

    #[test]
    fn what_is_no_arn_of_a_key_has_no_region() {
        for arn in [
            "",
            "arn:bad",
            "b99668a3-5ae7-47b9-ad34-e09c20efb160",
            "alias/ops",
            "arn:aws:kms:us-east-1:1:key/",
            "arn:aws:kms:us-east-1:1:grant/x",
            "arn:aws:kms:us-east-1::key/x",
            "arn:aws:kms:us-east-1:me:key/x",
            "arn:aws:kms::1:key/x",
            "arn:aws:s3:us-east-1:1:key/x",
            "arn:gcp:kms:us-east-1:1:key/x",
            " arn:aws:kms:us-east-1:1:key/x",
        ] {
            assert_eq!(region(arn), None, "{arn}");
        }
    }

    #[test]
    fn a_region_cannot_name_another_server() {
        for part in ["evil.example/", "evil.example#", "a@evil.example", "x.y", "US-EAST-1"] {
            assert_eq!(region(&format!("arn:aws:kms:{part}:1:key/x")), None, "{part}");
        }
    }

    #[test]
    fn a_role_of_any_partition_is_split_off() {
        let text = |text: &str| FieldValue::Text(text.to_owned());
        assert_eq!(split("arn:aws:kms:x"), [("arn".to_owned(), text("arn:aws:kms:x"))]);
        assert_eq!(
            split("arn:aws-cn:kms:x+arn:aws-cn:iam::1:role/r+s"),
            [
                ("arn".to_owned(), text("arn:aws-cn:kms:x")),
                ("role".to_owned(), text("arn:aws-cn:iam::1:role/r+s"))
            ]
        );
    }
}
