//! Which server a region is: what the user says, else what `HuaweiCloud` calls it.

use std::path::PathBuf;

use serde::Deserialize;

use crate::keys::Host;

/// A file that says where regions are.
const REGIONS_FILE: &str = "HUAWEICLOUD_SDK_REGIONS_FILE";
/// Where that file is if the variable is not set, in the home directory.
const OWN_REGIONS_FILE: &str = ".huaweicloud/regions.yaml";

/// Where users of all regions log in.
pub(super) const IAM: &str = "https://iam.myhuaweicloud.com";

/// The longest file with regions, in bytes.
const MAX_REGIONS: usize = 1024 * 1024;

/// The regions that have the service, sorted.
const REGIONS: &[&str] = &[
    "ae-ad-1",
    "af-north-1",
    "af-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "cn-east-2",
    "cn-east-3",
    "cn-east-4",
    "cn-east-5",
    "cn-north-1",
    "cn-north-11",
    "cn-north-12",
    "cn-north-2",
    "cn-north-4",
    "cn-north-9",
    "cn-south-1",
    "cn-south-2",
    "cn-south-4",
    "cn-southwest-2",
    "cn-southwest-3",
    "eu-west-101",
    "la-north-2",
    "la-south-2",
    "me-east-1",
    "my-kualalumpur-1",
    "na-mexico-1",
    "ru-moscow-1",
    "sa-brazil-1",
    "tr-west-1",
];

/// A file with regions, as far as it is of interest.
#[derive(Deserialize)]
struct Regions {
    #[serde(rename = "KMS", default)]
    kms: Vec<Region>,
}

#[derive(Deserialize)]
struct Region {
    id: String,
    endpoint: Option<String>,
    #[serde(default)]
    endpoints: Vec<String>,
}

/// Returns the address of a region's server, without a slash at its end.
pub(super) fn of_region(host: &dyn Host, region: &str) -> Result<String, String> {
    // The name of a region stands in queries, too, and a file has chosen it.
    if !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        return built_in("kms", region);
    }
    let address = match variable(host, region) {
        Some(address) => address,
        None => match of_file(host, region)? {
            Some(address) => address,
            None => built_in("kms", region)?,
        },
    };
    Ok(address.trim_end_matches('/').to_owned())
}

/// Returns the address that `HuaweiCloud` has for a service of a region.
pub(super) fn built_in(service: &str, region: &str) -> Result<String, String> {
    if !REGIONS.contains(&region) {
        return Err(format!(
            "invalid region \"{region}\": region id '{region}' is not in the following supported \
             regions of service 'KMS': [{}]",
            REGIONS.join(", ")
        ));
    }
    let domain = if region == "eu-west-101" { "eu" } else { "com" };
    Ok(format!("https://{service}.{region}.myhuaweicloud.{domain}"))
}

/// Returns an address that the user names, without a slash at its end; the SDK has a host alone.
pub(super) fn address(named: &str) -> String {
    let scheme = if named.contains("://") { "" } else { "https://" };
    format!("{scheme}{}", named.trim_end_matches('/'))
}

/// Returns the first address that a variable names for the region.
fn variable(host: &dyn Host, region: &str) -> Option<String> {
    let region = region.to_ascii_uppercase().replace('-', "_");
    let text =
        host.variable(&format!("HUAWEICLOUD_SDK_REGION_KMS_{region}"))?.into_string().ok()?;
    let first = text.split(',').next()?.trim();
    (!first.is_empty()).then(|| first.to_owned())
}

/// Returns the address that the user's file has for the region.
fn of_file(host: &dyn Host, region: &str) -> Result<Option<String>, String> {
    let named = host.variable(REGIONS_FILE).filter(|path| !path.is_empty());
    let is_named = named.is_some();
    let home = || host.variable("HOME").map(|home| PathBuf::from(home).join(OWN_REGIONS_FILE));
    let Some(path) = named.map(PathBuf::from).or_else(home) else { return Ok(None) };
    let text = match host.read_file(&path, MAX_REGIONS) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_named => return Ok(None),
        Err(error) => return Err(format!("`{}` cannot be read: {error}", path.display())),
    };
    let regions: Regions = serde_yaml::from_slice(&text)
        .map_err(|error| format!("`{}` is no file with regions: {error}", path.display()))?;
    let found = regions.kms.into_iter().find(|entry| entry.id == region);
    Ok(found.and_then(|entry| entry.endpoint.or_else(|| entry.endpoints.into_iter().next())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_that_is_not_known_names_no_server() {
        assert_eq!(
            built_in("kms", "tr-west-1").unwrap(),
            "https://kms.tr-west-1.myhuaweicloud.com"
        );
        assert_eq!(
            built_in("kms", "eu-west-101").unwrap(),
            "https://kms.eu-west-101.myhuaweicloud.eu"
        );
        for region in ["nowhere", "evil.example/", "tr-west-1.evil.example/", "TR-WEST-1", ""] {
            assert!(built_in("kms", region).is_err(), "{region}");
        }
        assert!(REGIONS.is_sorted());
    }
}
