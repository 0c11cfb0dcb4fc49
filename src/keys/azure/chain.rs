//! Where Azure's credentials are, and how a token is had for them.
//!
//! The places and their order are those of Azure's own libraries. A place that has nothing lets the
//! next one be asked. One that is set up and fails ends the search, because who sets a secret does
//! not mean the login of somebody else; only the programs, which may be there for another purpose,
//! may fail.

use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::digest;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use zeroize::Zeroizing;

use super::managed;
use super::vault::{Challenge, Failure, is_tenant};
use crate::keys::bearer::{self, Token, setting};
use crate::keys::http::{Client, is_private};
use crate::keys::{Host, Run};

/// Which places are asked.
const CHOICE: &str = "AZURE_TOKEN_CREDENTIALS";
/// Where Microsoft hands out tokens.
const AUTHORITY: &str = "AZURE_AUTHORITY_HOST";
const DEFAULT_AUTHORITY: &str = "https://login.microsoftonline.com";
const TENANT: &str = "AZURE_TENANT_ID";
pub(super) const CLIENT: &str = "AZURE_CLIENT_ID";
const SECRET: &str = "AZURE_CLIENT_SECRET";
const CERTIFICATE: &str = "AZURE_CLIENT_CERTIFICATE_PATH";
const USER: &str = "AZURE_USERNAME";
const PASSWORD: &str = "AZURE_PASSWORD";
const SEND_CHAIN: &str = "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN";
const FEDERATED_TOKEN: &str = "AZURE_FEDERATED_TOKEN_FILE";
/// Tenants besides that of the environment for which a token may be had: names with commas, or `*`.
const OTHER_TENANTS: &str = "AZURE_ADDITIONALLY_ALLOWED_TENANTS";

/// How a signed token says that it is one.
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long a signed proof counts, in seconds.
const PROOF_LIFE: i64 = 600;

/// How long a program may take for a token, as in Azure's own libraries.
const PROGRAM_LIMIT: Duration = Duration::from_secs(10);

/// What PowerShell runs: the modules before version 5 have tokens as plain text, later ones as what
/// has to be taken out of memory that is guarded. Names are variables, so that none is read as code.
const POWERSHELL: &str = "$ErrorActionPreference = 'Stop'; \
    Import-Module Az.Accounts -MinimumVersion 2.2.0; \
    $answer = Get-AzAccessToken -ResourceUrl $env:ENCFILE_RESOURCE -TenantId $env:ENCFILE_TENANT \
    -WarningAction Ignore; \
    $token = $answer.Token; \
    if ($token -is [securestring]) { $token = [Net.NetworkCredential]::new('', $token).Password }; \
    @{ token = $token; end = $answer.ExpiresOn.ToUnixTimeSeconds() } | ConvertTo-Json";

/// The longest file that is read, in bytes.
const MAX_FILE: usize = 1 << 20;

/// What a place has.
pub(super) enum Place {
    /// A token.
    Token(Token),
    /// Nothing, and why.
    Nothing(String),
}

/// What a place is asked with.
pub(super) struct Asking<'a> {
    pub(super) host: &'a dyn Host,
    pub(super) client: &'a Client,
    pub(super) challenge: &'a Challenge,
    pub(super) now: Instant,
}

