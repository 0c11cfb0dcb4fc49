//! `SDK-HMAC-SHA256`: how a request says who sends it without the secret key.
//!
//! The scheme is that of `HuaweiCloud`'s API gateway. As its own programs do, only some headers are
//! signed, and no host.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::keys::http::hex;

/// The name of the scheme.
const SCHEME: &str = "SDK-HMAC-SHA256";

/// What is signed of a request.
#[derive(Debug)]
pub(super) struct Signed<'r> {
    /// `GET` or `POST`.
    pub(super) method: &'r str,
    /// The path, without a slash at its end.
    pub(super) path: &'r str,
    /// The query, `name=value`, escaped; one parameter at most.
    pub(super) query: &'r str,
    /// The headers to sign, in the order of their names, which are in lower case.
    pub(super) headers: &'r [(&'r str, &'r str)],
    /// The body.
    pub(super) body: &'r [u8],
}

impl Signed<'_> {
    /// Returns the value of the header `Authorization`, for a request at `date`, which is
    /// `20261122T095443Z` and among the headers.
    pub(super) fn authorization(&self, access: &str, secret: &[u8], date: &str) -> String {
        let names: Vec<&str> = self.headers.iter().map(|&(name, _)| name).collect();
        let names = names.join(";");
        let mut canonical = format!("{}\n{}/\n{}\n", self.method, self.path, self.query);
        for (name, value) in self.headers {
            // Writing to a `String` cannot fail.
            let _ = writeln!(canonical, "{name}:{}", value.trim());
        }
        let _ = write!(canonical, "\n{names}\n{}", hex(&Sha256::digest(self.body)));
        let digest = hex(&Sha256::digest(canonical));
        let mut mac =
            Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
        mac.update(format!("{SCHEME}\n{date}\n{digest}").as_bytes());
        let signature = hex(&mac.finalize().into_bytes());
        format!("{SCHEME} Access={access}, SignedHeaders={names}, Signature={signature}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests of the real `sops` with the access key `a` and the secret key `b`.
    #[test]
    fn signatures_are_those_of_sops() {
        let agent = "huaweicloud-usdk-go/3.0; os/Debian_GNU/Linux#12_(bookworm)#amd64 \
                     go/go1.25.7; app/eff83915-a8a3-47b0-b0ac-81a8ae634138";
        let date = "20261122T095443Z";
        let body = concat!(
            r#"{"key_id":"abc","plain_text":"bPYIeaE9AKZjWIIN5slWLI++GmE60SJ6IbmluPzMBng=","#,
            r#""encryption_algorithm":"SYMMETRIC_DEFAULT"}"#,
            "\n"
        );
        let headers = [("user-agent", agent), ("x-project-id", "p"), ("x-sdk-date", date)];
        let signed = Signed {
            method: "POST",
            path: "/v1.0/p/kms/encrypt-data",
            query: "",
            headers: &headers,
            body: body.as_bytes(),
        };
        assert_eq!(
            signed.authorization("a", b"b", date),
            "SDK-HMAC-SHA256 Access=a, SignedHeaders=user-agent;x-project-id;x-sdk-date, \
             Signature=33ece51e3c48db0a1fee2bf9c073653c460e6deceb14bbd439df4612e7e1a151"
        );
        let signed = Signed {
            method: "GET",
            path: "/v3/projects",
            query: "name=tr-west-1",
            headers: &[("x-sdk-date", date)],
            body: b"",
        };
        assert_eq!(
            signed.authorization("A1", b"S1", date),
            "SDK-HMAC-SHA256 Access=A1, SignedHeaders=x-sdk-date, \
             Signature=fe5adcfaf1df533deeb1f51d1e417b4934427f9d01300ffb3bc86d1795857f3b"
        );
    }
}
