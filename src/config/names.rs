//! Guesses which name was meant by one that is not known.

/// Names that people write for others. Each counts only where the other is known.
const CONFUSED: &[(&str, &str)] = &[
    ("azure_kv", "azure_keyvault"),
    ("azure_kv", "azure_kv_uri"),
    ("fp", "pgp"),
    ("gcp", "gcp_kms"),
    ("gpg", "pgp"),
    ("hc_vault", "hc_vault_transit_uri"),
    ("hc_vault_transit_uri", "hc_vault"),
    ("key_id", "resource_id"),
    ("path", "path_regex"),
    ("reencryption_rule", "recreation_rule"),
    ("regex", "path_regex"),
    ("vault", "hc_vault"),
    ("vault", "hc_vault_transit_uri"),
    ("vault_url", "vaultUrl"),
];

/// The longest name that is compared: longer ones are no slips.
const MAX_LENGTH: usize = 40;

/// Returns the one of `known` that `name` is most like, if it is like any.
pub(super) fn similar(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let confused = CONFUSED.iter().find(|(wrong, right)| *wrong == name && known.contains(right));
    if let Some((_, right)) = confused {
        return Some(right);
    }
    if name.len() > MAX_LENGTH {
        return None;
    }
    let plain = |name: &str| name.to_lowercase().replace(['-', '_', ' '], "");
    let wanted = plain(name);
    let most = (wanted.len() / 4).max(1);
    let (_, best) = known
        .iter()
        .map(|&known| (plain(known), known))
        .filter(|(plain, _)| plain.len().abs_diff(wanted.len()) <= most)
        .map(|(plain, known)| (distance(&wanted, &plain), known))
        .filter(|&(distance, _)| distance <= most)
        .min_by_key(|&(distance, _)| distance)?;
    Some(best)
}

/// Returns how many characters must be added, removed, replaced or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_understood() {
        let known = ["path_regex", "pgp", "age", "key_groups", "encrypted_regex"];
        for (name, expected) in [
            ("path_regx", Some("path_regex")),
            ("pathRegex", Some("path_regex")),
            ("path", Some("path_regex")),
            ("ppg", Some("pgp")),
            ("gpg", Some("pgp")),
            ("key_group", Some("key_groups")),
            ("encrypted-regex", Some("encrypted_regex")),
            ("encrypted_regexp", Some("encrypted_regex")),
            ("owner", None),
            ("kms", None),
            ("", None),
        ] {
            assert_eq!(similar(name, &known), expected, "{name}");
        }
        assert_eq!(similar(&"x".repeat(100_000), &known), None);
    }
}