type Ask = fn(&Asking<'_>) -> Result<Place, String>;

/// A place that credentials may be in.
struct Source {
    /// Its name in [`CHOICE`].
    name: &'static str,
    /// What messages call it.
    title: &'static str,
    /// Whether it is a program of somebody who develops: `dev` in [`CHOICE`], else `prod`.
    is_program: bool,
    ask: Ask,
}

/// All places, in their order.
const SOURCES: &[Source] = &[
    Source {
        name: "EnvironmentCredential",
        title: "environment",
        is_program: false,
        ask: of_environment,
    },
    Source {
        name: "WorkloadIdentityCredential",
        title: "workload identity",
        is_program: false,
        ask: of_workload,
    },
    Source {
        name: "ManagedIdentityCredential",
        title: "managed identity",
        is_program: false,
        ask: managed::token,
    },
    Source { name: "AzureCLICredential", title: "Azure CLI", is_program: true, ask: of_az },
    Source {
        name: "AzureDeveloperCLICredential",
        title: "Azure Developer CLI",
        is_program: true,
        ask: of_azd,
    },
    Source {
        name: "AzurePowerShellCredential",
        title: "Azure PowerShell",
        is_program: true,
        ask: of_powershell,
    },
];

/// Asks place after place for a token; `report` says what became of each.
pub(super) fn token(
    host: &dyn Host,
    client: &Client,
    challenge: &Challenge,
    now: Instant,
    report: &mut Vec<String>,
) -> Result<Token, Failure> {
    let asking = Asking { host, client, challenge, now };
    for source in chosen(host).map_err(Failure::Other)? {
        match (source.ask)(&asking) {
            Ok(Place::Token(token)) => {
                report.push(format!("{}: a token", source.title));
                return Ok(token);
            }
            Ok(Place::Nothing(why)) => report.push(format!("{}: {why}", source.title)),
            Err(why) if source.is_program => report.push(format!("{}: {why}", source.title)),
            Err(why) => return Err(Failure::Other(format!("{}: {why}", source.title))),
        }
    }
    Err(Failure::Nothing)
}

/// Returns the places that are asked.
fn chosen(host: &dyn Host) -> Result<Vec<&'static Source>, String> {
    let choice = setting(host, CHOICE).unwrap_or_default();
    let choice = choice.trim();
    let is_chosen = |source: &&Source| {
        choice.is_empty()
            || choice.eq_ignore_ascii_case(source.name)
            || choice.eq_ignore_ascii_case(if source.is_program { "dev" } else { "prod" })
    };
    let chosen: Vec<&Source> = SOURCES.iter().filter(is_chosen).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = SOURCES.iter().map(|source| source.name).collect();
        return Err(format!("{CHOICE} is none of dev, prod, {}", names.join(", ")));
    }
    Ok(chosen)
}

/// An identity with a secret or a certificate, or a user with a password, whom Microsoft lets in
/// without more in few places.
fn of_environment(asking: &Asking<'_>) -> Result<Place, String> {
    let host = asking.host;
    let Some((tenant, id)) = named_client(asking)? else {
        return Ok(Place::Nothing(format!("{TENANT} and {CLIENT} are not both set")));
    };
    let url = token_url(host, &tenant)?;
    if let Some(secret) = setting(host, SECRET) {
        let proof = [("client_secret", secret.as_str())];
        return log_in(asking, &url, &id, &proof).map(Place::Token);
    }
    if let Some(path) = setting(host, CERTIFICATE) {
        let pem = host
            .read_file(Path::new(path.as_str()), MAX_FILE)
            .map_err(|error| format!("{CERTIFICATE} (`{}`) cannot be read: {error}", &*path))?;
        let assertion = certificate_proof(host, &pem, &id, &url)
            .map_err(|why| format!("{CERTIFICATE} (`{}`): {why}", &*path))?;
        let proof =
            [("client_assertion_type", ASSERTION), ("client_assertion", assertion.as_str())];
        return log_in(asking, &url, &id, &proof).map(Place::Token);
    }
    match (setting(host, USER), setting(host, PASSWORD)) {
        (Some(user), Some(password)) => {
            let proof = [("username", user.as_str()), ("password", password.as_str())];
            token_for(asking, &url, "password", &id, &proof).map(Place::Token)
        }
        (Some(_), None) => Err(format!("{USER} is set, and {PASSWORD} is not")),
        (None, _) => {
            let all = format!("{SECRET}, {CERTIFICATE}, or {USER} and {PASSWORD}");
            Ok(Place::Nothing(format!("none of {all} is set")))
        }
    }
}

/// An identity that proves itself by the token of the cluster, or of the build, that it runs in.
fn of_workload(asking: &Asking<'_>) -> Result<Place, String> {
    let Some(path) = setting(asking.host, FEDERATED_TOKEN) else {
        return Ok(Place::Nothing(format!("{FEDERATED_TOKEN} is not set")));
    };
    let Some((tenant, id)) = named_client(asking)? else {
        return Ok(Place::Nothing(format!("{TENANT} and {CLIENT} are not both set")));
    };
    let cannot = |why: String| format!("{FEDERATED_TOKEN} (`{}`) cannot be read: {why}", &*path);
    let token = asking
        .host
        .read_file(Path::new(path.as_str()), MAX_FILE)
        .map_err(|error| cannot(error.to_string()))?;
    let token = std::str::from_utf8(&token).map_err(|_| cannot("it is no text".to_owned()))?;
    let proof = [("client_assertion_type", ASSERTION), ("client_assertion", token.trim())];
    log_in(asking, &token_url(asking.host, &tenant)?, &id, &proof).map(Place::Token)
}

/// Returns the tenant and the client that the environment names.
fn named_client(asking: &Asking<'_>) -> Result<Option<(String, String)>, String> {
    let host = asking.host;
    let (Some(tenant), Some(id)) = (setting(host, TENANT), setting(host, CLIENT)) else {
        return Ok(None);
    };
    let others = setting(host, OTHER_TENANTS).unwrap_or_default();
    let wanted = &asking.challenge.tenant;
    let is_allowed = |other: &str| other == "*" || other.eq_ignore_ascii_case(wanted);
    let tenant = if others.split([',', ';']).any(|other| is_allowed(other.trim())) {
        wanted.clone()
    } else {
        tenant.to_string()
    };
    if !is_tenant(&tenant) {
        return Err(format!("{TENANT} is not the name of a tenant"));
    }
    Ok(Some((tenant, id.to_string())))
}

/// Returns where Microsoft hands out tokens for a tenant.
fn token_url(host: &dyn Host, tenant: &str) -> Result<String, String> {
    let named = setting(host, AUTHORITY);
    let authority = named.as_ref().map_or(DEFAULT_AUTHORITY, |named| named);
    let authority = if authority.contains("://") {
        authority.to_owned()
    } else {
        format!("https://{authority}")
    };
    if !is_private(&authority) {
        return Err(format!("{AUTHORITY} is not an https address"));
    }
    Ok(format!("{}/{tenant}/oauth2/v2.0/token", authority.trim_end_matches('/')))
}

/// Asks for a token with a proof of who the client is.
fn log_in(
    asking: &Asking<'_>,
    url: &str,
    id: &str,
    proof: &[(&str, &str)],
) -> Result<Token, String> {
    token_for(asking, url, "client_credentials", id, proof)
}

fn token_for(
    asking: &Asking<'_>,
    url: &str,
    grant: &str,
    id: &str,
    proof: &[(&str, &str)],
) -> Result<Token, String> {
    let scope = format!("{}/.default", asking.challenge.resource);
    let mut fields = vec![("grant_type", grant), ("client_id", id), ("scope", &scope)];
    fields.extend_from_slice(proof);
    let answer = bearer::post_form(asking.client, url, &[], &fields)?;
    let answer: TokenAnswer = bearer::read(url, &answer)?;
    let life = answer.expires_in.map(Duration::from_secs);
    Ok(Token::new(&answer.access_token, asking.now, life))
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: Zeroizing<String>,
    expires_in: Option<u64>,
}

/// Signs a proof with the key beside a certificate.
pub(super) fn certificate_proof(
    host: &dyn Host,
    pem: &[u8],
    id: &str,
    url: &str,
) -> Result<Zeroizing<String>, String> {
    let chain: Vec<CertificateDer<'_>> =
        CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect();
    let Some(certificate) = chain.first() else {
        return Err("it holds no certificate in PEM; of a .pfx file, this makes one: \
                    openssl pkcs12 -in FILE.pfx -out FILE.pem -nodes"
            .to_owned());
    };
    let key = bearer::rsa_key(pem).map_err(|why| format!("its private key: {why}"))?;
    let mut unique = [0; 16];
    getrandom::fill(&mut unique).map_err(|_| "the system has no random bytes".to_owned())?;
    let thumbprint = digest::digest(&digest::SHA256, certificate);
    let mut header = json!({
        "alg": "PS256",
        "typ": "JWT",
        "x5t#S256": BASE64_URL_SAFE_NO_PAD.encode(thumbprint),
    });
    let sends_chain = match setting(host, SEND_CHAIN).map(|text| text.to_ascii_lowercase()) {
        None => false,
        Some(text) if matches!(&*text, "1" | "true") => true,
        Some(text) if matches!(&*text, "0" | "false") => false,
        Some(_) => return Err(format!("{SEND_CHAIN} is neither `true` nor `false`")),
    };
    if sends_chain {
        let encode = |one| base64::prelude::BASE64_STANDARD.encode(one);
        header["x5c"] = chain.iter().map(encode).collect();
    }
    let now = host.now().unix_timestamp();
    let claims = json!({
        "aud": url,
        "iss": id,
        "sub": id,
        "jti": BASE64_URL_SAFE_NO_PAD.encode(unique),
        "nbf": now,
        "iat": now,
        "exp": now + PROOF_LIFE,
    });
    bearer::jwt(&header, &claims, &key, &ring::signature::RSA_PSS_SHA256)
}

/// The login of `az login`.
fn of_az(asking: &Asking<'_>) -> Result<Place, String> {
    #[derive(Deserialize)]
    struct Printed {
        #[serde(rename = "accessToken")]
        token: Zeroizing<String>,
        /// Seconds since 1970; old versions have a local time instead, under another name.
        expires_on: Option<i64>,
    }

    let Challenge { resource, tenant } = asking.challenge;
    let arguments =
        ["account", "get-access-token", "-o", "json", "--resource", resource, "--tenant", tenant];
    let printed: Printed = match printed(asking.host, "az", &arguments, &[])? {
        Some(printed) => printed,
        None => return Ok(Place::Nothing("there is no `az` in `PATH`".to_owned())),
    };
    let life = printed.expires_on.map(|end| life_until(asking.host, end));
    Ok(Place::Token(Token::new(&printed.token, asking.now, life)))
}

/// The login of `azd auth login`.
fn of_azd(asking: &Asking<'_>) -> Result<Place, String> {
    #[derive(Deserialize)]
    struct Printed {
        token: Zeroizing<String>,
    }

    let Challenge { resource, tenant } = asking.challenge;
    let scope = format!("{resource}/.default");
    let arguments =
        ["auth", "token", "-o", "json", "--no-prompt", "--scope", &scope, "--tenant-id", tenant];
    let printed: Printed = match printed(asking.host, "azd", &arguments, &[])? {
        Some(printed) => printed,
        None => return Ok(Place::Nothing("there is no `azd` in `PATH`".to_owned())),
    };
    // It may be from a cache: nobody knows how long it counts but the service, which says so.
    Ok(Place::Token(Token::new(&printed.token, asking.now, None)))
}

/// The login of `Connect-AzAccount`, in PowerShell.
fn of_powershell(asking: &Asking<'_>) -> Result<Place, String> {
    #[derive(Deserialize)]
    struct Printed {
        token: Zeroizing<String>,
        end: i64,
    }

    let Challenge { resource, tenant } = asking.challenge;
    let arguments =
        ["-NoProfile", "-NonInteractive", "-OutputFormat", "Text", "-Command", POWERSHELL];
    let names = [("ENCFILE_RESOURCE", resource.as_str()), ("ENCFILE_TENANT", tenant)];
    let printed: Printed = match printed(asking.host, "pwsh", &arguments, &names)? {
        Some(printed) => printed,
        None => return Ok(Place::Nothing("there is no `pwsh` in `PATH`".to_owned())),
    };
    let life = life_until(asking.host, printed.end);
    Ok(Place::Token(Token::new(&printed.token, asking.now, Some(life))))
}

/// Returns what a program printed, as JSON; `None` if there is no such program.
fn printed<T: DeserializeOwned>(
    host: &dyn Host,
    program: &str,
    arguments: &[&str],
    env: &[(&str, &str)],
) -> Result<Option<T>, String> {
    let run = Run { program, arguments, env, input: &[] };
    let Ok(finished) = host.run_within(PROGRAM_LIMIT, &run) else { return Ok(None) };
    let Some(finished) = finished else {
        let seconds = PROGRAM_LIMIT.as_secs();
        return Err(format!(
            "`{program}` was ended, because it had no token after {seconds} seconds: run it \
             yourself to see what it waits for"
        ));
    };
    if let Some(how) = finished.failure {
        // What it said is for the user, and mostly long: the first line tells.
        let said = finished.said.lines().map(str::trim).find(|line| !line.is_empty());
        let said = said.map(|said| format!(": {said}")).unwrap_or_default();
        return Err(format!("`{program}` failed ({how}){said}"));
    }
    serde_json::from_slice(&finished.output)
        .map(Some)
        .map_err(|_| format!("`{program}` did not print a token"))
}

/// Returns how long it is until a time in seconds since 1970.
pub(super) fn life_until(host: &dyn Host, end: i64) -> Duration {
    let left = end.saturating_sub(host.now().unix_timestamp());
    Duration::from_secs(u64::try_from(left).unwrap_or(0))
}
